/** Verifying an archive: a sound one, and each thing that can be wrong with one, which is named. */
import { assert, describe, it } from "@effect/vitest"
import { type Archive, Coverage, Verify } from "@headrace/archive"
import * as ArchiveSchema from "@headrace/archive/ArchiveSchema"
import { Batch } from "@headrace/core"
import type { EventLog } from "@headrace/core/EventLog"
import { Commit, FileCatalog, Metadata, type NewFile, Table } from "@headrace/iceberg"
import { ColumnWriter } from "@headrace/parquet"
import { ObjectStore } from "@headrace/s3"
import { Effect, Result } from "effect"
import * as f from "./fixtures.ts"

const verify = (options: Partial<Verify.Options> = {}) =>
  Effect.map(Verify.run({ topic: "orders", ...options }), (report) => report!)

const found = Effect.map(verify(), ({ findings }) => findings)
const kinds = Effect.map(found, (all) => [...new Set(all.map((x) => x.kind))].toSorted())

/** Two partitions, four files, two commits. */
const archived = Effect.gen(function* () {
  yield* f.topic(15, 12)
  yield* f.archive()
  return yield* FileCatalog.load({ prefix: "orders" })
})

const aFile = Effect.gen(function* () {
  const table = yield* FileCatalog.load({ prefix: "orders" })
  const [task] = yield* Table.scan(table)
  return { path: task!.file.path, key: yield* Table.keyOf(table, task!.file.path) }
})

/** Commits metadata as a tool would that knows nothing of us. */
const tamper = (change: (metadata: Metadata.TableMetadata) => Metadata.TableMetadata) =>
  Effect.gen(function* () {
    const table = yield* FileCatalog.load({ prefix: "orders" })
    assert.strictEqual(yield* FileCatalog.publish(table, change(table.metadata), "tampered"), "committed")
  })

const withVector = (change: (vector: Record<string, unknown>) => object) =>
  tamper((metadata) => {
    const vector = JSON.parse(Metadata.property(metadata, Coverage.property)!) as Record<string, unknown>
    return { ...metadata, properties: { ...metadata.properties, [Coverage.property]: JSON.stringify(change(vector)) } }
  })

/** The table one of its snapshots earlier. */
const rollBack = (metadata: Metadata.TableMetadata): Metadata.TableMetadata => {
  const parent = Metadata.currentSnapshot(metadata)!["parent-snapshot-id"]!
  return {
    ...metadata,
    "current-snapshot-id": parent,
    refs: { main: { type: "branch", "snapshot-id": parent } }
  }
}

/** Commits another file of partition 0 as the archiver would, with these offsets, where `forge` makes it say something else. */
const append = (offsets: ReadonlyArray<number>, forge: (file: NewFile) => NewFile, range = { begin: 15, end: 20 }) =>
  Effect.gen(function* () {
    const table = yield* FileCatalog.load({ prefix: "orders" })
    const { coverage } = Result.getOrThrow(Coverage.stored(table.metadata))
    const builder = new Batch.BatchBuilder()
    for (const o of offsets) builder.add(`k${o}`, JSON.stringify({ id: o, total: 1, note: null }), o)
    const batch = {
      ...builder.take(),
      topic: "orders",
      partition: 0,
      base: range.begin,
      next: range.end,
      offsets: Float64Array.from(offsets)
    }
    const decoded = yield* f.codec.decode(batch, f.columns)
    const chunks: Array<Uint8Array> = []
    const writer = yield* ColumnWriter.make({ schema: yield* Table.fields(table), sink: (c) => void chunks.push(c) })
    yield* writer.writeRowGroup(ArchiveSchema.toColumns(f.codec.schema, batch, decoded, coverage.arrived), batch.count)
    const summary = yield* writer.finish()
    const key = "data/forged.parquet"
    yield* (yield* ObjectStore).put(`orders/${key}`, new Uint8Array(Buffer.concat(chunks)))
    const day = Math.floor(coverage.arrived / 86_400_000)
    const file = forge({ key, partition: { __partition: 0, __arrived_day: day }, summary })
    const ranges = new Map([...coverage.ranges, [0, { begin: 0, end: range.end }]])
    const after = { ...coverage, ranges, records: coverage.records + file.summary.rowCount }
    yield* Commit.append(table, {
      files: [file],
      summary: Coverage.summary([[0, range]]),
      setProperties: (id) => ({ [Coverage.property]: Coverage.print(after, id) })
    })
  })

