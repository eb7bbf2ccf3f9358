/** Rewriting an archive's files behind the archiver's back: the same records are read, and the archiver goes on. */
import { assert, describe, it } from "@effect/vitest"
import { OneLog } from "@headrace/archive"
import { Batch } from "@headrace/core"
import { Commit, FileCatalog, Maintenance, Metadata, Scan, Table } from "@headrace/iceberg"
import { ColumnReader, ColumnWriter } from "@headrace/parquet"
import { ObjectStore } from "@headrace/s3"
import { Effect, Layer, Stream } from "effect"
import * as f from "./fixtures.ts"

const place = OneLog.layer.pipe(Layer.provideMerge(f.memory))

/** Everything that the one log gives of partition 0, archive first. */
const read = (until: number) =>
  Effect.gen(function* () {
    const log = yield* OneLog.OneLog
    const options = { topic: "orders", partition: 0, from: 0, until, columns: f.columns, prefer: "archive" as const }
    const batches = yield* Stream.runCollect(log.read(f.codec, options))
    return batches.flatMap((b) =>
      Array.from({ length: b.count }, (_, i) => {
        return {
          offset: b.offsets[i],
          kind: b.kinds?.[i] ?? Batch.Kind.decoded,
          values: f.columns.map((name) => b.columns[name]?.[i] ?? null)
        }
      })
    )
  })

/** Writes the rows of some files into one, row group by row group, and replaces them by it. */
const mergeFiles = (table: Table.Table, removed: ReadonlyArray<Scan.FileTask>, key: string) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const chunks: Array<Uint8Array> = []
    const sink = (chunk: Uint8Array) => void chunks.push(chunk)
    const files = yield* Effect.forEach(removed, ({ file }) =>
      Effect.gen(function* () {
        const from = yield* Table.keyOf(table, file.path)
        return yield* ColumnReader.open(ColumnReader.fromBytes(from, yield* store.get(from)))
      })
    )
    const { keyValueMetadata, schema } = files[0]!
    const writer = yield* ColumnWriter.make({ schema, sink, keyValueMetadata })
    for (const file of files) {
      for (const group of file.rowGroups.keys()) {
        const names = schema.map((field) => field.name)
        const { columns, rowCount } = yield* ColumnReader.readRowGroup(file, group, names)
        yield* writer.writeRowGroup(columns, rowCount)
      }
    }
    const summary = yield* writer.finish()
    yield* store.put(`${table.prefix}/${key}`, Uint8Array.from(Buffer.concat(chunks)))
    return yield* Commit.replace(table, { removed, added: [{ key, partition: removed[0]!.file.partition, summary }] })
  })

describe("An archive whose files are replaced", () => {
  it.live("holds the same records, and the archiver goes on", () =>
    Effect.gen(function* () {
      yield* f.topic(40)
      yield* f.archive({ until: new Map([[0, 40]]), fileRows: 10, rowGroupRows: 4 })
      const before = yield* read(40)
      assert.strictEqual(before.length, 40)
      const held = yield* f.holding
      let table = yield* FileCatalog.load({ prefix: "orders" })
      const inOrder = (tasks: ReadonlyArray<Scan.FileTask>) => {
        const offset = Scan.layout(table.metadata).current.get("__offset")!
        const first = (task: Scan.FileTask) => Number(Scan.bounds(task.file, offset).lower)
        return [...tasks].sort((a, b) => first(a) - first(b))
      }
      const tasks = inOrder(yield* Table.scan(table))
      assert.strictEqual(tasks.length, 4)
      table = yield* mergeFiles(table, tasks.slice(1, 3), "data/merged-1.parquet")
      assert.deepStrictEqual(yield* read(40), before)
      table = yield* mergeFiles(table, inOrder(yield* Table.scan(table)).slice(0, 2), "data/merged-2.parquet")
      assert.strictEqual((yield* Table.scan(table)).length, 2)
      assert.strictEqual(Metadata.currentSnapshot(table.metadata)!.summary["operation"], "replace")
      assert.deepStrictEqual(yield* read(40), before)
      assert.deepStrictEqual(yield* f.holding, held)
      // Expiry leaves the trail from the last replace back to what the archiver committed.
      yield* Effect.sleep(5)
      yield* Maintenance.expireSnapshots(table, { olderThan: 1, retainLast: 1 })
      assert.deepStrictEqual(yield* f.holding, held)
      assert.deepStrictEqual(yield* read(40), before)
      yield* f.append(0, f.orders(40, 60))
      yield* f.archive({ until: new Map([[0, 60]]), fileRows: 10, rowGroupRows: 4 })
      const rows = yield* f.inTable
      assert.deepStrictEqual(
        rows.map((row) => row.offset),
        Array.from({ length: 60 }, (_, i) => i)
      )
      assert.deepStrictEqual((yield* read(60)).slice(0, 40), before)
      assert.deepStrictEqual((yield* f.holding)!.ranges.get(0), { begin: 0, end: 60 })
    }).pipe(Effect.provide(place))
  )
})
