/** A process that runs one attempt of a schedule and dies by SIGKILL at its commit. */
import { Effect } from "effect"
import { Project } from "headrace"
import * as Engine from "./Engine.ts"
import type { Attempt } from "./Schedule.ts"

const { attempt, folder, mode, version, view } = JSON.parse(process.argv[2]!) as {
  readonly attempt: Attempt
  readonly folder: string
  readonly mode: "live" | "replay"
  readonly version: number
  readonly view: string
}

const die = (): never => {
  process.kill(process.pid, "SIGKILL")
  // The signal is on its way; nothing may happen before it arrives.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
  throw new Error("SIGKILL didn't arrive")
}

await Effect.runPromise(
  Effect.gen(function* () {
    const project = yield* Project.load(folder)
    const declared = (yield* Project.versionsOf(project, view)).find((d) => d.view.version === version)!
    yield* Engine.attemptHere(project, declared, mode, { ...attempt, where: "fibers" }, die)
  })
)
