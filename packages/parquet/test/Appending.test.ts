/** Row groups that are appended to in parts: dictionaries that are given up, pages that fill, bytes as ranges. */
import { assert, describe, it } from "@effect/vitest"
import { ColumnReader, ColumnWriter, type Field } from "@headrace/parquet"
import { Effect } from "effect"
import { parquetMetadata, parquetReadObjects } from "hyparquet"
import { zstdDecompressSync } from "node:zlib"

const optional = (name: string, type: Field.ColumnType, fieldId: number): Field.Field => ({
  name,
  type,
  required: false,
  fieldId
})

const schema: ReadonlyArray<Field.Field> = [
  { name: "n", type: { kind: "long" }, required: true, fieldId: 1 },
  optional("word", { kind: "string" }, 2),
  optional("line", { kind: "string" }, 3),
  optional("half", { kind: "double" }, 4),
  optional("blob", { kind: "binary" }, 5),
  optional("flag", { kind: "boolean" }, 6),
  optional("at", { kind: "timestamptz" }, 7),
  optional("cents", { kind: "decimal", precision: 9, scale: 2 }, 8),
  optional("none", { kind: "date" }, 9)
]

/** Row `i`: few distinct words, lines that are all distinct and of which some are long, nulls of each. */
const rowOf = (i: number) => ({
  n: i - 20_000,
  word: i % 11 === 0 ? null : `w${i % 7}`,
  line: i % 13 === 0 ? null : `${i} é😀 ${"x".repeat(i % 100)}`,
  half: i % 5 === 0 ? null : i % 3 === 0 ? (i % 2 === 0 ? -0 : 0) : i / 2,
  blob: i % 17 === 0 ? null : Buffer.from(`${"b".repeat(i % 90)}${i}`),
  flag: i % 4 === 0 ? null : i % 3 === 0,
  at: i % 6 === 0 ? null : -1_000_000 + i * 1_001,
  cents: i % 8 === 0 ? null : (i % 5) - 2,
  none: null
})
type Row = ReturnType<typeof rowOf>

const columnsOf = (rows: ReadonlyArray<Row>, ranges: boolean): ColumnWriter.Columns => {
  const columns: Record<string, ColumnWriter.Columns[string]> = { n: Float64Array.from(rows, (r) => r.n) }
  for (const { name } of schema.slice(1)) columns[name] = rows.map((r) => r[name as keyof Row])
  if (ranges) {
    const bytes = Buffer.concat([Buffer.from("before"), ...rows.map((r) => r.blob ?? Buffer.alloc(0))])
    const at = new Int32Array(2 * rows.length).fill(-1)
    let start = 6
    for (const [i, { blob }] of rows.entries()) {
      if (blob === null) continue
      at[2 * i] = start
      start += blob.length
      at[2 * i + 1] = start
    }
    columns["blob"] = { bytes, ranges: at }
  }
  return columns
}

/** A file whose row groups are so many parts of so many rows. */
const write = (
  groups: ReadonlyArray<ReadonlyArray<number>>,
  ranges: boolean,
  codec: "zstd" | "snappy" | "uncompressed"
) =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    const writer = yield* ColumnWriter.make({ schema, codec, sink: (chunk) => void chunks.push(chunk) })
    let next = 0
    for (const parts of groups) {
      for (const count of parts) {
        const rows = Array.from({ length: count }, (_, i) => rowOf(next + i))
        next += count
        yield* writer.append(columnsOf(rows, ranges), count)
      }
      yield* writer.endRowGroup
    }
    const summary = yield* writer.finish()
    return { bytes: new Uint8Array(Buffer.concat(chunks)), summary, rows: next }
  })

const comparable = (row: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value
    ])
  )

const groups = [[9_000, 1, 9_000, 12_000], [5], [8_192, 8_192, 100]]

