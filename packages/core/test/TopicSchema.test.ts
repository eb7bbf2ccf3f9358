import { assert, describe, it } from "@effect/vitest"
import { TopicSchema } from "@headrace/core"
import { Schema } from "effect"

const columnsOf = (fields: Schema.Struct.Fields) =>
  TopicSchema.make(Schema.Struct(fields)).columns.map(({ check, name, nullable, type }) => [
    name,
    type,
    nullable,
    check !== undefined
  ])

describe("TopicSchema", () => {
  it("reads fields as typed columns", () => {
    assert.deepStrictEqual(
      columnsOf({
        text: Schema.String,
        flag: Schema.Boolean,
        whole: Schema.Int,
        real: Schema.Number,
        finite: Schema.Finite,
        money: TopicSchema.decimal(2),
        at: TopicSchema.instant,
        one: Schema.Literal("a"),
        some: Schema.Literals(["a", "b"]),
        maybe: Schema.NullOr(Schema.Int),
        absent: Schema.optionalKey(Schema.String),
        either: Schema.optionalKey(Schema.NullOr(TopicSchema.decimal(3))),
        short: Schema.String.check(Schema.isMaxLength(3)),
        positive: TopicSchema.decimal(2).check(Schema.isGreaterThan(0))
      }),
      [
        ["text", { kind: "string" }, false, false],
        ["flag", { kind: "boolean" }, false, false],
        ["whole", { kind: "integer" }, false, false],
        ["real", { kind: "double" }, false, false],
        ["finite", { kind: "double" }, false, false],
        ["money", { kind: "decimal", scale: 2 }, false, false],
        ["at", { kind: "instant" }, false, false],
        ["one", { kind: "string" }, false, true],
        ["some", { kind: "string" }, false, true],
        ["maybe", { kind: "integer" }, true, false],
        ["absent", { kind: "string" }, true, false],
        ["either", { kind: "decimal", scale: 3 }, true, false],
        ["short", { kind: "string" }, false, true],
        ["positive", { kind: "decimal", scale: 2 }, false, true]
      ]
    )
    class Order extends Schema.Class<Order>("Order")({ id: Schema.String }) {}
    assert.deepStrictEqual(
      TopicSchema.make(Order).columns.map((c) => c.name),
      ["id"]
    )
  })

  it("refuses what can't be a column, by the field's name", () => {
    const bad: ReadonlyArray<readonly [string, Schema.Struct.Fields, RegExp]> = [
      ["list", { list: Schema.Array(Schema.String) }, /its schema is/],
      ["nested", { nested: Schema.Struct({ a: Schema.String }) }, /its schema is/],
      ["mixed", { mixed: Schema.Union([Schema.String, Schema.Int]) }, /a union of several types/],
      ["never", { never: Schema.Null }, /its schema is/],
      ["big", { big: Schema.BigInt }, /its schema is/],
      ["changed", { changed: Schema.FiniteFromString }, /a transformation/],
      ["half", { half: Schema.Literal(0.5) }, /neither text, boolean nor integer/],
      ["even", { even: Schema.Int.check(Schema.makeFilter((n) => n % 2 === 0)) }, /a function without a name/],
      ["__mine", { __mine: Schema.String }, /begin with __/],
      ["constructor", { constructor: Schema.String }, /every JavaScript object/]
    ]
    for (const [name, fields, why] of bad) {
      const make = () => TopicSchema.make({ fields })
      assert.throws(make, TypeError, why)
      assert.throws(make, TypeError, `field "${name}"`)
    }
    assert.throws(() => TopicSchema.make(Schema.Struct({})), TypeError, /at least one field/)
    for (const scale of [-1, 16, 1.5, Number.NaN])
      assert.throws(() => TopicSchema.decimal(scale), RangeError, /0 to 15/)
  })

  it("has a fingerprint of names, types, nulls and checks, and of nothing else", () => {
    const print = (fields: Schema.Struct.Fields) => TopicSchema.make({ fields }).fingerprint
    const base = { id: Schema.String, n: Schema.Int }
    const even = (identifier: string) => Schema.Int.check(Schema.makeFilter((n) => n % 2 === 0, { identifier }))
    assert.strictEqual(print(base), print({ id: Schema.String.annotate({ description: "an id" }), n: Schema.Int }))
    const changed: ReadonlyArray<Schema.Struct.Fields> = [
      base,
      { id: Schema.String },
      { key: Schema.String, n: Schema.Int },
      { id: Schema.String, n: Schema.Number },
      { id: Schema.String, n: TopicSchema.decimal(0) },
      { id: Schema.String, n: TopicSchema.decimal(1) },
      { id: Schema.String, n: TopicSchema.instant },
      { id: Schema.NullOr(Schema.String), n: Schema.Int },
      { id: Schema.Literal("a"), n: Schema.Int },
      { id: Schema.Literals(["a", "b"]), n: Schema.Int },
      { id: Schema.String.check(Schema.isMaxLength(3)), n: Schema.Int },
      { id: Schema.String.check(Schema.isMaxLength(4)), n: Schema.Int },
      { id: Schema.String, n: even("even, 1") },
      { id: Schema.String, n: even("even, 2") }
    ]
    assert.strictEqual(new Set(changed.map(print)).size, changed.length)
  })
})
