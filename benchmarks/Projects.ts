/** Projects to measure: golden orders in 4 partitions, in an archive that the archiver wrote, or in the embedded log. */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Archiver, ArchiveTable } from "@headrace/archive"
import * as JsonCodec from "@headrace/core/JsonCodec"
import { SqliteLog } from "@headrace/embedded"
import { FolderObjectStore } from "@headrace/s3"
import { Effect, Layer } from "effect"
import * as OrdersLog from "example-orders/OrdersLog"
import { completedPerMinute } from "example-orders/views"
import { Progress } from "headrace"

export const partitions = 4

const config = `import { defineConfig } from "headrace"
export default defineConfig({ log: { path: "log.db" }, archive: { path: "archive" }, store: { path: "views.db" }, views: ["views.ts"] })
`

/** Gives a folder of the benchmarks' own, from which their packages resolve, and removes it at the end, however that comes. */
export const withFolder = async <A>(body: (folder: string) => Promise<A>): Promise<A> => {
  const folder = mkdtempSync(join(import.meta.dirname, ".run-"))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const stop = () => process.exit(130)
  process.once("exit", remove).once("SIGINT", stop).once("SIGTERM", stop)
  try {
    return await body(folder)
  } finally {
    process.off("exit", remove).off("SIGINT", stop).off("SIGTERM", stop)
    remove()
  }
}

const makeProject = (folder: string): void => {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "headrace.config.ts"), config)
  writeFileSync(join(folder, "views.ts"), 'export { completedPerMinute } from "example-orders/views"\n')
}

/** Makes a project with so many orders in its embedded log and no archive. */
export const prepareLog = async (folder: string, rows: number): Promise<void> => {
  makeProject(folder)
  const run = OrdersLog.append("orders", { rows, partitions })
  await Effect.runPromise(run.pipe(Effect.provide(SqliteLog.layer({ path: join(folder, "log.db") }))))
}

/** Makes a project with so many orders in its log, all of them archived. */
export const prepareArchive = async (folder: string, rows: number): Promise<void> => {
  await prepareLog(folder, rows)
  const location = join(folder, "archive")
  const archive = ArchiveTable.layer({ location }).pipe(Layer.provideMerge(FolderObjectStore.layer({ path: location })))
  const codec = JsonCodec.make(completedPerMinute.source.schema)
  const run = Effect.gen(function* () {
    const progress = yield* Progress.make({ title: "archive", unit: "orders", total: rows })
    yield* Archiver.run({ topic: "orders", codec, fileRows: 2_000_000, onProgress: progress.add })
    yield* progress.done
  })
  const log = SqliteLog.layer({ path: join(folder, "log.db") })
  await Effect.runPromise(run.pipe(Effect.provide(Layer.merge(archive, log))))
  // What the system still has to write would be written while we measure.
  execFileSync("sync")
}
