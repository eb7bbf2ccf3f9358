/** Statistics: bounds that enclose what is there, in its form in memory, or none. */
import { assert, describe, it } from "@effect/vitest"
import { ColumnReader, ColumnWriter, type Field } from "@headrace/parquet"
import { Effect } from "effect"
import * as fc from "fast-check"
import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer"

const statistics = (bytes: Uint8Array) =>
  Effect.runSync(Effect.map(ColumnReader.open(ColumnReader.fromBytes("t", bytes)), (f) => f.rowGroups[0]!.statistics))

const written = (type: Field.ColumnType, values: ReadonlyArray<unknown>) => {
  const chunks: Array<Uint8Array> = []
  Effect.runSync(
    Effect.gen(function* () {
      const schema = [{ name: "c", type, required: false }]
      const writer = yield* ColumnWriter.make({ schema, sink: (c) => void chunks.push(c) })
      yield* writer.writeRowGroup({ c: values }, values.length)
      yield* writer.finish()
    })
  )
  return statistics(new Uint8Array(Buffer.concat(chunks)))["c"]!
}

const foreign = (column: Omit<ColumnSource, "name">) =>
  statistics(new Uint8Array(parquetWriteBuffer({ columnData: [{ name: "c", ...column }] })))["c"]!

/** Text by its UTF-8 bytes, all else by value. */
const compare = (a: unknown, b: unknown): number =>
  typeof a === "string" && typeof b === "string"
    ? Buffer.compare(Buffer.from(a), Buffer.from(b))
    : (a as number) < (b as number)
      ? -1
      : (a as number) > (b as number)
        ? 1
        : 0

const kinds: ReadonlyArray<readonly [Field.ColumnType, fc.Arbitrary<unknown>]> = [
  [{ kind: "boolean" }, fc.boolean()],
  [{ kind: "int" }, fc.integer()],
  [{ kind: "long" }, fc.maxSafeInteger()],
  [{ kind: "double" }, fc.double()],
  [
    { kind: "string" },
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 80 }),
      fc.constantFrom("é".repeat(40), "😀".repeat(20), "\uffff".repeat(40))
    )
  ],
  [{ kind: "date" }, fc.integer({ min: -719_162, max: 2_932_896 })],
  [{ kind: "timestamptz" }, fc.integer({ min: -62135596800000, max: 253402300799999 })],
  [{ kind: "decimal", precision: 9, scale: 2 }, fc.integer({ min: -999_999_999, max: 999_999_999 })],
  [{ kind: "decimal", precision: 18, scale: 7 }, fc.maxSafeInteger()]
]

describe("Statistics", () => {
  for (const [type, value] of kinds) {
    it(`enclose every ${JSON.stringify(type)}, and count the nulls`, () => {
      fc.assert(
        fc.property(fc.array(fc.option(value), { minLength: 1, maxLength: 20 }), (values) => {
          const { max, min, nullCount } = written(type, values)
          assert.strictEqual(nullCount, values.filter((v) => v === null).length)
          for (const v of values) {
            if (v === null || Number.isNaN(v)) continue
            if (min !== undefined) assert.isAtMost(compare(min, v), 0)
            if (max !== undefined) assert.isAtLeast(compare(max, v), 0)
          }
        }),
        { numRuns: 60 }
      )
    })
  }

  it("are exact for what readers rely on: offsets, kinds, instants, small decimals", () => {
    assert.deepStrictEqual(written({ kind: "long" }, [7, 2 ** 53 - 1]), { min: 7, max: 2 ** 53 - 1, nullCount: 0 })
    assert.deepStrictEqual(written({ kind: "string" }, ["raw", "decoded", null]), {
      min: "decoded",
      max: "raw",
      nullCount: 1
    })
    assert.deepStrictEqual(written({ kind: "timestamptz" }, [-1, 5]), { min: -1, max: 5, nullCount: 0 })
    assert.deepStrictEqual(written({ kind: "decimal", precision: 18, scale: 2 }, [-5, 12_345]), {
      min: -5,
      max: 12_345,
      nullCount: 0
    })
    assert.deepStrictEqual(written({ kind: "boolean" }, [false, false]), { min: false, max: false, nullCount: 0 })
  })

  it("there are none where there is no value, or none that could be compared", () => {
    const none = { min: undefined, max: undefined }
    assert.deepStrictEqual(written({ kind: "long" }, [null, null]), { ...none, nullCount: 2 })
    assert.deepStrictEqual(written({ kind: "double" }, [Number.NaN]), { ...none, nullCount: 0 })
    assert.deepInclude(written({ kind: "binary" }, [new Uint8Array([1])]), none)
    assert.deepInclude(foreign({ data: [new Uint8Array([1])], type: "BYTE_ARRAY" }), none)
  })

  it("NaN is skipped, and either zero is enclosed", () => {
    const { max, min } = written({ kind: "double" }, [Number.NaN, 1.5, -0, 0])
    assert.deepStrictEqual([min, max], [-0, 1.5])
    assert.isTrue(
      Object.is(written({ kind: "double" }, [0]).min, -0) && Object.is(written({ kind: "double" }, [-0]).max, 0)
    )
  })

  it("of another writer: finer instants are rounded down as their values are", () => {
    const schema = (unit: "MICROS" | "NANOS") => ({
      schema: [
        { name: "root", num_children: 1 },
        {
          name: "c",
          type: "INT64" as const,
          repetition_type: "REQUIRED" as const,
          logical_type: { type: "TIMESTAMP" as const, isAdjustedToUTC: true, unit }
        }
      ]
    })
    for (const [unit, perMilli] of [
      ["MICROS", 1000n],
      ["NANOS", 1_000_000n]
    ] as const) {
      const columnData = [{ name: "c", data: [-perMilli - 1n, -1n, 1n] }]
      const bytes = new Uint8Array(parquetWriteBuffer({ columnData, ...schema(unit) }))
      assert.deepStrictEqual(statistics(bytes)["c"], { min: -2, max: 0, nullCount: 0 })
      const file = Effect.runSync(ColumnReader.open(ColumnReader.fromBytes("t", bytes)))
      const { columns } = Effect.runSync(ColumnReader.readRowGroup(file, 0, ["c"]))
      assert.deepStrictEqual(columns["c"], new Float64Array([-2, -1, 0]))
    }
  })

  it("of another writer: a text that was cut within a character gives no bound", () => {
    const bytes = Buffer.from(parquetWriteBuffer({ columnData: [{ name: "c", data: ["éa", "éb"], type: "STRING" }] }))
    // The bounds as a writer that cuts bytes would have them: the first half of the é, then less than what follows it.
    const footer = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8)
    for (let at = footer; (at = bytes.indexOf("é", at)) >= 0;) bytes[at + 1] = 0x20
    assert.deepStrictEqual(statistics(new Uint8Array(bytes))["c"], { min: undefined, max: undefined, nullCount: 0 })
  })

  it("of another writer: integers that aren't safe give no bound", () => {
    assert.deepStrictEqual(foreign({ data: [2n ** 53n + 1n, 5n], type: "INT64" }), {
      min: 5,
      max: undefined,
      nullCount: 0
    })
  })
})
