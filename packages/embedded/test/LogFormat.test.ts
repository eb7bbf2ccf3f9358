import { assert, describe, it } from "@effect/vitest"
import { keyOf, type ProducerBatch, valueOf } from "@headrace/core/Batch"
import * as Records from "@headrace/core/contract/Records"
import * as fc from "fast-check"
import * as LogFormat from "../src/LogFormat.ts"

// Some so long that their lengths take four bytes.
const bytes = fc.oneof(
  { weight: 60, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.constant(new Uint8Array(66_000).fill(7)) }
)
const nullable = fc.option(bytes, { nil: null })
const headers = fc.array(fc.record({ key: fc.string({ unit: "grapheme", maxLength: 5 }), value: nullable }), {
  maxLength: 3
})
const timestamp = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  fc.constantFrom(-62135596800000, -1, 0, 2 ** 32 - 1, 2 ** 32, 253402300799999),
  fc.maxSafeInteger()
)
const records = fc
  .array(fc.record({ key: nullable, value: nullable, timestamp, headers: fc.oneof(fc.constant([]), headers) }), {
    maxLength: 12
  })
  .map((all) =>
    all.map((r) => ({ ...r, key: r.key && Uint8Array.from(r.key), value: r.value && Uint8Array.from(r.value) }))
  )

/** The same batch with its data in reverse order, with bytes between that belong to nobody. */
const scattered = (batch: ProducerBatch): ProducerBatch => {
  const out = new Uint8Array(batch.bytes.length + 3 * batch.count + 1).fill(0xee)
  const keys = batch.keys.slice()
  const values = batch.values.slice()
  let at = 1
  for (let i = batch.count - 1; i >= 0; i--) {
    for (const [ranges, data] of [
      [values, valueOf(batch, i)],
      [keys, keyOf(batch, i)]
    ] as const) {
      if (data === null) continue
      out.set(data, at)
      ranges[2 * i] = at
      ranges[2 * i + 1] = at += data.length
    }
    at += 3
  }
  return { ...batch, bytes: out, keys, values }
}

/** The bytes as a view that starts so many bytes behind a multiple of 8. */
const shifted = (stored: Uint8Array, by: number): Uint8Array => {
  const out = new Uint8Array(stored.length + 8).subarray(by, by + stored.length)
  out.set(stored)
  return out
}

const cases = fc.record({
  records,
  scatter: fc.boolean(),
  cut: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
  base: fc.oneof(fc.constantFrom(0, 2 ** 53 - 2 ** 33), fc.integer({ min: 0, max: 1e9 })),
  holes: fc.option(fc.array(fc.integer({ min: 0, max: 1e8 }), { minLength: 13, maxLength: 13 }), { nil: undefined }),
  shift: fc.integer({ min: 0, max: 7 })
})
type Case = typeof cases extends fc.Arbitrary<infer A> ? A : never

const encode = ({ base, cut, holes, records, scatter }: Case) => {
  const packed = Records.toBatch(records)
  const batch = scatter ? scattered(packed) : packed
  const [a, b] = cut.map((c) => Math.floor(c * (records.length + 1) * 0.999))
  const [from, to] = [Math.min(a!, b!), Math.max(a!, b!)]
  const offsets = new Float64Array(records.length)
  let next = base
  for (let i = from; i < to; i++) {
    offsets[i] = next + (holes?.[i] ?? 0)
    next = offsets[i]! + 1
  }
  next += holes?.[12] ?? 0
  const stored = LogFormat.encode(batch, from, to, base, holes && { offsets, next })
  const expected = records.slice(from, to).map((record, i) => ({ offset: offsets[from + i]!, ...record }))
  return { stored, expected, next }
}

describe("LogFormat", () => {
  it("gives back any batch, wherever its bytes stand", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { expected, next, stored } = encode(one)
        assert.strictEqual(LogFormat.formatOf(stored), LogFormat.format)
        const batch = LogFormat.decode("t", 3, shifted(stored, one.shift))
        assert.deepStrictEqual(Records.ofBatch(batch), expected)
        assert.deepInclude(batch, { topic: "t", partition: 3, base: one.base, next, count: expected.length })
      }),
      { numRuns: 400 }
    )
  })

  it("gives a batch within its bytes, or a RangeError, for bytes that were cut or changed", () => {
    let refused = 0
    fc.assert(
      fc.property(cases, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (one, at, flip, cut) => {
        const { stored } = encode(one)
        const damaged = cut ? stored.slice(0, at % stored.length) : stored.slice()
        if (!cut) damaged[at % Math.min(stored.length, 200)]! ^= flip
        try {
          const batch = LogFormat.decode("t", 0, damaged)
          assert.isFalse(cut)
          for (const ranges of [batch.keys, batch.values])
            for (let i = 0; i < 2 * batch.count; i += 2)
              if (ranges[i]! >= 0) assert.isTrue(ranges[i]! <= ranges[i + 1]! && ranges[i + 1]! <= batch.bytes.length)
          assert.strictEqual(batch.headers?.length ?? batch.count, batch.count)
        } catch (cause) {
          if (!(cause instanceof RangeError)) throw cause
          refused++
        }
      }),
      { numRuns: 600 }
    )
    assert.isAbove(refused, 100)
  })
})
