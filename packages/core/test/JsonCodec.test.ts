import { assert, describe, it } from "@effect/vitest"
import { Batch, JsonCodec, TopicSchema } from "@headrace/core"
import { reasonOf } from "@headrace/core/DeadLetter"
import { Effect, Schema } from "effect"
import * as fc from "fast-check"

const schema = TopicSchema.make(
  Schema.Struct({
    id: Schema.String,
    total: TopicSchema.decimal(2),
    n: Schema.Int,
    ts: TopicSchema.instant,
    status: Schema.Literals(["open", "closed"]),
    note: Schema.optionalKey(Schema.NullOr(Schema.String)),
    flag: Schema.Boolean
  })
)
const valid = { id: "a", total: 12.34, n: 7, ts: 1_774_396_800_000, status: "open", flag: true }
const names = schema.columns.map((c) => c.name)

const decode = (values: ReadonlyArray<string | Uint8Array | null>) => {
  const builder = new Batch.BatchBuilder(2, 8)
  for (const [i, value] of values.entries()) builder.add(`k${i}`, value, i)
  const batch = builder.take()
  const offsets = Float64Array.from(values, (_, i) => 10 + i)
  return JsonCodec.make(schema).decode(
    { ...batch, topic: "t", partition: 0, base: 10, next: 10 + values.length, offsets },
    names
  )
}

describe("JsonCodec", () => {
  it.effect("gives columns: decimals scaled, instants in milliseconds, absent fields null", () =>
    Effect.gen(function* () {
      const batch = yield* decode([
        JSON.stringify(valid),
        JSON.stringify({ ...valid, id: "ü€😀", ts: "2026-03-25T00:00:00.5Z", total: "-0.10", note: "x", extra: [1] })
      ])
      assert.isUndefined(batch.kinds)
      assert.deepStrictEqual(batch.columns["id"], ["a", "ü€😀"])
      assert.deepStrictEqual([...batch.columns["total"]!], [1234, -10])
      assert.deepStrictEqual([...batch.columns["ts"]!], [1_774_396_800_000, 1_774_396_800_500])
      assert.deepStrictEqual([...batch.columns["note"]!], [null, "x"])
    })
  )

  it.effect("makes a poison record data, with its bytes and one canonical reason", () =>
    Effect.gen(function* () {
      const without = ({ n: _, ...rest }: typeof valid) => rest
      const cases: ReadonlyArray<readonly [string | Uint8Array, string]> = [
        ["", "not-json"],
        ["{", "not-json"],
        ["[1]", "not-json"],
        ["null", "not-json"],
        [new Uint8Array([123, 34, 255, 34, 125]), "not-json"],
        [JSON.stringify(without(valid)), "missing-field:n"],
        [JSON.stringify({ ...valid, id: 1 }), "wrong-type:id"],
        [JSON.stringify({ ...valid, n: null }), "wrong-type:n"],
        [JSON.stringify({ ...valid, n: 1.5 }), "wrong-type:n"],
        [JSON.stringify(valid).replace('"n":7', '"n":9007199254740992'), "out-of-range:n"],
        [JSON.stringify(valid).replace('"n":7', '"n":9007199254740993'), "out-of-range:n"],
        [JSON.stringify(valid).replace("12.34", "1e400"), "out-of-range:total"],
        [JSON.stringify(valid).replace("12.34", "12.345"), "out-of-range:total"],
        [JSON.stringify(valid).replace("12.34", "0.30000000000000004"), "out-of-range:total"],
        [JSON.stringify({ ...valid, total: "12,3" }), "wrong-type:total"],
        [JSON.stringify({ ...valid, ts: 253402300800000 }), "out-of-range:ts"],
        [JSON.stringify({ ...valid, ts: 1.5 }), "out-of-range:ts"],
        [JSON.stringify({ ...valid, ts: "yesterday" }), "wrong-type:ts"],
        [JSON.stringify({ ...valid, id: "\ud800" }), "out-of-range:id"],
        [JSON.stringify({ ...valid, id: "a\0b" }), "out-of-range:id"],
        [JSON.stringify({ ...valid, status: "lost" }), "check-failed:status"]
      ]
      const batch = yield* decode([JSON.stringify(valid), ...cases.map(([value]) => value), null])
      for (const [i, [value, reason]] of cases.entries()) {
        const poison = batch.poison.get(i + 1)
        assert.strictEqual(poison && reasonOf(poison), reason)
        assert.deepStrictEqual(Buffer.from(poison!.value!), Buffer.from(value))
        assert.strictEqual(Buffer.from(poison!.key!).toString(), `k${i + 1}`)
      }
      assert.strictEqual(batch.kinds![0], Batch.Kind.decoded)
      assert.strictEqual(batch.kinds!.at(-1), Batch.Kind.tombstone)
    })
  )

  it("never loses a digit of a decimal, however it is written", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: -(2n ** 53n) + 1n, max: 2n ** 53n - 1n }),
        fc.constantFrom("number", "text", "exponent", "nested"),
        async (scaled, form) => {
          const digits = String(scaled).replace("-", "").padStart(3, "0")
          const plain = `${scaled < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`
          const value = form === "text" ? `"${plain}"` : form === "exponent" ? `${String(scaled)}e-2` : plain
          const text = JSON.stringify({ ...valid, nested: 0 })
            .replace("12.34", value)
            .replace('"nested":0', form === "nested" ? '"nested":{"total":99999999999999999.5}' : '"nested":0')
          const batch = await Effect.runPromise(decode([text]))
          assert.strictEqual(BigInt(batch.columns["total"]![0] as number), scaled)
        }
      ),
      { numRuns: 500 }
    )
  })
})
