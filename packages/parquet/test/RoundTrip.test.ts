import { assert, describe, it } from "@effect/vitest"
import { ColumnReader, ColumnWriter, type Field } from "@headrace/parquet"
import { Effect } from "effect"
import * as fc from "fast-check"

const safe = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 32, -(2 ** 32), 0)
)
const kinds: ReadonlyArray<readonly [Field.ColumnType, fc.Arbitrary<unknown>]> = [
  [{ kind: "boolean" }, fc.boolean()],
  [{ kind: "int" }, fc.integer()],
  [{ kind: "long" }, safe],
  [{ kind: "double" }, fc.double({ noNaN: true })],
  [
    { kind: "string" },
    fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("", "a", "é", "e\u0301", "😀", "\ufeff", "\ufeffa"))
  ],
  [{ kind: "binary" }, fc.uint8Array({ maxLength: 40 })],
  [{ kind: "date" }, fc.integer({ min: -719_162, max: 2_932_896 })],
  [{ kind: "timestamptz" }, fc.integer({ min: -62135596800000, max: 253402300799999 })],
  [{ kind: "decimal", precision: 9, scale: 2 }, fc.integer({ min: -999_999_999, max: 999_999_999 })],
  [{ kind: "decimal", precision: 18, scale: 2 }, safe],
  [
    {
      kind: "list",
      element: [
        { name: "key", type: { kind: "string" }, required: true },
        { name: "value", type: { kind: "binary" }, required: false }
      ]
    },
    fc.array(fc.record({ key: fc.string(), value: fc.option(fc.uint8Array({ maxLength: 8 })) }), { maxLength: 4 })
  ]
]

interface Table {
  readonly fields: ReadonlyArray<Field.Field>
  readonly groups: ReadonlyArray<ReadonlyArray<ReadonlyArray<unknown>>>
}

/** A random schema, and per row group the values of each column. */
const tables: fc.Arbitrary<Table> = fc
  .array(fc.record({ kind: fc.nat(kinds.length - 1), required: fc.boolean(), few: fc.boolean() }), {
    minLength: 1,
    maxLength: 6
  })
  .chain((columns) => {
    const fields = columns.map(({ kind, required }, i): Field.Field => ({
      name: `c${i}`,
      type: kinds[kind]![0],
      required,
      fieldId: i + 1
    }))
    const valueOf = ({ few, kind, required }: (typeof columns)[number]) => {
      const value = kinds[kind]![1]
      const some = few ? fc.tuple(value, value).chain(([a, b]) => fc.array(fc.constantFrom(a, b))) : fc.array(value)
      return required
        ? some
        : fc.oneof(
            some,
            some.map((all) => all.map((v, i) => (i % 3 === 1 ? null : v))),
            some.map((all) => all.map(() => null))
          )
    }
    const group = fc.nat(60).chain((rows) =>
      fc.tuple(
        ...columns.map((c) =>
          valueOf(c)
            .filter((all) => all.length > 0 || rows === 0)
            .map((all) => Array.from({ length: rows }, (_, i) => all[i % all.length]))
        )
      )
    )
    return fc.array(group, { maxLength: 4 }).map((groups) => ({ fields, groups }))
  })

const write = ({ fields, groups }: Table, codec: "zstd" | "snappy" | "uncompressed" = "zstd") =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    const writer = yield* ColumnWriter.make({
      schema: fields,
      codec,
      sink: (c) => void chunks.push(c),
      keyValueMetadata: { a: "b" }
    })
    for (const columns of groups) {
      const row = Object.fromEntries(fields.map((f, i) => [f.name, columns[i] as Field.Column]))
      yield* writer.writeRowGroup(row, columns[0]?.length ?? 0)
    }
    const summary = yield* writer.finish()
    return { bytes: new Uint8Array(Buffer.concat(chunks)), summary }
  })

const plain = (value: unknown): unknown =>
  value instanceof Uint8Array
    ? Buffer.from(value).toString("hex")
    : Array.isArray(value)
      ? value.map(plain)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]))
        : Object.is(value, -0)
          ? 0
          : value

describe("ColumnWriter and ColumnReader", () => {
  it("give back what was written, row group by row group, with ids and metadata", async () => {
    await fc.assert(
      fc.asyncProperty(
        tables,
        fc.constantFrom("zstd" as const, "snappy" as const, "uncompressed" as const),
        async (table, codec) => {
          const { bytes, summary } = await Effect.runPromise(write(table, codec))
          const file = await Effect.runPromise(ColumnReader.open(ColumnReader.fromBytes("t", bytes)))
          assert.deepStrictEqual(file.schema, table.fields)
          assert.deepStrictEqual(file.keyValueMetadata, { a: "b" })
          const groups = table.groups.filter((g) => (g[0]?.length ?? 0) > 0)
          assert.deepStrictEqual(
            file.rowGroups.map((g) => g.rowCount),
            groups.map((g) => g[0]!.length)
          )
          assert.strictEqual(summary.fileSize, bytes.length)
          assert.strictEqual(summary.rowCount, file.rowCount)
          for (const [g, columns] of groups.entries()) {
            const read = await Effect.runPromise(
              ColumnReader.readRowGroup(
                file,
                g,
                table.fields.map((f) => f.name)
              )
            )
            for (const [i, field] of table.fields.entries()) {
              assert.deepStrictEqual(
                Array.from(read.columns[field.name]!, plain),
                columns[i]!.map(plain),
                `${field.name} ${JSON.stringify(field.type)}`
              )
            }
          }
        }
      ),
      { numRuns: 300 }
    )
  })
})
