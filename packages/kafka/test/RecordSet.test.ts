import { assert, describe, it } from "@effect/vitest"
import { BatchBuilder, keyOf, type ProducerBatch, slice, valueOf } from "@headrace/core/Batch"
import { Effect, Schema } from "effect"
import { snappyCompress } from "@platformatic/wasm-utils"
import type { Compression } from "../src/Driver.ts"
import * as RecordSet from "../src/internal/RecordSet.ts"
import * as RecordWriter from "../src/internal/RecordWriter.ts"

const compressions = ["none", "gzip", "snappy", "lz4", "zstd"] as const satisfies ReadonlyArray<Compression>

interface Options {
  readonly base?: number
  readonly compression?: Compression
  readonly producerId?: bigint
  readonly transactional?: boolean
}

/** A batch as a broker stores it: with its base offset. */
const stored = (records: ProducerBatch, options: Options = {}): Uint8Array => {
  const { base = 0, compression = "none", producerId = 7n, transactional = false } = options
  const bytes = RecordWriter.encode(records, compression)
  RecordWriter.seal(bytes, { producerId, epoch: 0, sequence: 0, transactional })
  new DataView(bytes.buffer, bytes.byteOffset).setBigInt64(0, BigInt(base))
  return bytes
}

const numbered = (count: number, prefix = ""): ProducerBatch => {
  const builder = new BatchBuilder()
  for (let i = 0; i < count; i++) builder.add(null, `${prefix}${i}`, 1_000 + i)
  return builder.take()
}

/** A marker: type 0 aborts, 1 commits. */
const marker = (base: number, type: number, producerId: bigint): Uint8Array => {
  const builder = new BatchBuilder()
  builder.add(new Uint8Array([0, 0, 0, type]), new Uint8Array(6), 1)
  const bytes = stored(builder.take(), { base, producerId, transactional: true })
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setInt16(21, view.getInt16(21) | 0x20)
  return bytes
}

/** What compaction leaves of a batch whose records are all gone: its header. */
const emptied = (bytes: Uint8Array): Uint8Array => {
  const header = bytes.slice(0, 61)
  const view = new DataView(header.buffer)
  view.setInt32(8, 61 - 12)
  view.setInt32(57, 0)
  return header
}

const concat = (...parts: ReadonlyArray<Uint8Array>) => new Uint8Array(Buffer.concat(parts))

const decode = (bytes: Uint8Array, options: Partial<RecordSet.Input> = {}) =>
  RecordSet.decode({ topic: "t", partition: 0, offset: 0, bytes, aborted: [], checkCrcs: false, ...options }).batch

const values = (batch: ReturnType<typeof decode>) =>
  Array.from({ length: batch.count }, (_, i) => new TextDecoder().decode(valueOf(batch, i)!))

const bytesSchema = Schema.NullOr(Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))))
const recordSchema = Schema.Struct({
  key: bytesSchema,
  value: bytesSchema,
  timestamp: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 253_402_300_799_999 })),
  headers: Schema.Array(Schema.Struct({ key: Schema.String, value: bytesSchema })).check(Schema.isMaxLength(3))
})

const asBytes = (numbers: ReadonlyArray<number> | null) => (numbers === null ? null : Uint8Array.from(numbers))
const asNumbers = (bytes: Uint8Array | null): ReadonlyArray<number> | null =>
  bytes === null ? null : Array.from(bytes)

