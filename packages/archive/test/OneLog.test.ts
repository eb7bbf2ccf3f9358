/** One log over archive and tail: wherever one hands over to the other, a reader sees the log's records, once and in order. */
import { assert, describe, it } from "@effect/vitest"
import { HandOver, OneLog } from "@headrace/archive"
import { Batch } from "@headrace/core"
import { EventLog, type Service } from "@headrace/core/EventLog"
import { ObjectStore } from "@headrace/s3"
import { Effect, Layer, Stream } from "effect"
import * as fc from "fast-check"
import * as f from "./fixtures.ts"

const place = OneLog.layer.pipe(Layer.provideMerge(f.memory))

/** Records of batches as they are for a fold; a record that isn't decoded has no values. */
const flat = (batches: ReadonlyArray<Batch.ColumnBatch>) =>
  batches.flatMap((b) =>
    Array.from({ length: b.count }, (_, i) => {
      const kind = b.kinds?.[i] ?? Batch.Kind.decoded
      const values = kind === Batch.Kind.decoded ? f.columns.map((name) => b.columns[name]![i]) : []
      return { offset: b.offsets[i], kind, values, poison: b.poison.get(i) }
    })
  )

const read = Effect.fnUntraced(function* (options: Partial<OneLog.ReadOptions> & { readonly until: number }) {
  const log = yield* OneLog.OneLog
  const all = { topic: "orders", partition: 0, from: 0, columns: f.columns, prefer: "archive" as const, ...options }
  const batches = yield* Stream.runCollect(log.read(f.codec, all))
  let at = all.from
  for (const b of batches) {
    assert.deepStrictEqual([b.topic, b.partition, b.base], ["orders", all.partition, at])
    assert.isTrue(b.next > b.base)
    at = b.next
  }
  assert.strictEqual(at, Math.max(all.from, all.until))
  return flat(batches)
})

/** The records of partition 0 as the log itself gives them. */
const direct = (log: Service) =>
  log.describe("orders").pipe(
    Effect.flatMap(({ partitions: [range] }) =>
      log.read({ topic: "orders", partition: 0, from: range!.begin, until: range!.end }).pipe(
        Stream.mapEffect((batch) => f.codec.decode(batch, f.columns)),
        Stream.runCollect
      )
    ),
    Effect.map(flat)
  )

const records = 40
const reads = fc.array(
  fc.record({
    from: fc.nat(records),
    length: fc.nat(records),
    prefer: fc.constantFrom("archive" as const, "tail" as const),
    maxRecords: fc.integer({ min: 1, max: 12 })
  }),
  { minLength: 20, maxLength: 20 }
)
const scenes = fc.record({
  archiveBegin: fc.nat(10),
  rounds: fc.array(fc.nat(records), { maxLength: 3 }),
  tailBegin: fc.nat(records),
  reads
})

