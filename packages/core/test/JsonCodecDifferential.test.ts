/** Random documents, right and wrong ones, against `JSON.parse` and the schemas of the fields. */
import { assert, describe, it } from "@effect/vitest"
import { Batch, Decimal, JsonCodec, TopicSchema } from "@headrace/core"
import { reasonOf } from "@headrace/core/DeadLetter"
import { Effect, Schema } from "effect"
import * as fc from "fast-check"

const fields = {
  id: Schema.String,
  total: TopicSchema.decimal(2).check(Schema.isLessThan(1e6)),
  n: Schema.Int,
  status: Schema.Literals(["open", "closed"]),
  note: Schema.optionalKey(Schema.NullOr(Schema.String)),
  fee: Schema.optionalKey(Schema.NullOr(TopicSchema.decimal(4))),
  flag: Schema.Boolean
}
const schema = TopicSchema.make(Schema.Struct(fields))
const names = schema.columns.map((c) => c.name)
const codec = JsonCodec.make(schema)

/** What a field's value is, told from its JSON text alone: the column's value, or the code of what is wrong. */
const oracleOf = (name: keyof typeof fields, json: string | undefined): { readonly value: unknown } | string => {
  const optional = name === "note" || name === "fee"
  if (json === undefined) return optional ? { value: null } : "missing-field"
  const value: unknown = JSON.parse(json)
  if (value === null) return optional ? { value: null } : "wrong-type"
  switch (name) {
    case "flag":
      return typeof value === "boolean" ? { value } : "wrong-type"
    case "n":
      if (typeof value !== "number") return "wrong-type"
      if (Math.abs(value) >= 2 ** 53) return "out-of-range"
      return Schema.is(fields.n)(value) ? { value: value + 0 } : "wrong-type"
    case "total":
    case "fee": {
      const text = typeof value === "string" ? value : typeof value === "number" ? json.trim() : undefined
      if (text === undefined || !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) return "wrong-type"
      const scaled = Decimal.fromText(text, name === "total" ? 2 : 4)
      if (scaled === undefined) return "out-of-range"
      return name === "fee" || scaled < 1e8 ? { value: scaled } : "check-failed"
    }
    default: {
      if (typeof value !== "string") return "wrong-type"
      if (/\p{Surrogate}|\0/u.test(value)) return "out-of-range"
      return name !== "status" || Schema.is(fields.status)(value) ? { value } : "check-failed"
    }
  }
}

const number = fc.oneof(
  fc.integer({ min: -1000, max: 1000 }).map(String),
  fc.constantFrom(
    "0",
    "-0",
    "12.34",
    "-0.10",
    "1e2",
    "1E+0002",
    "15e-1",
    "1e-400",
    "1e400",
    "0.1e1",
    "100000000",
    "123456789012.34"
  ),
  fc.constantFrom(
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740991",
    "1.50000000000000000000",
    "0.30000000000000004"
  ),
  fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n }).map((n) => Decimal.format(n, 2)),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((d) => JSON.stringify(d))
)
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }).map((s) => JSON.stringify(s)),
  fc.constantFrom(
    '"open"',
    '"closed"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\"}]"',
    '"\\\\"',
    '"12.34"',
    '"1e-1"',
    '"12,3"',
    '"\\u006fpen"',
    '""'
  ),
  number.map((n) => `"${n}"`)
)
const scalar = fc.oneof(number, text, fc.constantFrom("true", "false", "null"))
const nested = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 3 }).map((all) => `[${all.join(" , ")}]`),
  fc
    .array(fc.tuple(fc.constantFrom(...names, "x"), scalar), { maxLength: 3 })
    .map((all) => `{"x":{${all.map(([k, v]) => `"${k}":${v}`).join(",")}}}`),
  number.map((n) => `${"[".repeat(2_000)}{"total":${n}}${"]".repeat(2_000)}`)
)
const good: Readonly<Record<string, fc.Arbitrary<string>>> = {
  id: fc.string({ unit: "grapheme", maxLength: 5 }).map((s) => JSON.stringify(s)),
  total: fc.integer({ min: -1e6, max: 1.1e8 }).map((n) => Decimal.format(n, 2)),
  // Most records have short numbers alone, which are read another way.
  n: fc.oneof(
    { weight: 6, arbitrary: fc.integer().map(String) },
    { weight: 1, arbitrary: fc.maxSafeInteger().map(String) }
  ),
  status: fc.constantFrom('"open"', '"closed"'),
  note: fc.constantFrom('"x"', "null"),
  fee: fc.oneof(
    { weight: 6, arbitrary: fc.integer().map((n) => Decimal.format(n, 4)) },
    { weight: 1, arbitrary: fc.maxSafeInteger().map((n) => Decimal.format(n, 4)) }
  ),
  flag: fc.constantFrom("true", "false")
}
/** A key as JSON, some of it escaped. */
const keyOf = (name: string, escaped: boolean): string =>
  escaped ? `"${`\\u${name.charCodeAt(0).toString(16).padStart(4, "0")}`}${name.slice(1)}"` : `"${name}"`
const member = fc
  .tuple(
    fc.constantFrom(...names, ...names, "x", "__proto__"),
    fc.boolean(),
    fc.boolean(),
    fc.constantFrom("", " ", "\n\t")
  )
  .chain(([name, wrong, escaped, space]) =>
    (wrong ? nested : names.includes(name) ? good[name]! : nested).map((json) => ({ name, json, escaped, space }))
  )
