/** Projects to measure: golden orders in 4 partitions, in an archive that the archiver wrote, or in the embedded log. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Archiver, ArchiveTable } from "@headrace/archive"
import { BatchBuilder, type RecordBatch } from "@headrace/core/Batch"
import { EventLog, EventLogError, TopicNotFound } from "@headrace/core/EventLog"
import * as JsonCodec from "@headrace/core/JsonCodec"
import { SqliteLog } from "@headrace/embedded"
import { FolderObjectStore } from "@headrace/s3"
import { Effect, Layer, Stream } from "effect"
import * as Orders from "example-orders/Orders"
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

const batchRecords = 16_384

/** The orders of a partition with offsets in `[from, until)`, made as they are read. */
function* ordersOf(rows: number, partition: number, from: number, until: number, size: number): Generator<RecordBatch> {
  const cursor = new Orders.Cursor({ rows })
  const builder = new BatchBuilder(size, size * 200)
  let next = 0
  const take = (): RecordBatch => {
    const records = builder.take()
    const base = next - records.count
    const offsets = Float64Array.from({ length: records.count }, (_, i) => base + i)
    return { ...records, topic: "orders", partition, base, next, offsets }
  }
  while (next < until && cursor.next()) {
    const { order } = cursor
    if (order.index % partitions !== partition || next++ < from) continue
    builder.add(Orders.orderId(order.index), Orders.json(order), order.ts)
    if (builder.count === size) yield take()
  }
  if (builder.count > 0) yield take()
}

/** The project's log, except that its orders are made as they are read: so nothing but the archive fills the disk. */
const generated = (rows: number, path: string): Layer.Layer<EventLog, EventLogError> =>
  Layer.effect(
    EventLog,
    Effect.gen(function* () {
      const log = yield* EventLog
      const { id } = yield* log.createTopic("orders", { partitions })
      const ends = Array.from({ length: partitions }, (_, partition) => Math.ceil((rows - partition) / partitions))
      return EventLog.of({
        ...log,
        describe: (topic) =>
          topic === "orders"
            ? Effect.succeed({
                name: topic,
                id,
                partitions: ends.map((end, partition) => ({ partition, begin: 0, end }))
              })
            : Effect.fail(new EventLogError({ reason: new TopicNotFound({ topic }) })),
        // One at a time: the archiver sets the pace.
        read: ({ from, maxRecords = batchRecords, partition, until = ends[partition]! }) =>
          Stream.fromIterable(ordersOf(rows, partition, from, until, maxRecords), { chunkSize: 1 })
      })
    })
  ).pipe(Layer.provide(SqliteLog.layer({ path })))

/** Makes a project with the archive of so many orders; its log is empty. */
export const prepareArchive = async (folder: string, rows: number): Promise<void> => {
  makeProject(folder)
  const location = join(folder, "archive")
  const archive = ArchiveTable.layer({ location }).pipe(Layer.provideMerge(FolderObjectStore.layer({ path: location })))
  const codec = JsonCodec.make(completedPerMinute.source.schema)
  const run = Effect.gen(function* () {
    const progress = yield* Progress.make({ title: "archive", unit: "orders", total: rows })
    yield* Archiver.run({ topic: "orders", codec, fileRows: 2_000_000, onProgress: progress.add })
    yield* progress.done
  })
  await Effect.runPromise(run.pipe(Effect.provide(Layer.merge(archive, generated(rows, join(folder, "log.db"))))))
}

/** Makes a project with so many orders in its embedded log and no archive. */
export const prepareLog = async (folder: string, rows: number): Promise<void> => {
  makeProject(folder)
  const run = OrdersLog.append("orders", { rows, partitions })
  await Effect.runPromise(run.pipe(Effect.provide(SqliteLog.layer({ path: join(folder, "log.db") }))))
}
