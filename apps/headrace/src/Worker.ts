/** The entry of a replay worker thread: folds shares of the partitions under its parent's lease, one at a time. */
import { parentPort, workerData } from "node:worker_threads"
import type { Lease } from "@headrace/core/ViewStore"
import { Fold, type Replay } from "@headrace/kappa"
import { Cause, Effect, Exit } from "effect"
import * as Project from "./Project.ts"

/** What a worker is to do, once or again: plain data. It is started with the project's folder, and loads the project at once. */
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

/** A message costs the parent a core's time: one for so many records, not one a batch. */
const progressRecords = 131_072

const port = parentPort!
const say = (message: Message) => port.postMessage(message)

const loading = Effect.runPromiseExit(Project.load(workerData as string))

const run = Effect.fnUntraced(function* ({ checkpoint, lease, tasks, version, view }: Input) {
  const project = yield* yield* Effect.promise(() => loading)
  const declared = yield* Project.declaredOf(project, view, version)
  let folded = 0
  const sayProgress = () => {
    if (folded > 0) say({ type: "progress", records: folded })
    folded = 0
  }
  const onProgress = (records: number) =>
    Effect.sync(() => {
      folded += records
      if (folded >= progressRecords) sayProgress()
    })
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
  ).pipe(Effect.ensuring(Effect.sync(sayProgress)), Effect.provide(Project.layer(project)))
})

const detailOf = (cause: Cause.Cause<unknown>): string =>
  Cause.prettyErrors(cause)
    .map((e) => e.message)
    .join("; ")

port.on("message", (input: Input) => {
  void Effect.runPromiseExit(run(input)).then((exit) =>
    say(Exit.isSuccess(exit) ? { type: "done" } : { type: "failed", detail: detailOf(exit.cause) })
  )
})
