/** The entry of a replay worker thread: folds its share of the partitions under its parent's lease. */
import { parentPort, workerData } from "node:worker_threads"
import type { Lease } from "@headrace/core/ViewStore"
import { Fold, type Replay } from "@headrace/kappa"
import { Cause, Effect, Exit } from "effect"
import * as Project from "./Project.ts"

/** What a worker is started with: plain data. */
export interface Input {
  readonly folder: string
  readonly view: string
  readonly version: number
  readonly lease: Lease
  readonly tasks: ReadonlyArray<Replay.Task>
  readonly checkpoint: Fold.Checkpoint | undefined
}

/** What a worker says. */
export type Message =
  | { readonly type: "progress"; readonly records: number }
  | { readonly type: "done" }
  | { readonly type: "failed"; readonly detail: string }

const port = parentPort!
const say = (message: Message) => port.postMessage(message)

const run = Effect.fnUntraced(function* ({ checkpoint, folder, lease, tasks, version, view }: Input) {
  const project = yield* Project.load(folder)
  const declared = yield* Project.declaredOf(project, view, version)
  const onProgress = (records: number) => Effect.sync(() => say({ type: "progress", records }))
  yield* Effect.forEach(
    tasks,
    ({ start, until }) =>
      Fold.partition({
        view: declared.view,
        lease,
        start,
        until,
        prefer: "archive",
        onProgress,
        ...(checkpoint === undefined ? {} : { checkpoint })
      }),
    { discard: true }
  ).pipe(Effect.provide(Project.layer(project)))
})

const exit = await Effect.runPromiseExit(run(workerData as Input))
say(
  Exit.isSuccess(exit)
    ? { type: "done" }
    : {
        type: "failed",
        detail: Cause.prettyErrors(exit.cause)
          .map((e) => e.message)
          .join("; ")
      }
)
