/** What the archiver promises: every record of the log is in the table once, bit for bit, whatever happens on the way. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Archive, Coverage, HandOver } from "@headrace/archive"
import { JsonCodec, TopicSchema } from "@headrace/core"
import { EventLog } from "@headrace/core/EventLog"
import { FileCatalog, Metadata } from "@headrace/iceberg"
import { CommitPoint } from "@headrace/iceberg/CommitPoint"
import { ColumnReader } from "@headrace/parquet"
import { ObjectStore } from "@headrace/s3"
import { Effect, Result, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as f from "./fixtures.ts"

const complete = Effect.gen(function* () {
  assert.deepStrictEqual((yield* f.inTable).map(f.bare), yield* f.inLog)
})

/** What the archive covers as of its newest snapshot. */
const coverage = Effect.gen(function* () {
  const { metadata } = yield* FileCatalog.load({ prefix: "orders" })
  return Result.getOrThrow(Coverage.read(metadata))
})

/** The zombie, which goes to sleep with its files written and wakes when the other has committed. */
const overtaken = <A, E, R>(zombie: Effect.Effect<A, E, R>, other: Effect.Effect<unknown, unknown, R>) =>
  Effect.map(Effect.context<R>(), (context) => {
    const asleep = other.pipe(
      Effect.provideService(CommitPoint, () => Effect.void),
      Effect.provide(context),
      Effect.asVoid,
      Effect.orDie
    )
    return Effect.provideService(zombie, CommitPoint, (point) => (point === "after-manifest" ? asleep : Effect.void))
  })

/** Records of each row group, by file in the order of their offsets. */
const rowGroups = Effect.gen(function* () {
  const store = yield* ObjectStore
  const files = [...new Set((yield* f.inTable).map((row) => row.file))]
  return yield* Effect.forEach(files, (file) =>
    Effect.gen(function* () {
      const parquet = yield* ColumnReader.open(ColumnReader.fromBytes(file, yield* store.get(file)))
      return parquet.rowGroups.map((g) => g.rowCount)
    })
  )
})

describe("Archiver, sizes", () => {
  it.effect("ends a file when it has its bytes, and goes on in another", () =>
    Effect.gen(function* () {
      yield* f.topic(10)
      const { commits, files } = yield* f.archive({ fileRows: 1_000, fileBytes: 1 })
      assert.deepStrictEqual([commits, files], [3, 3])
      assert.deepStrictEqual(yield* rowGroups, [[4], [4], [2]])
      yield* complete
    }).pipe(Effect.provide(f.memory))
  )

  it.effect("ends a row group when its keys and values have so many bytes", () =>
    Effect.gen(function* () {
      yield* f.topic(20_000)
      const groups = { fileRows: 100_000, rowGroupRows: 100_000 }
      yield* f.archive({ ...groups, rowGroupBytes: 1, until: new Map([[0, 10_000]]) })
      yield* f.archive({ ...groups, rowGroupBytes: 10_000_000 })
      assert.deepStrictEqual(yield* rowGroups, [[8_192, 1_808], [10_000]])
      yield* complete
    }).pipe(Effect.provide(f.memory))
  )
})

for (const [name, place] of f.places) {
  describe(`Archiver, ${name}`, () => {
    it.effect(
      "takes each record once over many rounds and runs, bit for bit, with poison, tombstones, headers and null keys",
      () =>
        Effect.gen(function* () {
          yield* f.topic(47, 0, 12)
          const first = yield* f.archive()
          assert.deepStrictEqual([first.records, first.commits, first.files], [59, 5, 7])
          yield* complete
          for (let more = 0; more < 3; more++) {
            yield* f.append(more, f.orders(100, 105 + 10 * more))
            yield* f.archive()
            const { commits, records } = yield* f.archive()
            assert.deepStrictEqual([records, commits], [0, 0])
            yield* complete
          }
          const rows = yield* f.inTable
          for (const kind of ["decoded", "raw", "tombstone"]) assert.isTrue(rows.some((r) => r.kind === kind))
          assert.isTrue(rows.some((r) => r.key === null) && rows.some((r) => r.headers.some(([, v]) => v === null)))
          for (const row of rows) {
            const sent = row.value === null ? null : Buffer.from(row.value, "hex").toString()
            if (row.kind !== "decoded") assert.deepStrictEqual(row.columns, { id: null, total: null, note: null })
            else {
              const { id, note, total } = JSON.parse(sent!) as { id: number; note: string | null; total: number }
              assert.deepStrictEqual(row.columns, { id, total: total * 100, note })
            }
          }
          assert.deepStrictEqual(yield* f.holding, {
            topicId: (yield* Effect.flatMap(EventLog, (log) => log.describe("orders"))).id,
            ranges: new Map([
              [0, { begin: 0, end: 52 }],
              [1, { begin: 0, end: 15 }],
              [2, { begin: 0, end: 37 }]
            ]),
            records: rows.length
          })
        }).pipe(Effect.provide(place))
    )
  })
}

