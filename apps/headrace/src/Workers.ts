/** Starts worker threads for a replay. */
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { type Fold, type Replay, ViewError } from "@headrace/kappa"
import { Effect } from "effect"
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

/** Folds each share in a thread of its own. Interruption ends the threads; their last commits stand. */
export const spawn =
  (project: Project, options: { readonly checkpoint?: Fold.Checkpoint } = {}): Replay.Spawn =>
  ({ lease, view }, tasks, onProgress) =>
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const runFork = Effect.runForkWith(context)
      const input: Input = {
        folder: project.folder,
        view: view.name,
        version: view.version,
        lease,
        tasks,
        checkpoint: options.checkpoint
      }
      const failure = (detail: string) => ViewError.wrap(new ViewError.WorkerFailed({ view: view.name, detail }))
      const folded = (worker: Worker) =>
        Effect.callback<void, ViewError.ViewError>((resume) => {
          worker.on("message", (message: Message) => {
            if (message.type === "progress") runFork(onProgress(message.records))
            else resume(message.type === "done" ? Effect.void : Effect.fail(failure(message.detail)))
          })
          worker.on("error", (error: Error) => resume(Effect.fail(failure(error.message))))
          worker.on("exit", (code) => resume(Effect.fail(failure(`it ended with code ${code} before it was done`))))
        })
      yield* Effect.acquireUseRelease(
        Effect.sync(() => new Worker(entry, { workerData: input, ...threadOptions() })),
        folded,
        (worker) => Effect.promise(() => worker.terminate())
      )
    })
