/** Text and wide integers come back as they were, whatever their number, their nulls and their pages, with exact bounds. */
import { assert, describe, it } from "@effect/vitest"
import { ColumnReader, ColumnWriter, type Field } from "@headrace/parquet"
import { Effect } from "effect"

const written = (type: Field.ColumnType, required: boolean, groups: ReadonlyArray<Field.Column>) =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    const schema: ReadonlyArray<Field.Field> = [{ name: "c", type, required }]
    const writer = yield* ColumnWriter.make({ schema, sink: (chunk) => void chunks.push(chunk) })
    for (const c of groups) yield* writer.writeRowGroup({ c }, c.length)
    const { columns, fileSize } = yield* writer.finish()
    const bytes = new Uint8Array(Buffer.concat(chunks))
    assert.strictEqual(bytes.length, fileSize)
    const file = yield* ColumnReader.open(ColumnReader.fromBytes("t", bytes))
    const read: Array<unknown> = []
    for (const group of groups.keys())
      for (const value of (yield* ColumnReader.readRowGroup(file, group, ["c"])).columns["c"]!) read.push(value)
    return { read, column: columns[0]!, fileSize }
  })

const byCodePoint = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const rows = 300_000
const texts = (make: (i: number) => string | null) => Array.from({ length: rows }, (_, i) => make(i))

describe("chunks of text", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<string | null>]> = [
    ["each another, over many pages", texts((i) => `order-${(i * 7919) % rows}`)],
    ["few, as a dictionary over two pages", texts((i) => `category ${(i * 31) % 24}`)],
    ["one only", texts(() => "same")],
    ["nulls between different ones", texts((i) => (i % 3 === 0 ? null : `order-${i}`))],
    ["nulls between few", texts((i) => (i % 5 < 2 ? null : `category ${i % 24}`))],
    ["nulls alone", [null, null, null]],
    ["none but one", [null, "x", null, null]],
    ["empty ones", texts((i) => (i % 2 === 0 ? "" : `${i}`))],
    ["beyond ASCII, short and long", texts((i) => `é${i}😀${"ß".repeat(i % 40)}`)],
    ["bounds by code point, not by code unit", ["\u{1F600}", "\uFFFD", "a", "\uE000", "\u{10FFFF}"]],
    ["one larger than a page", ["a", "b".repeat(3_000_000), "é".repeat(1_200_000), "c"]]
  ]
  for (const [name, values] of cases)
    it.effect(name, () =>
      Effect.gen(function* () {
        const { column, read } = yield* written({ kind: "string" }, false, [values, values.slice(0, 9)])
        const all = [...values, ...values.slice(0, 9)]
        assert.isTrue(read.length === all.length && read.every((value, i) => value === all[i]))
        const sorted = all.filter((value) => value !== null).toSorted(byCodePoint)
        assert.strictEqual(column.nullCount, all.length - sorted.length)
        assert.isTrue(column.min === sorted[0] && column.max === sorted.at(-1))
      })
    )

  it.effect("few values take little room", () =>
    Effect.gen(function* () {
      let state = 1
      const draw = () => (state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32
      const { fileSize } = yield* written({ kind: "string" }, true, [
        texts(() => `a category with a long name ${Math.floor(draw() * 16)}`)
      ])
      // Four bits each.
      assert.isBelow(fileSize, rows * 0.6)
    })
  )
})

describe("chunks of wide integers", () => {
  const kinds: ReadonlyArray<readonly [Field.ColumnType, number]> = [
    [{ kind: "long" }, Number.MAX_SAFE_INTEGER],
    [{ kind: "decimal", precision: 18, scale: 2 }, Number.MAX_SAFE_INTEGER],
    [{ kind: "timestamptz" }, 8.64e15]
  ]
  for (const [type, most] of kinds)
    for (const [name, make] of [
      ["each another", (i: number) => (i % 2 === 0 ? i : -i) * 1e6],
      ["few", (i: number) => (i % 13) - 6],
      ["the ends", (i: number) => (i % 2 === 0 ? most : -most)]
    ] as const)
      for (const required of [true, false])
        it.effect(`${type.kind}, ${name}, ${required ? "required" : "optional"}`, () =>
          Effect.gen(function* () {
            const values = Float64Array.from({ length: rows }, (_, i) => make(i))
            const { column, read } = yield* written(type, required, [values, values.subarray(0, 1)])
            assert.isTrue(read.length === rows + 1 && read.every((v, i) => Object.is(v, values[i % rows]! + 0)))
            const bounds = values.reduce(([a, b], v) => [Math.min(a!, v), Math.max(b!, v)], [Infinity, -Infinity])
            assert.deepStrictEqual([column.min, column.max], bounds)
          })
        )
})
