import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { ColumnReader, ColumnWriter, type Field } from "@headrace/parquet"
import { Effect } from "effect"
import * as fc from "fast-check"
import * as Hybrid from "../src/internal/Hybrid.ts"

/** Values as runs and packed stretches, bit by bit as the format says. */
const encode = (stretches: ReadonlyArray<Stretch>, width: number): Uint8Array => {
  const out: Array<number> = []
  const header = (n: number) => {
    for (let rest = n; ; rest = Math.floor(rest / 128)) {
      out.push(rest < 128 ? rest : (rest % 128) + 128)
      if (rest < 128) return
    }
  }
  for (const stretch of stretches) {
    if ("run" in stretch) {
      header(stretch.run * 2)
      for (let i = 0; i < Math.ceil(width / 8); i++) out.push((stretch.value >>> (8 * i)) & 255)
    } else {
      header((stretch.packed.length / 8) * 2 + 1)
      const bits = stretch.packed.flatMap((v) => Array.from({ length: width }, (_, b) => (v >>> b) & 1))
      for (let i = 0; i < bits.length; i += 8)
        out.push(bits.slice(i, i + 8).reduce((byte, bit, b) => byte | (bit << b), 0))
    }
  }
  return Uint8Array.from(out)
}

type Stretch = { readonly run: number; readonly value: number } | { readonly packed: ReadonlyArray<number> }

const valuesOf = (stretches: ReadonlyArray<Stretch>): ReadonlyArray<number> =>
  stretches.flatMap((s) => ("run" in s ? Array.from({ length: s.run }, () => s.value) : s.packed))

const hybrids = fc.integer({ min: 1, max: 31 }).chain((width) => {
  const value = fc.integer({ min: 0, max: 2 ** width - 1 })
  const stretch: fc.Arbitrary<Stretch> = fc.oneof(
    fc.record({ run: fc.integer({ min: 1, max: 300 }), value }),
    fc
      .integer({ min: 1, max: 4 })
      .chain((groups) => fc.record({ packed: fc.array(value, { minLength: 8 * groups, maxLength: 8 * groups }) }))
  )
  return fc.record({ width: fc.constant(width), stretches: fc.array(stretch, { minLength: 1, maxLength: 8 }) })
})

describe("Hybrid", () => {
  it("reads runs and packed values of every width, wherever they stand", () => {
    fc.assert(
      fc.property(hybrids, fc.nat(9), fc.double({ min: 0, max: 1, noNaN: true }), ({ stretches, width }, at, share) => {
        const expected = valuesOf(stretches)
        const bytes = encode(stretches, width)
        const framed = new Uint8Array(at + bytes.length + 5).fill(255)
        framed.set(bytes, at)
        const count = Math.round(expected.length * share)
        const out = new Int32Array(count + 1).fill(-7)
        Hybrid.read(framed, at, at + bytes.length, width, out, count)
        assert.deepEqual([...out], [...expected.slice(0, count), -7])
      })
    )
  })

  it("refuses bytes that end before the last value", () => {
    fc.assert(
      fc.property(hybrids, fc.nat(), ({ stretches, width }, at) => {
        const bytes = encode(stretches, width)
        const count = valuesOf(stretches).length
        const end = at % bytes.length
        assert.throws(() => Hybrid.read(bytes, 0, end, width, new Int32Array(count), count), RangeError)
      })
    )
  })

  it("tells one run of a value from everything else", () => {
    const isOneRun = (stretches: ReadonlyArray<Stretch>, count: number) => {
      const bytes = encode(stretches, 1)
      return Hybrid.isOneRun(bytes, 0, bytes.length, 1, count)
    }
    assert.isTrue(isOneRun([{ run: 70_000, value: 1 }], 70_000))
    assert.isFalse(isOneRun([{ run: 70_000, value: 1 }], 70_001))
    assert.isFalse(isOneRun([{ run: 70_000, value: 0 }], 70_000))
    assert.isFalse(isOneRun([{ packed: [1, 1, 1, 1, 1, 1, 1, 1] }], 8))
    assert.isFalse(Hybrid.isOneRun(new Uint8Array(0), 0, 0, 1, 1))
  })
})

