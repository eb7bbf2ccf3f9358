/** Starts worker threads for a replay. */
import { Worker } from "node:worker_threads"
import { type Fold, type Replay, ViewError } from "@headrace/kappa"
import { Effect } from "effect"
import type { Project } from "./Project.ts"
import type { Input, Message } from "./Worker.ts"

/** The worker's module, as source or as built. */
const entry = new URL(import.meta.url.endsWith(".ts") ? "./Worker.ts" : "./Worker.js", import.meta.url)

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
      yield* Effect.callback<void, ViewError.ViewError>((resume) => {
        const worker = new Worker(entry, { workerData: input })
        worker.on("message", (message: Message) => {
          if (message.type === "progress") runFork(onProgress(message.records))
          else resume(message.type === "done" ? Effect.void : Effect.fail(failure(message.detail)))
        })
        worker.on("error", (error: Error) => resume(Effect.fail(failure(error.message))))
        worker.on("exit", (code) => resume(Effect.fail(failure(`it ended with code ${code} before it was done`))))
        return Effect.promise(() => worker.terminate())
      })
    })
