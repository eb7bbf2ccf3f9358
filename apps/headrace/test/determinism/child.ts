/** A process that runs one job of a schedule and dies by SIGKILL where the job says. */
import { Effect } from "effect"
import { Project } from "headrace"
import * as Faults from "./Faults.ts"
import * as Jobs from "./Jobs.ts"

const [folder, job] = process.argv.slice(2) as [string, string]
await Effect.runPromise(
  Effect.flatMap(Project.load(folder), (project) => Jobs.run(project, JSON.parse(job) as Jobs.Job, Faults.killMyself))
)