layer(f.memory)("Archiver, the table", (it) => {
  it.effect("has the columns, the partitioning, the order and the ranges that other engines may rely on", () =>
    Effect.gen(function* () {
      yield* f.topic(25, 3)
      yield* f.archive()
      const { metadata } = yield* FileCatalog.load({ prefix: "orders" })
      assert.deepStrictEqual(
        Metadata.currentSchema(metadata).fields.map((c) => [c.name, c.required, c.type]),
        [
          ["id", false, "long"],
          ["total", false, "decimal(18, 2)"],
          ["note", false, "string"],
          ["__partition", true, "int"],
          ["__offset", true, "long"],
          ["__timestamp", true, "timestamptz"],
          ["__timestamp_type", true, "int"],
          ["__key", false, "binary"],
          [
            "__headers",
            false,
            {
              type: "list",
              "element-id": 13,
              element: {
                type: "struct",
                fields: [
                  { id: 14, name: "key", required: true, type: "string" },
                  { id: 15, name: "value", required: false, type: "binary" }
                ]
              },
              "element-required": true
            }
          ],
          ["__arrived", true, "timestamptz"],
          ["__kind", true, "string"],
          ["__value", false, "binary"]
        ]
      )
      assert.deepStrictEqual(
        Metadata.defaultSpec(metadata).fields.map((p) => [p.name, p.transform]),
        [
          ["__partition", "identity"],
          ["__arrived_day", "day"]
        ]
      )
      assert.deepStrictEqual(
        metadata.snapshots!.map((s) => Object.entries(s.summary).filter(([key]) => key.startsWith("headrace.range."))),
        [
          [
            ["headrace.range.0", "0-10"],
            ["headrace.range.1", "0-3"]
          ],
          [["headrace.range.0", "10-20"]],
          [["headrace.range.0", "20-25"]]
        ]
      )
      const stored = JSON.parse(Metadata.property(metadata, Coverage.property)!) as { readonly snapshot: number }
      assert.strictEqual(stored.snapshot, Metadata.currentId(metadata))
      const all = yield* f.inTable
      for (const file of new Set(all.map((r) => r.file))) {
        const rows = all.filter((r) => r.file === file)
        assert.strictEqual(new Set(rows.map((r) => r.partition)).size, 1, file)
        assert.strictEqual(new Set(rows.map((r) => r.arrived)).size, 1, file)
        assert.isAtMost(rows.length, 10, file)
      }
    })
  )
})

