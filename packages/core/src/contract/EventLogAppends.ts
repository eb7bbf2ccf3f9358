/** Appends to the log port: whole, in order, kept as they are, and read again however they came. */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { BatchBuilder } from "../Batch.ts"
import { EventLog } from "../EventLog.ts"
import type { Capabilities } from "./EventLogContract.ts"
import * as Records from "./Records.ts"

export const appends = (it: Vitest.MethodsNonLive<EventLog>, capabilities: Capabilities): void => {
  it.effect("appends in order; what was appended can be read at once", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic(2)
      let end = 0
      for (const [from, to] of [
        [0, 1],
        [1, 1],
        [1, 500],
        [500, 501]
      ] as const) {
        const { base, next } = yield* log.append(name, 1, Records.numbered(from, to))
        assert.isAtLeast(base, end)
        assert.isAtLeast(next, base + to - from)
        const [untouched, partition] = (yield* log.describe(name)).partitions
        assert.deepStrictEqual(untouched, { partition: 0, begin: 0, end: 0 })
        assert.isAtLeast(partition!.end, next)
        const read = yield* Records.readBatches({ topic: name, partition: 1, from: base })
        assert.strictEqual(read.records[0]?.offset, to > from ? base : undefined)
        assert.deepStrictEqual(
          read.records.map(({ value }) => Records.textOf(value)),
          Records.texts(from, to)
        )
        end = next
      }
      assert.deepStrictEqual(yield* Records.valuesOf({ topic: name, partition: 1, from: 0 }), Records.texts(0, 501))
      assert.deepStrictEqual(yield* Records.valuesOf({ topic: name, partition: 0, from: 0 }), [])
    })
  )

  it.effect("keeps keys, values, headers and timestamps as they are, tombstones and empty ones too", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      const all = Uint8Array.from({ length: 256 }, (_, i) => i)
      const empty = new Uint8Array()
      const batches: ReadonlyArray<ReadonlyArray<Omit<Records.Plain, "offset">>> = [
        [
          { key: null, value: null, timestamp: 0, headers: [] },
          { key: empty, value: empty, timestamp: 1_700_000_000_000, headers: [] },
          { key: all, value: null, timestamp: 1_600_000_000_001, headers: [] }
        ],
        [
          { key: null, value: all, timestamp: 1_600_000_000_000, headers: [] },
          {
            key: empty,
            value: null,
            timestamp: 1_700_000_000_002,
            headers: [
              { key: "b", value: all },
              { key: "a", value: null },
              { key: "", value: empty },
              { key: "b", value: Records.bytesOf("again") },
              { key: "\ufeffŁódź 日本 😀", value: empty }
            ]
          },
          {
            key: Records.bytesOf("x".repeat(300)),
            value: Records.bytesOf("y".repeat(70_000)),
            timestamp: 1,
            headers: []
          },
          { key: null, value: null, timestamp: 1, headers: [{ key: "only", value: null }] }
        ],
        [{ key: null, value: null, timestamp: 2, headers: [] }]
      ]
      for (const records of batches) {
        const batch = Records.toBatch(records)
        yield* log.append(name, 0, batch)
        // The log has its own copy.
        batch.bytes.fill(0)
        batch.timestamps.fill(0)
        batch.keys.fill(-1)
      }
      const expected = batches.flat()
      for (const maxRecords of [1, 2, 100]) {
        const { records } = yield* Records.readBatches({ topic: name, partition: 0, from: 0, maxRecords })
        assert.deepStrictEqual(
          records.map(({ offset: _, ...record }) => record),
          expected
        )
      }
    })
  )

  it.effect("takes a large append whole", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      const value = "v".repeat(1_000)
      const count = Math.floor((capabilities.appendBytes ?? 4 << 20) / (value.length + 8))
      const builder = new BatchBuilder()
      for (let i = 0; i < count; i++) builder.add(`${i}`, value, i)
      const { base, next } = yield* log.append(name, 0, builder.take())
      const { batches, records } = yield* Records.readBatches({ topic: name, partition: 0, from: base, until: next })
      assert.deepStrictEqual(
        records.map(({ key }) => Records.textOf(key)),
        Records.texts(0, count)
      )
      assert.isAtLeast(batches, 1)
    })
  )

  it.effect("keeps appends apart that come at once", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      const size = 40
      const writers = 24
      const ranges: ReadonlyArray<{ readonly base: number; readonly next: number }> = yield* Effect.forEach(
        Array.from({ length: writers }, (_, w) => w * size),
        (from) => Effect.andThen(Effect.yieldNow, log.append(name, 0, Records.numbered(from, from + size))),
        { concurrency: "unbounded" }
      )
      const { records } = yield* Records.readBatches({ topic: name, partition: 0, from: 0 })
      assert.strictEqual(records.length, writers * size)
      for (const [w, { base, next }] of ranges.entries())
        assert.deepStrictEqual(
          records.filter(({ offset }) => offset >= base && offset < next).map(({ value }) => Records.textOf(value)),
          Records.texts(w * size, (w + 1) * size)
        )
    })
  )

  it.effect("gives thousands of small appends in large batches", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      const count = 2_000
      for (let i = 0; i < count; i++) yield* log.append(name, 0, Records.numbered(i, i + 1))
      const { batches, records } = yield* Records.readBatches({ topic: name, partition: 0, from: 0 })
      assert.deepStrictEqual(
        records.map(({ value }) => Records.textOf(value)),
        Records.texts(0, count)
      )
      assert.isAtMost(batches, count / 100)
    })
  )
}
