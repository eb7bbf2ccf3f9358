/**
 * Objects of lines into Parquet, by `ObjectSource` and `ObjectSink` on a folder with the defaults of both, in a process of its own, so that its
 * memory and its CPU time are its own: `node Copy.ts FOLDER NAME PATH`, with `heapFlags` before it. Prints what it measured as JSON.
 */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { FolderObjectStore, ObjectSink, ObjectSource } from "@headrace/s3"
import { Effect, Schema } from "effect"
import { peak } from "./Peak.ts"

export interface Copied {
  readonly seconds: number
  /** Of all threads, user and system. */
  readonly cpuSeconds: number
  /** At its peak, in MB. */
  readonly rss: number
  readonly rows: number
  readonly files: number
}

/** Without them Node lets its heap grow to a multiple of what is alive in it. */
export const heapFlags: ReadonlyArray<string> = ["--max-semi-space-size=2", "--max-old-space-size=80"]

/** Copies `orders/` of the folder to `NAME/` in it. */
export const copy = async (folder: string, name: string, path: string): Promise<Copied> => {
  const args = [...heapFlags, import.meta.filename, folder, name, path]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return JSON.parse(stdout) as Copied
}

const Order = Schema.Struct({
  order_id: Schema.String,
  user_id: Schema.String,
  category: Schema.String,
  region: Schema.String,
  total: ObjectSource.decimal(2),
  status: Schema.String,
  ts: ObjectSource.instant
})

const run = (folder: string, name: string, path: string): Promise<Copied> =>
  Effect.gen(function* () {
    const started = performance.now()
    const cpu = process.cpuUsage()
    const { files, rows } = yield* ObjectSink.run(
      { name, prefix: name, schema: Order, format: { kind: "parquet" }, path },
      (start) =>
        ObjectSource.columns({
          prefix: "orders/",
          schema: Order,
          from: start.get(0)?.resume as ObjectSource.Checkpoint | undefined
        })
    )
    const seconds = (performance.now() - started) / 1000
    const { system, user } = process.cpuUsage(cpu)
    return { seconds, cpuSeconds: (user + system) / 1e6, rss: peak(), rows, files }
  }).pipe(Effect.provide(FolderObjectStore.layer({ path: folder })), Effect.runPromise)

if (import.meta.main) {
  const [folder, name, path] = process.argv.slice(2)
  process.stdout.write(JSON.stringify(await run(folder!, name!, path!)))
}
