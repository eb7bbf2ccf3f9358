/**
 * Runs `sales` with its changes on Kafka in a process of its own: `output.child.ts JOB`. It kills or stops itself where the job says so; else
 * it prints `done`, or `failed` with the tags of the reasons.
 */
import { writeSync } from "node:fs"
import { ChangeSink } from "@headrace/core/ChangeSink"
import { ViewStore } from "@headrace/core/ViewStore"
import { Live, LiveOutput } from "@headrace/kappa"
import { Effect } from "effect"
import { declared } from "../../kappa/test/fixtures.ts"
import { Fault, faultySink, faultyStore } from "../../kappa/test/streams.ts"
import { engineOf, type Job, type Point, viewOf } from "./outputs.ts"

const job = JSON.parse(process.argv[2] ?? "{}") as Job
const fault = new Fault<Point>(() => {
  if (job.signal === "SIGSTOP") writeSync(1, "stops\n")
  process.kill(process.pid, job.signal ?? "SIGKILL")
})
const own = declared(viewOf(job))
const owner = `process ${process.pid}`

const program = Effect.gen(function* () {
  if (job.begun === true) yield* Live.run({ views: [own], owner })
  const sink = yield* ChangeSink
  const store = yield* faultyStore(fault)
  fault.arm(job.point, job.at ?? 1)
  yield* LiveOutput.run({
    outputs: [{ declared: own, topic: job.topic }],
    owner,
    stepRecords: job.stepRecords,
    maxRecords: 7
  }).pipe(
    Effect.provideService(ViewStore, store),
    Effect.provideService(ChangeSink, ChangeSink.of(faultySink(sink, fault)))
  )
  console.log("done")
}).pipe(
  Effect.catchTag("ViewError", ({ reason }) =>
    Effect.sync(() => console.log(`failed ${reason._tag} ${"reason" in reason ? reason.reason._tag : ""}`))
  ),
  Effect.provide(engineOf(job, fault))
)
await Effect.runPromise(program)
process.exit(0)