describe("record sets", () => {
  it.effect.prop(
    "give back what was written, whatever the codec and the offset asked for",
    {
      batches: Schema.NonEmptyArray(Schema.NonEmptyArray(recordSchema)).check(Schema.isMaxLength(4)),
      compression: Schema.Literals(compressions),
      cut: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))
    },
    ({ batches, compression, cut }) =>
      Effect.sync(() => {
        let base = 0
        const parts = batches.map((records) => {
          const builder = new BatchBuilder(2, 8)
          for (const { headers, key, timestamp, value } of records)
            builder.add(
              asBytes(key),
              asBytes(value),
              timestamp,
              // A lone surrogate has no UTF-8 of its own.
              headers.map((header) => ({ key: header.key.toWellFormed(), value: asBytes(header.value) }))
            )
          const bytes = stored(builder.take(), { base, compression })
          base += records.length
          return bytes
        })
        const all = batches.flat()
        const offset = Math.min(cut, all.length)
        const batch = decode(concat(...parts), { offset, checkCrcs: true })
        assert.strictEqual(batch.next, all.length)
        assert.deepStrictEqual(Array.from(batch.offsets), all.map((_, i) => i).slice(offset))
        assert.deepStrictEqual(
          Array.from(batch.offsets, (_, i) => ({
            key: asNumbers(keyOf(batch, i)),
            value: asNumbers(valueOf(batch, i)),
            timestamp: batch.timestamps[i]!,
            headers: (batch.headers?.[i] ?? []).map(({ key, value }) => ({ key, value: asNumbers(value) }))
          })),
          all.slice(offset).map((record) => ({
            ...record,
            headers: record.headers.map((header) => ({ ...header, key: header.key.toWellFormed() }))
          }))
        )
      }),
    { arbitrary: { runs: 100 } }
  )

  it("read no more of what is compressed than is wanted, but a batch; the next set begins where they ended", () => {
    const set = [0, 1, 2, 3, 4].map((i) => {
      const records = numbered(100, `${i}-${" ".repeat(900)}`)
      return stored(records, { base: 100 * i, compression: i === 2 ? "none" : "zstd" })
    })
    const read = (offset: number, maxBytes: number) =>
      RecordSet.decode({
        topic: "t",
        partition: 0,
        offset,
        bytes: concat(...set),
        aborted: [],
        checkCrcs: true,
        maxBytes
      })
    assert.deepInclude(read(0, 1).batch, { base: 0, next: 100, count: 100 })
    assert.strictEqual(read(0, 1).covered, set[0]!.length)
    assert.deepInclude(read(50, 1).batch, { base: 50, next: 100, count: 50 })
    assert.deepInclude(read(0, 250_000).batch, { base: 0, next: 200, count: 200 })
    assert.deepInclude(read(0, 600_000).batch, { base: 0, next: 500, count: 500 })
    assert.strictEqual(read(0, 600_000).covered, concat(...set).length)
  })

  it("read Java's framed snappy", () => {
    const plain = RecordWriter.encode(numbered(100), "none")
    const records = Buffer.from(plain.slice(61))
    const frames = [records.subarray(0, 500), records.subarray(500)].flatMap((part) => {
      const frame = snappyCompress(part)
      const size = Buffer.alloc(4)
      size.writeUInt32BE(frame.length)
      return [size, frame]
    })
    const magic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    const bytes = concat(plain.subarray(0, 61), magic, ...frames)
    const view = new DataView(bytes.buffer)
    view.setInt32(8, bytes.length - 12)
    view.setInt16(21, 2)
    assert.deepStrictEqual(
      values(decode(bytes)),
      Array.from({ length: 100 }, (_, i) => `${i}`)
    )
  })

  it("cover what compaction has removed: records between, whole batches, and the end of a batch", () => {
    const set = concat(
      stored(numbered(3)),
      emptied(stored(numbered(5), { base: 10 })),
      stored(numbered(2, "b"), { base: 20 }),
      emptied(stored(numbered(4), { base: 22 }))
    )
    const batch = decode(set)
    assert.deepStrictEqual(values(batch), ["0", "1", "2", "b0", "b1"])
    assert.deepStrictEqual(Array.from(batch.offsets), [0, 1, 2, 20, 21])
    assert.strictEqual(batch.next, 26)
    // Of a set that holds no record at all, the position still moves on.
    const empty = decode(emptied(stored(numbered(5), { base: 10 })), { offset: 4 })
    assert.deepInclude(empty, { base: 4, next: 15, count: 0 })
    // A batch whose last records are gone keeps its last offset.
    const cut = stored(numbered(3), { base: 30 })
    new DataView(cut.buffer, cut.byteOffset).setInt32(23, 9)
    assert.strictEqual(decode(cut, { offset: 30 }).next, 40)
  })

  it("leave out aborted transactions by producer and offset, and know their end by its marker", () => {
    const set = concat(
      stored(numbered(2, "a"), { base: 0, producerId: 1n, transactional: true }),
      stored(numbered(2, "b"), { base: 2, producerId: 2n, transactional: true }),
      stored(numbered(1, "plain"), { base: 4, producerId: 1n }),
      marker(5, 0, 1n),
      stored(numbered(2, "c"), { base: 6, producerId: 1n, transactional: true }),
      marker(8, 1, 2n),
      marker(9, 1, 1n)
    )
    const batch = decode(set, { aborted: [{ producerId: 1n, firstOffset: 0 }] })
    assert.deepStrictEqual(values(batch), ["b0", "b1", "plain0", "c0", "c1"])
    assert.strictEqual(batch.next, 10)
    // A fetch that begins at the marker itself.
    const at = decode(
      set.subarray(
        set.length - marker(9, 1, 1n).length * 2 - stored(numbered(2, "c")).length - marker(5, 0, 1n).length
      ),
      {
        offset: 5,
        aborted: []
      }
    )
    assert.deepStrictEqual(values(at), ["c0", "c1"])
    const alone = decode(marker(5, 0, 1n), { offset: 5, aborted: [{ producerId: 1n, firstOffset: 0 }] })
    assert.deepInclude(alone, { base: 5, next: 6, count: 0 })
  })

  it("take the broker's time where the topic says so", () => {
    const bytes = stored(numbered(2))
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    view.setInt16(21, 0x08)
    view.setBigInt64(35, 5_000n)
    assert.deepStrictEqual(Array.from(decode(bytes).timestamps), [5_000, 5_000])
  })

  it("stop before a batch that the broker's limit cut off", () => {
    const set = concat(stored(numbered(3)), stored(numbered(3), { base: 3 }).subarray(0, 80))
    assert.deepInclude(decode(set), { next: 3, count: 3 })
    assert.deepInclude(decode(set.subarray(0, 5)), { next: 0, count: 0 })
  })

  it("are refused when they are damaged, by the offset of the batch", () => {
    const set = concat(stored(numbered(3)), stored(numbered(3), { base: 3, compression: "gzip" }))
    const at = (bytes: Uint8Array, checkCrcs: boolean) => {
      try {
        decode(bytes, { checkCrcs })
        return "read"
      } catch (cause) {
        return cause instanceof RecordSet.DamagedBatch ? cause.offset : cause
      }
    }
    const first = set.slice()
    first[65]! ^= 1
    assert.strictEqual(at(first, true), 0)
    const second = set.slice()
    second[set.length - 12]! ^= 1
    assert.strictEqual(at(second, true), 3)
    assert.strictEqual(at(second, false), 3)
    const format = set.slice()
    format[16] = 1
    assert.strictEqual(at(format, true), 0)
    const overlong = stored(numbered(3))
    overlong[61] = 0xfe
    assert.strictEqual(at(overlong, false), 0)
    assert.strictEqual(at(set, true), "read")
  })
})

describe("a slice of a batch", () => {
  it("covers what was asked for, by offsets and by records", () => {
    const batch = decode(concat(stored(numbered(5)), stored(numbered(5, "b"), { base: 10 })))
    for (let from = 0; from <= 15; from++)
      for (let until = from; until <= 16; until++)
        for (const max of [1, 3, 100]) {
          const own = slice(batch, from, until, max)
          const all = Array.from(batch.offsets).filter((offset) => offset >= from && offset < until)
          assert.deepStrictEqual(Array.from(own.offsets), all.slice(0, max))
          assert.strictEqual(own.base, from)
          assert.strictEqual(own.next, all.length > max ? all[max - 1]! + 1 : Math.min(until, 15))
          assert.deepStrictEqual(
            values(own),
            Array.from(own.offsets, (o) => (o < 10 ? `${o}` : `b${o - 10}`))
          )
        }
  })
})
