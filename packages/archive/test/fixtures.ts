/** A topic of orders with all that a log may hold, the places where its archive may be, and what is in that archive, row by row. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Archive, Archiver, ArchiveTable } from "@headrace/archive"
import { Batch, JsonCodec, TopicSchema } from "@headrace/core"
import { EventLog } from "@headrace/core/EventLog"
import { SqliteLog } from "@headrace/embedded"
import { FileCatalog, Table } from "@headrace/iceberg"
import { ColumnReader } from "@headrace/parquet"
import { FolderObjectStore, MemoryObjectStore, ObjectStore } from "@headrace/s3"
import { Effect, Layer, Schema, Stream } from "effect"

class Order extends Schema.Class<Order>("Order")({
  id: Schema.Int,
  total: TopicSchema.decimal(2),
  note: Schema.NullOr(Schema.String)
}) {}

export const codec = JsonCodec.make(TopicSchema.make(Order))
export const columns = ["id", "total", "note"]

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "headrace-archive-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** A log in a folder of its own, and an archive over the store. */
export const over = (store: Layer.Layer<ObjectStore>) =>
  Layer.unwrap(
    Effect.map(temporaryFolder, (folder) =>
      Layer.mergeAll(
        Layer.orDie(SqliteLog.layer({ path: join(folder, "log.db") })),
        ArchiveTable.layer({ location: "s3://bucket" }).pipe(Layer.provideMerge(store))
      )
    )
  )

/** A bucket of its own on the integration suite's server. Loaded only there. */
const onServer = (endpoint: string) =>
  Layer.orDie(
    Layer.unwrap(
      Effect.promise(async () => {
        const { access, bucket } = await import("integration-suite/S3Access")
        const S3ObjectStore = await import("@headrace/s3/S3ObjectStore")
        return S3ObjectStore.layer({ ...access(endpoint), bucket: await Effect.runPromise(bucket(endpoint)) })
      })
    )
  )

/** Set by the integration suite. */
const server = process.env["HEADRACE_S3_VERSITYGW"]

export const memory = over(MemoryObjectStore.layer)
export const places: ReadonlyArray<readonly [string, ReturnType<typeof over>]> = [
  ["memory", memory],
  [
    "folder",
    over(Layer.orDie(Layer.unwrap(Effect.map(temporaryFolder, (folder) => FolderObjectStore.layer({ path: folder })))))
  ],
  ...(server === undefined ? [] : [["S3", over(onServer(server))] as const])
]

/** What a producer sends. */
export interface Sent {
  readonly key: string | null
  readonly value: string | Uint8Array | null
  readonly timestamp: number
  readonly headers?: ReadonlyArray<Batch.Header>
}

/** Order `i`; every seventh one is poison, every ninth one a tombstone, some have headers or no key. */
const order = (i: number): Sent => ({
  key: i % 5 === 0 ? null : `k${i}`,
  value:
    i % 9 === 8
      ? null
      : i % 7 === 6
        ? `{"id":${i},"total":`
        : JSON.stringify({ id: i, total: i / 4, note: i % 3 === 0 ? null : `é😀 ${i}` }),
  timestamp: 1_700_000_000_000 + 997 * i,
  ...(i % 4 === 0 ? { headers: [{ key: "h", value: i % 8 === 0 ? null : new Uint8Array([0, 255, i]) }] } : {})
})

export const append = Effect.fnUntraced(function* (partition: number, sent: ReadonlyArray<Sent>, topic = "orders") {
  const log = yield* EventLog
  const builder = new Batch.BatchBuilder(4, 64)
  for (const s of sent) builder.add(s.key, s.value, s.timestamp, s.headers)
  yield* log.append(topic, partition, builder.take())
})

/** A topic whose partitions hold so many orders. */
export const topic = Effect.fnUntraced(function* (...counts: ReadonlyArray<number>) {
  const log = yield* EventLog
  yield* log.createTopic("orders", { partitions: counts.length })
  for (const [p, n] of counts.entries()) if (n > 0) yield* append(p, orders(0, n))
})

