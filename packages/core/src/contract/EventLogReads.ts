/** Reads of the log port: any range in batches that chain, and what is missing by its exact range. */
import { assert, type Vitest } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { EventLog } from "../EventLog.ts"
import * as Records from "./Records.ts"

const unit = Schema.isBetween({ minimum: 0, maximum: 1, exclusiveMaximum: true })
const maxRecords = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 }))

export const reads = (it: Vitest.MethodsNonLive<EventLog>): void => {
  it.effect.prop(
    "reads any range in batches that chain, as a list of the records does",
    {
      sizes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))).check(
        Schema.isMaxLength(12)
      ),
      cuts: Schema.Array(
        Schema.Struct({ from: Schema.Finite.check(unit), until: Schema.Finite.check(unit), maxRecords })
      ).check(Schema.isMaxLength(6)),
      retained: Schema.Finite.check(unit)
    },
    ({ cuts, retained, sizes }) =>
      Effect.gen(function* () {
        const log = yield* EventLog
        const { name } = yield* Records.newTopic()
        let n = 0
        for (const size of sizes) {
          yield* log.append(name, 0, Records.numbered(n, n + size))
          n += size
        }
        const { end } = (yield* log.describe(name)).partitions[0]!
        const all = (yield* Records.readBatches({ topic: name, partition: 0, from: 0 })).records
        assert.deepStrictEqual(
          all.map(({ value }) => Records.textOf(value)),
          Records.texts(0, n)
        )
        const begin = Math.floor(retained * (end / 2))
        yield* log.deleteBefore(name, 0, begin)
        for (const cut of cuts) {
          const from = begin + Math.floor(cut.from * (end - begin + 1))
          const until = Math.floor(cut.until * (end + 1))
          const { records } = yield* Records.readBatches({
            topic: name,
            partition: 0,
            from,
            until,
            maxRecords: cut.maxRecords
          })
          assert.deepStrictEqual(
            records,
            all.filter(({ offset }) => offset >= from && offset < until)
          )
        }
      }),
    { arbitrary: { runs: 25 } }
  )

  it.effect("reads nothing where nothing was asked for", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      assert.deepStrictEqual(yield* Records.valuesOf({ topic: name, partition: 0, from: 0 }), [])
      const { next } = yield* log.append(name, 0, Records.numbered(0, 10))
      assert.deepStrictEqual(yield* Records.valuesOf({ topic: name, partition: 0, from: next }), [])
      assert.deepStrictEqual(yield* Records.valuesOf({ topic: name, partition: 0, from: 5, until: 5 }), [])
      assert.deepStrictEqual(yield* Records.valuesOf({ topic: name, partition: 0, from: 5, until: 2 }), [])
    })
  )

  it.effect("refuses offsets that it doesn't hold, with the exact missing range", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      yield* log.append(name, 0, Records.numbered(0, 60))
      const { next: end } = yield* log.append(name, 0, Records.numbered(60, 100))
      const all = (yield* Records.readBatches({ topic: name, partition: 0, from: 0 })).records
      const begin = all[37]!.offset
      const { id: topicId } = yield* log.describe(name)
      const missing = (options: { readonly from: number; readonly until?: number; readonly topicId?: string }) =>
        Effect.map(Records.reasonOf(Stream.runDrain(log.read({ topic: name, partition: 0, ...options }))), (reason) => {
          if (reason._tag !== "OffsetOutOfRange") return reason._tag
          assert.deepInclude(reason, { topic: name, partition: 0, end })
          assert.include(reason.message, `[${reason.missing[0]}, ${reason.missing[1]})`)
          return reason.missing
        })

      yield* log.deleteBefore(name, 0, begin)
      // Of a topic that was described before retention moved on, too.
      assert.deepStrictEqual(yield* missing({ from: 0, until: end, topicId }), [0, begin])
      assert.deepStrictEqual((yield* log.describe(name)).partitions, [{ partition: 0, begin, end }])
      assert.deepStrictEqual(
        yield* Records.valuesOf({ topic: name, partition: 0, from: begin }),
        Records.texts(37, 100)
      )
      assert.deepStrictEqual(yield* missing({ from: 0 }), [0, begin])
      assert.deepStrictEqual(yield* missing({ from: begin - 1 }), [begin - 1, begin])
      assert.deepStrictEqual(yield* missing({ from: begin - 1, until: begin }), [begin - 1, begin])
      assert.deepStrictEqual(yield* missing({ from: end + 7 }), [end, end + 7])
      assert.deepStrictEqual(yield* missing({ from: end, until: end + 1 }), [end, end + 1])

      // The beginning only grows.
      yield* log.deleteBefore(name, 0, begin - 5)
      assert.strictEqual((yield* log.describe(name)).partitions[0]!.begin, begin)
      const beyond = yield* Records.reasonOf(log.deleteBefore(name, 0, end + 1))
      assert.strictEqual(beyond._tag, "OffsetOutOfRange")

      yield* log.deleteBefore(name, 0, end)
      assert.deepStrictEqual((yield* log.describe(name)).partitions, [{ partition: 0, begin: end, end }])
      assert.deepStrictEqual(yield* Records.valuesOf({ topic: name, partition: 0, from: end }), [])
      const { base } = yield* log.append(name, 0, Records.numbered(100, 103))
      assert.isAtLeast(base, end)
      assert.deepStrictEqual(yield* Records.valuesOf({ topic: name, partition: 0, from: end }), Records.texts(100, 103))
    })
  )

  it.effect("never skips what retention takes from under a reader", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      for (let i = 0; i < 100; i += 10) yield* log.append(name, 0, Records.numbered(i, i + 10))
      const all = (yield* Records.readBatches({ topic: name, partition: 0, from: 0 })).records
      const begin = all[75]!.offset
      const options = { topic: name, partition: 0, from: 0, maxRecords: 10 }
      const read = Records.collector(options)
      const exit = yield* Effect.result(
        Stream.runForEach(log.read(options), (batch) =>
          Effect.suspend(() => {
            read.add(batch)
            return read.batches === 2 ? log.deleteBefore(name, 0, begin) : Effect.void
          })
        )
      )
      // A driver that had fetched ahead may give more; what it gives chains, up to the end or to the error.
      assert.deepStrictEqual(read.records, all.slice(0, read.records.length))
      if (exit._tag === "Success") assert.strictEqual(read.records.length, 100)
      else {
        const { reason } = exit.failure
        assert.strictEqual(reason._tag, "OffsetOutOfRange")
        if (reason._tag === "OffsetOutOfRange") assert.deepStrictEqual(reason.missing, [read.next, begin])
      }
    })
  )

  it.effect("ends a read where the partition ended when it began, whatever is appended meanwhile", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      yield* log.append(name, 0, Records.numbered(0, 50))
      const options = { topic: name, partition: 0, from: 0, maxRecords: 7 }
      const read = Records.collector(options)
      let n = 50
      yield* Stream.runForEach(log.read(options), (batch) =>
        Effect.suspend(() => {
          read.add(batch)
          n += 3
          return log.append(name, 0, Records.numbered(n - 3, n))
        })
      )
      assert.deepStrictEqual(
        read.records.map(({ value }) => Records.textOf(value)),
        Records.texts(0, 50)
      )
      // Read on from there, again and again, until the writer is through.
      const done = yield* Deferred.make<void>()
      const writer = yield* Effect.forkChild(
        Effect.gen(function* () {
          for (let i = 0; i < 50; i++, n += 3)
            yield* Effect.andThen(log.append(name, 0, Records.numbered(n, n + 3)), Effect.yieldNow)
          yield* Deferred.succeed(done, undefined)
        })
      )
      const records = [...read.records]
      let next = read.next
      for (let last = false; !last;) {
        last = yield* Deferred.isDone(done)
        const more = yield* Records.readBatches({ topic: name, partition: 0, from: next })
        records.push(...more.records)
        next = more.next
        yield* Effect.yieldNow
      }
      yield* Fiber.join(writer)
      assert.deepStrictEqual(
        records.map(({ value }) => Records.textOf(value)),
        Records.texts(0, n)
      )
    })
  )

  it.effect("releases a read that is given up, and goes on", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      yield* log.append(name, 0, Records.numbered(0, 1_000))
      const options = { topic: name, partition: 0, from: 0, maxRecords: 10 }
      const before = yield* log.describe(name)
      for (let i = 0; i < 100; i++) {
        yield* Stream.runDrain(Stream.take(log.read(options), 2))
        const reading = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(log.read(options), () => Effect.andThen(Deferred.succeed(reading, undefined), Effect.never))
        )
        yield* Deferred.await(reading)
        yield* Fiber.interrupt(fiber)
      }
      assert.deepStrictEqual(yield* log.describe(name), before)
      yield* log.append(name, 0, Records.numbered(1_000, 1_001))
      assert.deepStrictEqual(yield* Records.valuesOf(options), Records.texts(0, 1_001))
    })
  )
}
