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

/** What a thread is doing. */
interface Job {
  readonly outcome: Deferred.Deferred<void, string>
  readonly onProgress: (records: number) => void
}

interface Thread {
  readonly worker: Worker
  job: Job | undefined
  /** Why it can't be given a job any more. */
  ended: string | undefined
}

const start = (project: Project): Thread => {
  const worker = new Worker(entry, { workerData: project.folder, ...threadOptions() })
  const thread: Thread = { worker, job: undefined, ended: undefined }
  const finish = (exit: Exit.Exit<void, string>) => {
    if (thread.job !== undefined) Deferred.doneUnsafe(thread.job.outcome, exit)
    thread.job = undefined
  }
  const end = (detail: string) => {
    thread.ended ??= detail
    finish(Exit.fail(detail))
  }
  worker.on("message", (message: Message) => {
    if (message.type === "progress") thread.job?.onProgress(message.records)
    else finish(message.type === "done" ? Exit.void : Exit.fail(message.detail))
  })
  worker.on("error", (error: Error) => end(error.message))
  worker.on("exit", (code) => end(`it ended with code ${code} before it was done`))
  return thread
}

/**
 * Starts threads for replays, which load the project while a version is made known and its lock is taken, and gives what folds each share in
 * one of them; a thread that is done takes another share. One worker needs no thread. Closing the scope ends the threads; their last commits
 * stand.
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
    return ({ lease, view }, tasks, onProgress) =>
      Effect.gen(function* () {
        const runFork = Effect.runForkWith(yield* Effect.context<never>())
        const failure = (detail: string) => ViewError.wrap(new ViewError.WorkerFailed({ view: view.name, detail }))
        const thread = threads.find((t) => t.job === undefined && t.ended === undefined)
        if (thread === undefined)
          return yield* failure(threads.find((t) => t.ended !== undefined)?.ended ?? `all ${workers} workers are busy`)
        const outcome = Deferred.makeUnsafe<void, string>()
        thread.job = { outcome, onProgress: (records) => void runFork(onProgress(records)) }
        const input: Input = { view: view.name, version: view.version, lease, tasks, checkpoint: options.checkpoint }
        thread.worker.postMessage(input)
        yield* Effect.mapError(Deferred.await(outcome), failure)
      })
  })