export const orders = (from: number, until: number): ReadonlyArray<Sent> =>
  Array.from({ length: until - from }, (_, i) => order(from + i))

export const archive = (options: Partial<Archiver.Options> = {}) =>
  Archiver.run({ topic: "orders", codec, fileRows: 10, rowGroupRows: 4, ...options })

const hex = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString("hex"))

/** A record without its decoded columns, bytes as hexadecimal text. */
export interface Stored {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: ReadonlyArray<readonly [string, string | null]>
}

const headersOf = (headers: ReadonlyArray<Batch.Header> | null | undefined) =>
  (headers ?? []).map((h) => [h.key, hex(h.value)] as const)

/** Everything that the log holds. */
export const inLog = Effect.gen(function* () {
  const log = yield* EventLog
  const { partitions } = yield* log.describe("orders")
  const out: Array<Stored> = []
  for (const { begin, end, partition } of partitions) {
    yield* log.read({ topic: "orders", partition, from: begin, until: end }).pipe(
      Stream.runForEach((batch) =>
        Effect.sync(() => {
          for (let i = 0; i < batch.count; i++)
            out.push({
              partition,
              offset: batch.offsets[i]!,
              timestamp: batch.timestamps[i]!,
              key: hex(Batch.keyOf(batch, i)),
              value: hex(Batch.valueOf(batch, i)),
              headers: headersOf(batch.headers?.[i])
            })
        })
      )
    )
  }
  return out
})

/** A row of the table, and the file that it is in. */
interface Row extends Stored {
  readonly file: string
  readonly kind: string
  readonly arrived: number
  readonly columns: Readonly<Record<string, unknown>>
}

/** Every row of the table's current snapshot, read from its files without the archive's own reader, by partition and offset. */
export const inTable = Effect.gen(function* () {
  const store = yield* ObjectStore
  const table = yield* FileCatalog.load({ prefix: "orders" })
  const out: Array<Row> = []
  for (const { file } of yield* Table.scan(table)) {
    const key = yield* Table.keyOf(table, file.path)
    const parquet = yield* ColumnReader.open(ColumnReader.fromBytes(key, yield* store.get(key)))
    for (const g of parquet.rowGroups.keys()) {
      const names = parquet.schema.map((f) => f.name)
      const { columns: c, rowCount } = yield* ColumnReader.readRowGroup(parquet, g, names)
      for (let i = 0; i < rowCount; i++)
        out.push({
          partition: c["__partition"]![i] as number,
          offset: c["__offset"]![i] as number,
          timestamp: c["__timestamp"]![i] as number,
          key: hex(c["__key"]![i] as Uint8Array | null),
          value: hex(c["__value"]![i] as Uint8Array | null),
          headers: headersOf(c["__headers"]![i] as ReadonlyArray<Batch.Header> | null),
          file: key,
          kind: c["__kind"]![i] as string,
          arrived: c["__arrived"]![i] as number,
          columns: Object.fromEntries(columns.filter((name) => name in c).map((name) => [name, c[name]![i]]))
        })
    }
  }
  return out.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
})

export const bare = ({ headers, key, offset, partition, timestamp, value }: Stored): Stored => ({
  partition,
  offset,
  timestamp,
  key,
  value,
  headers
})

/** Data files in the store, and those of them that the table doesn't name. */
export const dataFiles = Effect.gen(function* () {
  const store = yield* ObjectStore
  const all = Array.from(yield* Stream.runCollect(store.list("orders/data/")), (o) => o.key)
  const table = yield* FileCatalog.load({ prefix: "orders" })
  const tasks = yield* Table.scan(table)
  const named = new Set(yield* Effect.forEach(tasks, ({ file }) => Table.keyOf(table, file.path)))
  return { all, orphans: all.filter((key) => !named.has(key)) }
})

export const holding = Effect.flatMap(Archive.Archive, (archive) => archive.holding("orders"))