describe("ColumnWriter.append", () => {
  for (const codec of ["zstd", "snappy", "uncompressed"] as const)
    for (const ranges of [false, true])
      it.effect(`gives back every value, ${codec}, bytes as ${ranges ? "ranges" : "values"}`, () =>
        Effect.gen(function* () {
          const { bytes, rows, summary } = yield* write(groups, ranges, codec)
          const file = yield* ColumnReader.open(ColumnReader.fromBytes("t", bytes))
          assert.deepStrictEqual(
            file.rowGroups.map((g) => g.rowCount),
            groups.map((parts) => parts.reduce((a, b) => a + b, 0))
          )
          let next = 0
          for (const [g, { rowCount }] of file.rowGroups.entries()) {
            const names = schema.map((f) => f.name)
            const { columns } = yield* ColumnReader.readRowGroup(file, g, names)
            for (let i = 0; i < rowCount; i++) {
              const expected = comparable(rowOf(next++))
              const found = comparable(Object.fromEntries(names.map((name) => [name, columns[name]![i]])))
              if (JSON.stringify(found) !== JSON.stringify(expected) || !Object.is(found["half"], expected["half"]))
                assert.deepStrictEqual(found, expected)
            }
          }
          assert.strictEqual(next, rows)
          assert.strictEqual(summary.rowCount, rows)
          assert.strictEqual(summary.fileSize, bytes.length)
          const all = Array.from({ length: rows }, (_, i) => rowOf(i))
          for (const c of summary.columns) {
            assert.strictEqual(c.valueCount, rows, c.name)
            assert.strictEqual(c.nullCount, all.filter((r) => r[c.name as keyof Row] === null).length, c.name)
          }
          const word = summary.columns.find((c) => c.name === "word")!
          assert.deepStrictEqual([word.min, word.max], ["w0", "w6"])
        })
      )

  it.effect("is read alike by another reader", () =>
    Effect.gen(function* () {
      const { bytes, rows } = yield* write(groups, true, "zstd")
      const compressors = { ZSTD: (page: Uint8Array) => new Uint8Array(zstdDecompressSync(page)) }
      const file = bytes.slice().buffer
      const found = yield* Effect.promise(() => parquetReadObjects({ file, compressors, utf8: false }))
      assert.strictEqual(found.length, rows)
      for (const [i, row] of found.entries()) {
        const { at, cents, n, ...rest } = rowOf(i)
        const own = {
          ...rest,
          n: BigInt(n),
          at: at === null ? null : new Date(at),
          cents: cents === null ? null : cents / 100
        }
        const expected = comparable(own)
        const values = comparable(row)
        for (const name of Object.keys(expected))
          if (String(values[name] ?? null) !== String(expected[name])) assert.deepStrictEqual(values, expected)
      }
    })
  )

  it.effect("keeps a dictionary where it pays only, and fills pages", () =>
    Effect.gen(function* () {
      const { bytes } = yield* write(groups, true, "zstd")
      const { row_groups } = parquetMetadata(bytes.slice().buffer)
      const [first] = row_groups
      const encodings = (name: string) =>
        first!.columns.find((c) => c.meta_data!.path_in_schema[0] === name)!.meta_data!.encoding_stats!
      assert.deepStrictEqual(
        encodings("word").map((e) => e.encoding),
        ["PLAIN", "RLE_DICTIONARY"]
      )
      const [line] = encodings("line")
      assert.strictEqual(line!.encoding, "PLAIN")
      assert.isAbove(line!.count, 1)
    })
  )

  it.effect("fails before it appends anything", () =>
    Effect.gen(function* () {
      const chunks: Array<Uint8Array> = []
      const writer = yield* ColumnWriter.make({ schema, sink: (chunk) => void chunks.push(chunk) })
      const rows = [rowOf(1), rowOf(2)]
      yield* writer.append(columnsOf(rows, true), 2)
      const bad = { ...columnsOf(rows, true), cents: [1, 0.5] }
      const error = yield* Effect.flip(writer.append(bad, 2))
      assert.include(error.message, "cents")
      yield* writer.append(columnsOf(rows, true), 2)
      const { rowCount } = yield* writer.finish()
      assert.strictEqual(rowCount, 4)
      const file = yield* ColumnReader.open(ColumnReader.fromBytes("t", new Uint8Array(Buffer.concat(chunks))))
      const { columns } = yield* ColumnReader.readRowGroup(file, 0, ["n"])
      assert.deepStrictEqual([...columns["n"]!], [-19_999, -19_998, -19_999, -19_998])
    })
  )
})