describe("OneLog", () => {
  it("gives exactly the log's records, once and in order, wherever it hands over, or the exact gap", async () => {
    const seen = { gap: 0, archive: 0, tail: 0, both: 0 }
    await fc.assert(
      fc.asyncProperty(scenes, ({ archiveBegin, reads, rounds, tailBegin }) =>
        Effect.gen(function* () {
          yield* f.topic(records)
          const log = yield* EventLog
          const all = yield* direct(log)
          yield* log.deleteBefore("orders", 0, archiveBegin)
          for (const end of rounds)
            yield* f.archive({ until: new Map([[0, end]]), fileRows: 1 + (end % 13), rowGroupRows: 3 })
          const archived = (yield* f.holding)?.ranges.get(0) ?? { begin: 0, end: 0 }
          const begin = Math.max(archiveBegin, tailBegin)
          yield* log.deleteBefore("orders", 0, begin)
          const holds = { archive: archived, tail: { begin, end: records } }
          const has = (tier: "archive" | "tail", o: number) => holds[tier].begin <= o && o < holds[tier].end
          for (const { from, length, maxRecords, prefer } of reads) {
            const until = Math.min(records, from + length)
            const wanted = Array.from({ length: until - from }, (_, i) => from + i)
            const missing = wanted.find((o) => !has("archive", o) && !has("tail", o))
            const options = { from, until, prefer, maxRecords }
            if (missing === undefined) {
              assert.deepStrictEqual(yield* read(options), all.slice(from, until))
              const [a, t] = [wanted.some((o) => has("archive", o)), wanted.some((o) => has("tail", o))]
              seen.archive += a && !t ? 1 : 0
              seen.tail += t && !a ? 1 : 0
              seen.both += a && t ? 1 : 0
            } else {
              const present = wanted.find((o) => o > missing && (has("archive", o) || has("tail", o)))
              const gap = new HandOver.Gap({ topic: "orders", partition: 0, from: missing, until: present ?? until })
              assert.deepStrictEqual((yield* Effect.flip(read(options))).reason, gap)
              seen.gap++
            }
          }
        }).pipe(Effect.provide(place, { local: true }), Effect.runPromise)
      ),
      { numRuns: 25 }
    )
    for (const [what, times] of Object.entries(seen)) assert.isAbove(times, 0, what)
  })

  it.effect("describes both tiers", () =>
    Effect.gen(function* () {
      yield* f.topic(20, 5)
      const log = yield* EventLog
      const one = yield* OneLog.OneLog
      const topicId = (yield* log.describe("orders")).id
      const ranges = (archive: HandOver.Range | undefined, tail: HandOver.Range) => ({
        begin: Math.min(archive?.begin ?? tail.begin, tail.begin),
        end: tail.end,
        archive,
        tail
      })
      assert.deepStrictEqual(yield* one.describe("orders"), {
        topic: "orders",
        topicId,
        compacted: false,
        partitions: [
          { partition: 0, ...ranges(undefined, { begin: 0, end: 20 }) },
          { partition: 1, ...ranges(undefined, { begin: 0, end: 5 }) }
        ]
      })
      yield* log.deleteBefore("orders", 0, 2)
      yield* f.archive({ until: new Map([[0, 12]]) })
      yield* log.deleteBefore("orders", 0, 9)
      assert.deepStrictEqual(yield* one.describe("orders"), {
        topic: "orders",
        topicId,
        compacted: false,
        partitions: [
          { partition: 0, ...ranges({ begin: 2, end: 12 }, { begin: 9, end: 20 }) },
          { partition: 1, ...ranges({ begin: 0, end: 5 }, { begin: 0, end: 5 }) }
        ]
      })
    }).pipe(Effect.provide(place))
  )

  it.effect("refuses a log that ends before its archive", () =>
    Effect.gen(function* () {
      yield* f.topic(20)
      yield* f.archive({})
      // As after an older copy of the log was restored.
      const log = yield* EventLog
      const restored = EventLog.of({
        ...log,
        describe: (topic) =>
          Effect.map(log.describe(topic), (d) => ({ ...d, partitions: d.partitions.map((p) => ({ ...p, end: 15 })) }))
      })
      const one = yield* Effect.provideService(OneLog.make, EventLog, restored)
      const { reason } = yield* Effect.flip(one.describe("orders"))
      assert.deepStrictEqual(
        reason,
        new OneLog.LogBehindArchive({ topic: "orders", partition: 0, archived: 20, end: 15 })
      )
      assert.include(reason.message, "the log lost [15, 20)")
    }).pipe(Effect.provide(place))
  )

  it.effect(
    "of a topic that the log compacts, only an archive from its beginning is a history, and is what is read",
    () =>
      Effect.gen(function* () {
        yield* f.topic(30, 0)
        const log = yield* EventLog
        const compacting = EventLog.of({
          ...log,
          describe: (topic) => Effect.map(log.describe(topic), (d) => ({ ...d, compacted: true })),
          read: (options) => Stream.map(log.read(options), (batch) => without(batch, (o) => o % 3 === 0))
        })
        const one = yield* Effect.provideService(OneLog.make, EventLog, compacting)
        const history = Effect.map(one.describe("orders"), OneLog.historyOf)
        const bare = yield* Effect.flip(Effect.flatMap(history, Effect.fromResult))
        assert.deepStrictEqual(bare, new OneLog.Compacted({ topic: "orders", partition: 0 }))
        for (const part of [
          'topic "orders" is compacted',
          "partition 0 isn't archived",
          "archive this one from its first"
        ])
          assert.include(bare.message, part)

        // What isn't archived yet waits: the log may have dropped some of it when it is.
        yield* f.archive({ until: new Map([[0, 20]]) })
        const described = yield* Effect.flatMap(history, Effect.fromResult)
        assert.deepStrictEqual(
          described.partitions.map((p) => [p.begin, p.end, p.tail.end]),
          [
            [0, 20, 30],
            [0, 0, 0]
          ]
        )
        const options = {
          topic: "orders",
          partition: 0,
          from: 0,
          until: 20,
          columns: f.columns,
          prefer: "tail" as const
        }
        const whole = (yield* direct(log)).slice(0, 20)
        for (const known of [{}, { described }])
          assert.deepStrictEqual(flat(yield* Stream.runCollect(one.read(f.codec, { ...options, ...known }))), whole)
      }).pipe(Effect.provide(place))
  )

  it.effect("an archive that began late makes no history of a compacted topic", () =>
    Effect.gen(function* () {
      yield* f.topic(30)
      const log = yield* EventLog
      yield* log.deleteBefore("orders", 0, 4)
      yield* f.archive({})
      const described = yield* Effect.flatMap(OneLog.OneLog, (one) => one.describe("orders"))
      assert.deepStrictEqual(yield* Effect.fromResult(OneLog.historyOf(described)), described)
      const refused = yield* Effect.flip(Effect.fromResult(OneLog.historyOf({ ...described, compacted: true })))
      assert.deepStrictEqual(refused, new OneLog.Compacted({ topic: "orders", partition: 0, archived: 4 }))
      assert.include(refused.message, "begins at offset 4, not at 0")
    }).pipe(Effect.provide(place))
  )

  it.effect("a description that retention has overtaken is made anew, and what is missing then is a gap", () =>
    Effect.gen(function* () {
      yield* f.topic(30)
      const log = yield* EventLog
      const one = yield* OneLog.OneLog
      const whole = yield* direct(log)
      const described = yield* one.describe("orders")
      const options = { until: 30, prefer: "tail" as const, described }
      assert.deepStrictEqual(yield* read(options), whole)
      yield* log.deleteBefore("orders", 0, 12)
      const { reason } = yield* Effect.flip(read(options))
      assert.deepStrictEqual(reason, new HandOver.Gap({ topic: "orders", partition: 0, from: 0, until: 12 }))
      // Of what is archived meanwhile nothing is missing.
      assert.deepStrictEqual(yield* read({ ...options, from: 12 }), whole.slice(12))
      yield* f.archive({})
      yield* log.deleteBefore("orders", 0, 25)
      assert.deepStrictEqual(yield* read({ ...options, from: 12 }), whole.slice(12))
    }).pipe(Effect.provide(place))
  )

  it.effect("a description of a topic that was made anew since gives nothing of the new one", () =>
    Effect.gen(function* () {
      yield* f.topic(10)
      const log = yield* EventLog
      const one = yield* OneLog.OneLog
      const described = yield* one.describe("orders")
      yield* log.deleteTopic("orders")
      yield* f.topic(20)
      const { reason } = yield* Effect.flip(read({ until: 10, prefer: "tail", described }))
      assert.strictEqual(reason._tag === "EventLogError" ? reason.reason._tag : reason._tag, "TopicNotFound")
    }).pipe(Effect.provide(place))
  )

  it.effect("works without an archive", () =>
    Effect.gen(function* () {
      yield* f.topic(9)
      const log = yield* EventLog
      const alone = yield* Effect.provide(
        read({ until: 9 }),
        OneLog.layer.pipe(Layer.provide(Layer.succeed(EventLog, log)))
      )
      assert.deepStrictEqual(alone, yield* direct(log))
    }).pipe(Effect.scoped, Effect.provide(f.memory))
  )

  it.effect("covers offsets that hold no record, in the archive and at its end", () =>
    Effect.gen(function* () {
      yield* f.topic(30)
      const log = yield* EventLog
      // As in a compacted topic, or where a transaction was aborted.
      const sparse = EventLog.of({
        ...log,
        read: (options) =>
          Stream.map(log.read(options), (batch) => without(batch, (o) => o < 2 || o % 3 === 0 || o > 13))
      })
      yield* Effect.provideService(f.archive({ fileRows: 6 }), EventLog, sparse)
      yield* log.deleteBefore("orders", 0, 30)
      assert.deepStrictEqual((yield* f.holding)!.ranges.get(0), { begin: 0, end: 30 })
      const offsets = (yield* f.inTable).map((r) => r.offset)
      assert.deepStrictEqual(offsets, [2, 4, 5, 7, 8, 10, 11, 13])
      for (let from = 0; from <= 30; from += 3) {
        for (let until = from; until <= 30; until++) {
          const found = yield* read({ from, until })
          assert.deepStrictEqual(
            found.map((r) => r.offset),
            offsets.filter((o) => from <= o && o < until)
          )
        }
      }
    }).pipe(Effect.provide(place))
  )

  it.effect("refuses the archive of a topic that was deleted and made anew", () =>
    Effect.gen(function* () {
      yield* f.topic(9)
      yield* f.archive()
      const log = yield* EventLog
      const archived = (yield* log.describe("orders")).id
      yield* log.deleteTopic("orders")
      yield* f.topic(9)
      const current = (yield* log.describe("orders")).id
      const expected = new OneLog.TopicRecreated({ topic: "orders", archived, current })
      const one = yield* OneLog.OneLog
      for (const attempt of [Effect.asVoid(one.describe("orders")), Effect.asVoid(read({ until: 9 }))])
        assert.deepStrictEqual((yield* Effect.flip(attempt)).reason, expected)
      assert.match(expected.message, /deleted and made anew .* archive the new one to another location/)
    }).pipe(Effect.provide(place))
  )

  it.effect("names the file of an archive that can't be read, and says what to do", () =>
    Effect.gen(function* () {
      yield* f.topic(9)
      yield* f.archive()
      const { all } = yield* f.dataFiles
      const store = yield* ObjectStore
      const key = all[0]!
      const whole = yield* store.get(key)
      const message = Effect.map(Effect.flip(read({ until: 9 })), (e) => e.message)
      yield* store.put(key, whole.slice(0, -20))
      assert.match(yield* message, new RegExp(`the archive of topic "orders": .*${key}.*upload cut short`))
      yield* store.delete(key)
      assert.match(yield* message, new RegExp(`the archive of topic "orders": .*${key}.*no object`))
      yield* store.put(key, whole)
      assert.strictEqual((yield* read({ until: 9 })).length, 9)
    }).pipe(Effect.provide(place))
  )
})

const without = (batch: Batch.RecordBatch, gone: (offset: number) => boolean): Batch.RecordBatch => {
  const kept = Array.from({ length: batch.count }, (_, i) => i).filter((i) => !gone(batch.offsets[i]!))
  const builder = new Batch.BatchBuilder(4, 64)
  for (const i of kept)
    builder.add(Batch.keyOf(batch, i), Batch.valueOf(batch, i), batch.timestamps[i]!, batch.headers?.[i])
  const { base, next, partition, topic } = batch
  return { ...builder.take(), topic, partition, base, next, offsets: Float64Array.from(kept, (i) => batch.offsets[i]!) }
}
