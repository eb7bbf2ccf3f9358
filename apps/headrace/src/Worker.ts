/** The entry of a replay worker thread: folds its share of the partitions under its parent's lease. */
import { parentPort, workerData } from "node:worker_threads"
import type { Lease } from "@headrace/core/ViewStore"
import { Fold, type Replay } from "@headrace/kappa"
import { Cause, Effect, Exit } from "effect"
import * as Project from "./Project.ts"

/** What a worker is to do: plain data. It is started with the project's folder, and loads the project at once. */
export interface Input {
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

const loading = Effect.runPromiseExit(Project.load(workerData as string))

const run = Effect.fnUntraced(function* ({ checkpoint, lease, tasks, version, view }: Input) {
  const project = yield* yield* Effect.promise(() => loading)
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

const detailOf = (cause: Cause.Cause<unknown>): string =>
  Cause.prettyErrors(cause)
    .map((e) => e.message)
    .join("; ")

port.once("message", (input: Input) => {
  void Effect.runPromiseExit(run(input)).then((exit) =>
    say(Exit.isSuccess(exit) ? { type: "done" } : { type: "failed", detail: detailOf(exit.cause) })
  )
})
