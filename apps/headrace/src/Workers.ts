/** Starts worker threads for a replay. */
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { type Fold, type Replay, ViewError } from "@headrace/kappa"
import { Deferred, Effect, Exit, type Scope } from "effect"
import type { Project } from "./Project.ts"
import type { Input, Message } from "./Worker.ts"

/** The worker's module, as source or as built. */
const entry = new URL(import.meta.url.endsWith(".ts") ? "./Worker.ts" : "./Worker.js", import.meta.url)

/**
 * A thread loads all modules again, which takes longer than folding a million records; Node's compile cache, in its usual place, halves
 * that. A young generation of 12 MB is enough for batches that live as briefly, and saves some 70 MB a thread.
 */
const threadOptions = () => ({
  env: { NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"), ...process.env },
  resourceLimits: { maxYoungGenerationSizeMb: 12 }
})

interface Thread {
  readonly worker: Worker
  readonly outcome: Deferred.Deferred<void, string>
  onProgress: (records: number) => void
}

const start = (project: Project): Thread => {
  const worker = new Worker(entry, { workerData: project.folder, ...threadOptions() })
  const thread: Thread = { worker, outcome: Deferred.makeUnsafe(), onProgress: () => {} }
  // The first of these counts.
  const end = (exit: Exit.Exit<void, string>) => Deferred.doneUnsafe(thread.outcome, exit)
  worker.on("message", (message: Message) => {
    if (message.type === "progress") thread.onProgress(message.records)
    else end(message.type === "done" ? Exit.void : Exit.fail(message.detail))
  })
  worker.on("error", (error: Error) => end(Exit.fail(error.message)))
  worker.on("exit", (code) => end(Exit.fail(`it ended with code ${code} before it was done`)))
  return thread
}

/**
 * Starts threads for a replay, which load the project while its version is made known and its lock is taken, and gives what folds each share
 * in one of them. One worker needs no thread. Closing the scope ends the threads; their last commits stand.
 */
export const make = (
  project: Project,
  workers: number,
  options: { readonly checkpoint?: Fold.Checkpoint } = {}
): Effect.Effect<Replay.Spawn, never, Scope.Scope> =>
  Effect.gen(function* () {
    const threads = yield* Effect.acquireRelease(
      Effect.sync(() => Array.from({ length: workers > 1 ? workers : 0 }, () => start(project))),
      (all) => Effect.forEach(all, ({ worker }) => Effect.promise(() => worker.terminate()), { discard: true })
    )
    const idle = [...threads]
    return ({ lease, view }, tasks, onProgress) =>
      Effect.gen(function* () {
        const failure = (detail: string) => ViewError.wrap(new ViewError.WorkerFailed({ view: view.name, detail }))
        const thread = idle.pop()
        if (thread === undefined)
          return yield* failure(`there are more shares of the partitions than the ${workers} workers`)
        const runFork = Effect.runForkWith(yield* Effect.context<never>())
        thread.onProgress = (records) => void runFork(onProgress(records))
        const input: Input = { view: view.name, version: view.version, lease, tasks, checkpoint: options.checkpoint }
        yield* Effect.sync(() => thread.worker.postMessage(input))
        yield* Effect.mapError(Deferred.await(thread.outcome), failure)
      })
  })