const forgeColumn = (name: string, change: object) => (file: NewFile) => ({
  ...file,
  summary: {
    ...file.summary,
    columns: file.summary.columns.map((c) => ("name" in c && c.name === name ? { ...c, ...change } : c))
  }
})

const test = (name: string, body: Effect.Effect<void, unknown, Archive.Archive | EventLog | ObjectStore>) =>
  it.effect(name, () => body.pipe(Effect.provide(f.memory)))

describe("Verify", () => {
  test(
    "finds nothing in a sound archive, and says what it read",
    Effect.gen(function* () {
      assert.isUndefined(yield* Verify.run({ topic: "orders" }))
      yield* archived
      let read = 0
      const report = yield* verify({ onProgress: (n) => Effect.sync(() => void (read += n)) })
      assert.deepStrictEqual(report, {
        topic: "orders",
        snapshots: 2,
        files: 4,
        records: 27,
        findings: [],
        repaired: undefined
      })
      assert.strictEqual(read, 27)
      yield* append([15, 16, 19], (file) => file)
      assert.deepStrictEqual((yield* verify()).findings, [])
    })
  )

  test(
    "names a data file that is gone, cut, or damaged",
    Effect.gen(function* () {
      yield* archived
      const store = yield* ObjectStore
      const { key, path } = yield* aFile
      const bytes = yield* store.get(key)
      const damaged = bytes.slice()
      damaged.fill(0xff, 8, 60)
      const cases = [
        ["file-missing", store.delete(key)],
        ["file-size", store.put(key, bytes.subarray(0, bytes.length - 9))],
        ["file-unreadable", store.put(key, damaged)]
      ] as const
      for (const [kind, damage] of cases) {
        yield* damage
        const [first, ...others] = yield* found
        assert.deepStrictEqual([first!.kind, first!.file], [kind, path])
        assert.include(first!.todo, "restore the file")
        // The records that it held are missed.
        assert.deepStrictEqual([...new Set(others.map((x) => x.kind))], ["count"])
        yield* store.put(key, bytes)
        assert.deepStrictEqual(yield* found, [])
      }
    })
  )

  const forged: ReadonlyArray<readonly [kind: string, what: string, made: ReturnType<typeof append>]> = [
    ["file-bounds", 'lower bound of the column "total"', append([15, 16], forgeColumn("total", { min: 101 }))],
    ["file-bounds", 'upper bound of the column "__kind"', append([15, 16], forgeColumn("__kind", { max: "d" }))],
    ["file-bounds", 'lower bound of the column "__offset"', append([15, 16], forgeColumn("__offset", { min: 14 }))],
    ["file-rows", 'nulls of the column "note"', append([15, 16], forgeColumn("note", { nullCount: 1 }))],
    [
      "file-rows",
      "the manifest says 3 rows",
      append([15, 16], (x) => ({ ...x, summary: { ...x.summary, rowCount: 3 } }))
    ],
    [
      "file-partition",
      "__partition = 1",
      append([15, 16], (x) => ({ ...x, partition: { ...x.partition, __partition: 1 } }))
    ],
    [
      "file-partition",
      "__arrived_day = 9",
      append([15, 16], (x) => ({ ...x, partition: { ...x.partition, __arrived_day: 9 } }))
    ],
    ["file-offsets", "offset 15 comes behind 17", append([15, 17, 15, 18], (x) => x)],
    ["overlap", "overlap those of", append([14, 15], (x) => x)],
    ["outside", "[15, 20), which snapshot", append([15, 21], (x) => x)]
  ]
  for (const [kind, what, made] of forged)
    test(
      `names a file whose manifest or place is wrong: ${what}`,
      Effect.gen(function* () {
        yield* archived
        yield* made
        const all = yield* found
        const own = all.filter((x) => x.kind === kind && x.detail.includes(what))
        assert.strictEqual(own.length, 1, JSON.stringify(all, null, 1))
        assert.match(own[0]!.file!, /forged\.parquet$/)
      })
    )

  test(
    "says that the vector and the snapshots differ, whichever is wrong",
    Effect.gen(function* () {
      const { metadata } = yield* archived
      const text = Metadata.property(metadata, Coverage.property)!
      const vector = JSON.parse(text) as { readonly partitions: ReadonlyArray<object> }
      const [first, second] = vector.partitions
      const cases = [
        ["range", { partitions: [{ ...first, end: 16 }, second] }],
        ["range", { partitions: [{ ...first, begin: 1 }, second] }],
        ["range", { partitions: [first] }],
        ["count", { records: 28 }]
      ] as const
      for (const [kind, change] of cases) {
        yield* withVector((own) => ({ ...own, ...change }))
        assert.include(yield* kinds, kind)
        yield* withVector(() => vector)
      }
      yield* withVector((own) => ({ ...own, records: "many" }))
      assert.deepStrictEqual(yield* kinds, ["vector"])
      yield* withVector(() => vector)
      assert.deepStrictEqual(yield* kinds, [])
      yield* tamper((m) => ({
        ...m,
        snapshots: m.snapshots!.map((s, i) =>
          i === 0 ? s : { ...s, summary: { ...s.summary, "headrace.range.0": "11-15" } }
        )
      }))
      const [gap] = yield* found
      assert.deepStrictEqual([gap!.kind, gap!.partition], ["range", 0])
      assert.include(gap!.detail, "[11, 15), and the snapshots before it end at 10")
    })
  )

  test(
    "names another writer's commit, and metadata that is gone",
    Effect.gen(function* () {
      const table = yield* archived
      const list = Metadata.currentSnapshot(table.metadata)!["manifest-list"]
      const after = yield* Commit.append(table, { files: [] })
      const [foreign] = yield* found
      assert.deepStrictEqual(
        [foreign!.kind, foreign!.snapshot],
        ["foreign-commit", `${Metadata.currentId(after.metadata)}`]
      )
      yield* tamper(rollBack)
      assert.deepStrictEqual(yield* kinds, [])
      yield* (yield* ObjectStore).delete(yield* Table.keyOf(table, list))
      const [gone] = yield* found
      assert.deepStrictEqual([gone!.kind, gone!.file], ["metadata", list])
    })
  )

  test(
    "repairs a rollback: the archiver takes again what was rolled back, and all is there once",
    Effect.gen(function* () {
      yield* archived
      yield* tamper(rollBack)
      const [finding, ...others] = yield* found
      assert.deepStrictEqual([finding!.kind, others], ["rolled-back", []])
      assert.include(finding!.todo, "--repair")
      assert.isTrue(Result.isFailure(yield* Effect.result(f.archive())), "archived on an unknown vector")
      const { findings, repaired } = yield* verify({ repair: true })
      assert.deepStrictEqual(findings, [])
      assert.include(repaired!, "partition 0 ends at 10, partition 1 ends at 10")
      assert.deepStrictEqual(yield* kinds, [])
      yield* f.archive()
      assert.deepStrictEqual(yield* kinds, [])
      assert.deepStrictEqual((yield* f.inTable).map(f.bare), yield* f.inLog)
    })
  )

  test(
    "repairs nothing where more is wrong than the vector, or less is known",
    Effect.gen(function* () {
      yield* archived
      yield* tamper(rollBack)
      const store = yield* ObjectStore
      const { key } = yield* aFile
      const bytes = yield* store.get(key)
      yield* store.delete(key)
      const before = yield* FileCatalog.load({ prefix: "orders" })
      const refused = yield* verify({ repair: true })
      assert.isUndefined(refused.repaired)
      assert.includeMembers(
        refused.findings.map((x) => x.kind),
        ["rolled-back", "file-missing"]
      )
      assert.strictEqual((yield* FileCatalog.load({ prefix: "orders" })).version, before.version)
      yield* store.put(key, bytes)
      // As if it had had an ancestor that was expired.
      yield* tamper((m) => ({ ...m, snapshots: m.snapshots!.map((s) => ({ ...s, "parent-snapshot-id": 4711 })) }))
      const unknown = yield* verify({ repair: true })
      assert.isUndefined(unknown.repaired)
      assert.include(unknown.findings[0]!.todo, "set the table's current snapshot to")
    })
  )
})