const write = Effect.fnUntraced(function* (
  schema: ReadonlyArray<Field.Field>,
  columns: Readonly<Record<string, Field.Column>>,
  rowCount: number
) {
  const chunks: Array<Uint8Array> = []
  const writer = yield* ColumnWriter.make({ schema, codec: "uncompressed", sink: (c) => void chunks.push(c) })
  yield* writer.writeRowGroup(columns, rowCount)
  yield* writer.finish()
  return new Uint8Array(Buffer.concat(chunks))
})

const text = (name: string, required: boolean): Field.Field => ({ name, type: { kind: "string" }, required })

describe("readSlices", () => {
  const n = 5_000
  const schema = [
    text("few", true),
    text("some", false),
    text("all", true),
    { name: "number", type: { kind: "long" }, required: true } as const,
    { name: "gaps", type: { kind: "long" }, required: false } as const
  ]
  const columns = {
    few: Array.from({ length: n }, (_, i) => `few-${i % 3}`),
    some: Array.from({ length: n }, (_, i) => (i % 7 < 2 ? null : `some-${i % 5}`)),
    all: Array.from({ length: n }, (_, i) => `each is another ${i}`),
    number: Float64Array.from({ length: n }, (_, i) => i * 3),
    gaps: Array.from({ length: n }, (_, i) => (i % 11 === 0 ? null : i))
  }

  it.effect("gives the rows of any range as a read of the whole does", () =>
    Effect.gen(function* () {
      const bytes = yield* write(schema, columns, n)
      const file = yield* ColumnReader.open(ColumnReader.fromBytes("slices.parquet", bytes))
      const names = schema.map((f) => f.name)
      const whole = yield* ColumnReader.readRowGroup(file, 0, names)
      const slices = yield* ColumnReader.readSlices(file, 0, names)
      for (const name of names)
        assert.deepEqual([...whole.columns[name]!], [...columns[name as keyof typeof columns]], name)
      for (const [from, until] of [
        [0, n],
        [0, 1],
        [n - 1, n],
        [17, 4_203],
        [100, 100]
      ] as const) {
        const part = slices(from, until)
        assert.strictEqual(part.rowCount, until - from)
        for (const name of names)
          assert.deepEqual([...part.columns[name]!], [...whole.columns[name]!].slice(from, until), `${name} ${from}`)
      }
    })
  )

  it.effect("refuses an index that the dictionary doesn't have, by file, column and row group", () =>
    Effect.gen(function* () {
      const values = Array.from({ length: 64 }, (_, i) => ["a", "b", "c"][i % 3]!)
      const bytes = yield* write([text("letter", true)], { letter: values }, 64)
      // Indices of 2 bits: 0, 1, 2, 0, 1, 2, … from the lowest bit on.
      const packed = Buffer.from(bytes).indexOf(Buffer.from([0x24, 0x49, 0x92]))
      assert.isAbove(packed, 0)
      bytes[packed] = 0xff
      const file = yield* ColumnReader.open(ColumnReader.fromBytes("damaged.parquet", bytes))
      const error = yield* Effect.flip(ColumnReader.readRowGroup(file, 0, ["letter"]))
      assert.strictEqual(error.reason._tag, "Corrupt")
      assert.match(error.message, /"damaged\.parquet".*"letter", row group 0.*entry 3 of a dictionary of 3/)
    })
  )
})

describe("files of another writer", () => {
  for (const version of ["v1", "v2"]) {
    it.effect(`DuckDB, ${version} pages: dictionaries, nulls and its encodings`, () =>
      Effect.gen(function* () {
        const name = `duckdb-${version}.parquet`
        const bytes = yield* Effect.promise(() => readFile(join(import.meta.dirname, "data", name)))
        const file = yield* ColumnReader.open(ColumnReader.fromBytes(name, new Uint8Array(bytes)))
        const names = ["id", "name", "n", "even", "at", "text", "half"]
        const { columns, rowCount } = yield* ColumnReader.readRowGroup(file, 0, names)
        const rows = Array.from({ length: rowCount }, (_, i) => names.map((c) => columns[c]![i]))
        const expected = Array.from({ length: 24 }, (_, i) => [
          i,
          i % 3 === 0 ? null : `n${i % 4}`,
          i % 5 === 1 ? null : i * 7 - 50,
          i % 2 === 0,
          1e12 + i * 1001,
          i < 3 ? null : "x".repeat(i % 7) + i,
          i / 2
        ])
        assert.deepEqual(rows, expected)
      })
    )
  }
})