const members = fc
  .tuple(
    fc.tuple(...names.map((name) => good[name]!)),
    fc.array(member, { maxLength: 3 }),
    fc.constantFrom(-1, -1, -1, 0, 3, 6)
  )
  .map(([all, more, without]) => [
    ...all.flatMap((json, i) => (i === without ? [] : [{ name: names[i]!, json, escaped: false, space: "" }])),
    ...more
  ])

const utf8 = new TextEncoder()
const decode = (values: ReadonlyArray<Uint8Array>) => {
  const builder = new Batch.BatchBuilder()
  for (const value of values) builder.add("key", value, 0)
  const offsets = Float64Array.from(values, (_, i) => i)
  return Effect.runSync(
    codec.decode({ ...builder.take(), topic: "t", partition: 0, base: 0, next: values.length, offsets }, names)
  )
}

describe("JsonCodec", () => {
  it("decodes documents as JSON.parse and the schema do, and gives the first field that is wrong", () => {
    const met = new Map<string, number>()
    fc.assert(
      fc.property(fc.array(members, { minLength: 1, maxLength: 4 }), (documents) => {
        const batch = decode(
          documents.map((all) => {
            const parts = all.map(
              ({ escaped, json, name, space }) => `${space}${keyOf(name, escaped)}${space}:${space}${json}${space}`
            )
            return utf8.encode(`{${parts.join(",")}}`)
          })
        )
        for (const [i, all] of documents.entries()) {
          // The last of a key counts.
          const last = new Map(all.map(({ json, name }) => [name, json]))
          const expected = names.map((name) => [name, oracleOf(name as keyof typeof fields, last.get(name))] as const)
          const wrong = expected.find(([, of]) => typeof of === "string")
          const poison = batch.poison.get(i)
          assert.strictEqual(poison && reasonOf(poison), wrong && `${wrong[1] as string}:${wrong[0]}`)
          const kind = wrong === undefined ? "decoded" : (wrong[1] as string)
          met.set(kind, (met.get(kind) ?? 0) + 1)
          if (wrong !== undefined) continue
          for (const [name, of] of expected)
            assert.strictEqual(batch.columns[name]![i], (of as { readonly value: unknown }).value)
        }
      }),
      { numRuns: 1_500 }
    )
    for (const kind of ["decoded", "missing-field", "wrong-type", "out-of-range", "check-failed"])
      assert.isAbove(met.get(kind) ?? 0, 20, kind)
  })

  it("takes for JSON what JSON.parse takes, in valid UTF-8 without a byte order mark", () => {
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
    const document = fc.oneof(
      members.map((all) => `{${all.map((m) => `"${m.name}":${m.json}`).join(",")}}`),
      nested
    )
    const damage = fc.constantFrom<(bytes: Uint8Array, at: number) => Uint8Array>(
      (bytes) => bytes,
      (bytes, at) => bytes.subarray(0, at % (bytes.length + 1)),
      (bytes) => Uint8Array.of(0xef, 0xbb, 0xbf, ...bytes),
      (bytes, at) => bytes.with(at % bytes.length, 0xff),
      (bytes, at) => bytes.with(at % bytes.length, [0, 9, 34, 44, 92, 125][at % 6]!),
      (bytes) => Uint8Array.of(...bytes, 125),
      (bytes) => Uint8Array.of(32, 13, 10, ...bytes, 9, 32)
    )
    let refused = 0
    fc.assert(
      fc.property(document, damage, fc.nat(), (json, change, at) => {
        const value = change(utf8.encode(json), at)
        let isObject = false
        try {
          const parsed: unknown = JSON.parse(strict.decode(value))
          isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
        } catch {
          refused++
        }
        const { poison } = decode([value])
        assert.strictEqual(poison.get(0)?.code === "not-json", !isObject)
      }),
      { numRuns: 800 }
    )
    assert.isAbove(refused, 100)
  })

  it("takes no number for zero that is none, and none for another that a double is nearest to", () => {
    for (const [total, read] of [
      ["1e-400", "out-of-range:total"],
      ["0e-400", 0],
      ["1.5e-1", 15],
      ["90071992547409.9", "check-failed:total"],
      ["1e0005", 10_000_000]
    ] as const) {
      const { columns, poison } = decode([
        utf8.encode(`{"id":"a","total":${total},"n":1,"status":"open","flag":true}`),
        utf8.encode(`{"id":"a","total":${total},"n":1,"status":"open","flag":true,"x":12345678901234567890}`)
      ])
      for (const i of [0, 1]) {
        const bad = poison.get(i)
        assert.strictEqual(bad ? reasonOf(bad) : columns["total"]![i], read)
      }
    }
  })

  it("decodes a record however deep an unknown field of it is nested", () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
    for (const total of ["1.25", "1.250000000000000000"]) {
      const { columns, poison } = decode([
        utf8.encode(`{"id":"a","x":${deep},"total":${total},"n":1,"status":"open","flag":true}`)
      ])
      assert.strictEqual(poison.size, 0)
      assert.strictEqual(columns["total"]![0], 125)
    }
    const { poison } = decode([utf8.encode(`{"id":${deep},"total":1,"n":1,"status":"open","flag":true}`)])
    assert.strictEqual(poison.get(0) && reasonOf(poison.get(0)!), "wrong-type:id")
  })
})
