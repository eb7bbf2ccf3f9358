/** Records of the log port as plain values, and how the suites write and read them. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { BatchBuilder, type Header, keyOf, type ProducerBatch, type RecordBatch, valueOf } from "../Batch.ts"
import { EventLog, type EventLogError, type ReadOptions } from "../EventLog.ts"

/** One record, apart from any batch. */
export interface Plain {
  readonly offset: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly timestamp: number
  readonly headers: ReadonlyArray<Header>
}

const utf8 = new TextEncoder()
const text = new TextDecoder("utf-8", { ignoreBOM: true })

export const bytesOf = (s: string): Uint8Array => utf8.encode(s)
export const textOf = (bytes: Uint8Array | null): string | null => (bytes === null ? null : text.decode(bytes))

/** A copy, as a plain `Uint8Array`. */
const copy = (bytes: Uint8Array | null): Uint8Array | null => (bytes === null ? null : Uint8Array.from(bytes))

/** Copies of a batch's records. */
export const ofBatch = (batch: RecordBatch): ReadonlyArray<Plain> =>
  Array.from({ length: batch.count }, (_, i) => ({
    offset: batch.offsets[i]!,
    key: copy(keyOf(batch, i)),
    value: copy(valueOf(batch, i)),
    timestamp: batch.timestamps[i]!,
    headers: (batch.headers?.[i] ?? []).map(({ key, value }) => ({ key, value: copy(value) }))
  }))

/** A batch of records; their offsets, if they have any, are left out. */
export const toBatch = (records: ReadonlyArray<Omit<Plain, "offset">>): ProducerBatch => {
  const builder = new BatchBuilder(4, 16)
  for (const { headers, key, timestamp, value } of records) builder.add(key, value, timestamp, headers)
  return builder.take()
}

/** Collects the batches of a read, and fails the test when they don't chain, aren't in order, or leave what was asked for. */
export const collector = (options: ReadOptions) => {
  const records: Array<Plain> = []
  const self = {
    records,
    batches: 0,
    /** Where the last batch ended. */
    next: options.from,
    add: (batch: RecordBatch): void => {
      assert.strictEqual(batch.topic, options.topic)
      assert.strictEqual(batch.partition, options.partition)
      assert.strictEqual(batch.base, self.next)
      assert.isAbove(batch.next, batch.base)
      assert.isAtMost(batch.count, options.maxRecords ?? 8_192)
      if (options.until !== undefined) assert.isAtMost(batch.next, options.until)
      assert.strictEqual(batch.offsets.length, batch.count)
      let last = batch.base - 1
      for (const offset of batch.offsets) {
        assert.isAbove(offset, last)
        last = offset
      }
      assert.isBelow(last, batch.next)
      records.push(...ofBatch(batch))
      self.batches++
      self.next = batch.next
    }
  }
  return self
}

/** A topic of the test's own. */
export const newTopic = (partitions = 1) =>
  Effect.gen(function* () {
    const log = yield* EventLog
    const name = `contract.${(yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)}`
    return yield* log.createTopic(name, { partitions })
  })

/** The error's reason. */
export const reasonOf = <A, R>(effect: Effect.Effect<A, EventLogError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

export const tagOf = <A, R>(effect: Effect.Effect<A, EventLogError, R>) =>
  Effect.map(reasonOf(effect), ({ _tag }) => _tag)

/** Records `[from, to)` with their number as key and value. */
export const numbered = (from: number, to: number): ProducerBatch => {
  const builder = new BatchBuilder(16, 64)
  for (let i = from; i < to; i++) builder.add(`k${i % 7}`, `${i}`, 1_700_000_000_000 + i)
  return builder.take()
}

/** What a read gives, batch by batch; fails the test when its batches don't chain or leave what was asked for. */
export const readBatches = (options: ReadOptions) =>
  Effect.gen(function* () {
    const log = yield* EventLog
    const read = collector(options)
    yield* Stream.runForEach(log.read(options), (batch) => Effect.sync(() => read.add(batch)))
    return read
  })

/** The values of a read, as text. */
export const valuesOf = (options: ReadOptions) =>
  Effect.map(readBatches(options), ({ records }) => records.map(({ value }) => textOf(value)))

export const texts = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}`)