describe("Archiver", () => {
  it.effect("`__arrived` never goes back in a partition, not even when the clock does, between runs", () =>
    Effect.gen(function* () {
      yield* f.topic(5, 1)
      yield* TestClock.setTime(86_400_000 * 3)
      yield* f.archive()
      yield* f.append(0, f.orders(5, 9))
      yield* TestClock.setTime(1000)
      yield* f.archive()
      yield* f.append(0, f.orders(9, 12))
      yield* TestClock.setTime(86_400_000 * 4)
      yield* f.archive()
      const arrived = (yield* f.inTable).filter((r) => r.partition === 0).map((r) => r.arrived / 86_400_000)
      assert.deepStrictEqual(arrived, [3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4])
      assert.strictEqual((yield* coverage).arrived, 4 * 86_400_000)
    }).pipe(Effect.provide(f.memory))
  )

  it.effect("stops below `until`, and goes on from there", () =>
    Effect.gen(function* () {
      yield* f.topic(30, 30)
      yield* f.archive({
        until: new Map([
          [0, 7],
          [1, 99]
        ])
      })
      const ranges = () => Effect.map(f.holding, (h) => Object.fromEntries(h!.ranges))
      assert.deepStrictEqual(yield* ranges(), { 0: { begin: 0, end: 7 }, 1: { begin: 0, end: 30 } })
      yield* f.archive({ until: new Map([[0, 3]]) })
      assert.deepStrictEqual(yield* ranges(), { 0: { begin: 0, end: 7 }, 1: { begin: 0, end: 30 } })
      yield* f.archive()
      yield* complete
    }).pipe(Effect.provide(f.memory))
  )

  it.effect("begins where the log begins, and declares it", () =>
    Effect.gen(function* () {
      yield* f.topic(20)
      const log = yield* EventLog
      yield* log.deleteBefore("orders", 0, 6)
      yield* f.archive()
      assert.deepStrictEqual((yield* f.holding)!.ranges, new Map([[0, { begin: 6, end: 20 }]]))
      yield* complete
    }).pipe(Effect.provide(f.memory))
  )

  it.effect("an empty topic has an archive without files", () =>
    Effect.gen(function* () {
      yield* f.topic(0, 0)
      const { commits, files, metadata, records } = yield* f.archive()
      assert.deepStrictEqual([records, files, commits], [0, 0, 0])
      assert.strictEqual(metadata, "s3://bucket/orders/metadata/v1.metadata.json")
      assert.deepStrictEqual(
        [...(yield* f.holding)!.ranges.values()],
        [
          { begin: 0, end: 0 },
          { begin: 0, end: 0 }
        ]
      )
    }).pipe(Effect.provide(f.memory))
  )

  it.effect("retention that overtook the archive is a gap with the exact range; what was written is given up", () =>
    Effect.gen(function* () {
      yield* f.topic(4, 20)
      yield* f.archive({ until: new Map([[1, 5]]) })
      yield* f.append(0, f.orders(4, 8))
      const log = yield* EventLog
      yield* log.deleteBefore("orders", 1, 9)
      const gap = yield* Effect.flip(f.archive())
      assert.deepStrictEqual(gap, new HandOver.Gap({ topic: "orders", partition: 1, from: 5, until: 9 }))
      assert.include(gap.message, "[5, 9)")
      assert.deepStrictEqual((yield* f.dataFiles).orphans, [])
    }).pipe(Effect.provide(f.memory))
  )

  it.effect("retention that overtakes it in the middle of a round is the same gap", () =>
    Effect.gen(function* () {
      yield* f.topic(20, 20)
      yield* f.archive({
        until: new Map([
          [0, 4],
          [1, 4]
        ])
      })
      const log = yield* EventLog
      const cutting = EventLog.of({
        ...log,
        read: (options) =>
          Stream.unwrap(
            Effect.map(options.partition === 1 ? log.deleteBefore("orders", 1, 6) : Effect.void, () =>
              log.read(options)
            )
          )
      })
      const gap = yield* Effect.flip(Effect.provideService(f.archive(), EventLog, cutting))
      assert.deepStrictEqual(gap, new HandOver.Gap({ topic: "orders", partition: 1, from: 4, until: 6 }))
      assert.deepStrictEqual((yield* f.dataFiles).orphans, [])
      assert.deepStrictEqual((yield* f.holding)!.ranges.get(0), { begin: 0, end: 4 })
    }).pipe(Effect.provide(f.memory))
  )

  it.effect("refuses a topic that was made anew, before and in the middle of a round", () =>
    Effect.gen(function* () {
      yield* f.topic(6)
      yield* f.archive({ until: new Map([[0, 4]]) })
      const log = yield* EventLog
      const recreate = Effect.gen(function* () {
        yield* log.deleteTopic("orders")
        yield* f.topic(9)
      }).pipe(Effect.provideService(EventLog, log))
      const recreating = EventLog.of({
        ...log,
        read: (options) => Stream.unwrap(Effect.as(Effect.orDie(recreate), log.read(options)))
      })
      for (const eventLog of [recreating, log]) {
        const error = yield* Effect.flip(Effect.provideService(f.archive(), EventLog, eventLog))
        assert.match(error.message, /belongs to another creation of the topic .*another location/)
        assert.deepStrictEqual((yield* f.holding)!.ranges.get(0), { begin: 0, end: 4 })
        assert.deepStrictEqual((yield* f.dataFiles).orphans, [])
      }
    }).pipe(Effect.provide(f.memory))
  )

  it.effect("a zombie is superseded by whoever archived meanwhile, and its files are deleted", () =>
    Effect.gen(function* () {
      yield* f.topic(5, 5)
      yield* f.archive()
      yield* f.append(1, f.orders(5, 8))
      const error = yield* Effect.flip(yield* overtaken(f.archive(), f.archive()))
      assert.deepStrictEqual(
        error,
        new Archive.ArchiveError({
          reason: new Archive.Superseded({ topic: "orders", partition: 1, expected: 5, found: 8 })
        })
      )
      assert.deepStrictEqual((yield* f.dataFiles).orphans, [])
      yield* complete
    }).pipe(Effect.provide(f.memory))
  )

  it.effect("a zombie is superseded in a partition that neither had when it started", () =>
    Effect.gen(function* () {
      yield* f.topic(5, 5)
      const log = yield* EventLog
      // Partition 1 wasn't there yet.
      const before = EventLog.of({
        ...log,
        describe: (topic) =>
          Effect.map(log.describe(topic), (d) => ({ ...d, partitions: d.partitions.filter((p) => p.partition === 0) }))
      })
      yield* Effect.provideService(f.archive(), EventLog, before)
      const error = yield* Effect.flip(yield* overtaken(f.archive(), f.archive()))
      assert.match(error.message, /took partition 1 of topic "orders" from 0 to 5/)
      yield* complete
    }).pipe(Effect.provide(f.memory))
  )

  it.live("of many archivers at once each record is taken once", () =>
    Effect.gen(function* () {
      yield* f.topic(60, 40)
      const one = f.archive({ fileRows: 7 }).pipe(
        Effect.map(() => "archived"),
        Effect.catchReason("ArchiveError", "Superseded", () => Effect.succeed("superseded"))
      )
      const outcomes = yield* Effect.forEach([1, 2, 3, 4], () => one, { concurrency: "unbounded" })
      assert.include(outcomes, "superseded")
      yield* f.archive()
      yield* complete
      assert.deepStrictEqual((yield* f.dataFiles).orphans, [])
    }).pipe(Effect.provide(f.memory))
  )

  it.effect("under a changed schema, records are decoded again from their bytes", () =>
    Effect.gen(function* () {
      yield* f.topic(30)
      yield* f.archive({ until: new Map([[0, 20]]) })
      // `total` is text now, and `id` must be less than 15: what was decoded isn't valid any more, and the other way round.
      const changed = JsonCodec.make(
        TopicSchema.make(
          Schema.Struct({
            id: Schema.Int.check(Schema.isLessThan(15)),
            total: TopicSchema.decimal(1),
            note: Schema.NullOr(Schema.String)
          })
        )
      )
      const archive = yield* Archive.Archive
      const log = yield* EventLog
      const options = { topic: "orders", partition: 0, from: 0, until: 20, columns: f.columns }
      for (const codec of [changed, f.codec]) {
        const read = yield* Stream.runCollect(archive.read(codec, options))
        const live = yield* log.read(options).pipe(
          Stream.mapEffect((batch) => codec.decode(batch, f.columns)),
          Stream.runCollect
        )
        const flat = (batches: typeof read) =>
          batches.flatMap((b) =>
            Array.from({ length: b.count }, (_, i) => {
              const kind = b.kinds?.[i] ?? 0
              const values = kind === 0 ? f.columns.map((c) => b.columns[c]![i]) : []
              return { offset: b.offsets[i], kind, values, poison: b.poison.get(i) }
            })
          )
        assert.deepStrictEqual(flat(read), flat(live))
        assert.isTrue(flat(read).some((r) => r.kind === 1 && r.offset! < 6) === (codec === changed))
      }
      // A schema with a column that the table lacks can't be archived into it.
      const wider = JsonCodec.make(TopicSchema.make(Schema.Struct({ id: Schema.Int, city: Schema.String })))
      const error = yield* Effect.flip(f.archive({ codec: wider }))
      assert.match(error.message, /no column city: the topic's schema was changed/)
    }).pipe(Effect.provide(f.memory))
  )
})
