/** Files that aren't whole, or use what isn't supported: always a typed error that names the file, never a crash. */
import { assert, describe, it } from "@effect/vitest"
import { ColumnReader, ColumnWriter, type Field, ParquetError } from "@headrace/parquet"
import { Cause, Effect, Exit } from "effect"
import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer"

const fields: ReadonlyArray<Field.Field> = [
  { name: "id", type: { kind: "long" }, required: true },
  { name: "name", type: { kind: "string" }, required: false },
  { name: "total", type: { kind: "decimal", precision: 18, scale: 2 }, required: false },
  { name: "ok", type: { kind: "boolean" }, required: false },
  { name: "bytes", type: { kind: "binary" }, required: false },
  {
    name: "headers",
    type: {
      kind: "list",
      element: [
        { name: "key", type: { kind: "string" }, required: true },
        { name: "value", type: { kind: "binary" }, required: false }
      ]
    },
    required: false
  }
]
const rows = 40
const column = <A>(of: (i: number) => A) => Array.from({ length: rows }, (_, i) => (i % 3 === 1 ? null : of(i)))
const columns: Readonly<Record<string, Field.Column>> = {
  id: Float64Array.from({ length: rows }, (_, i) => 3 * i),
  name: column((i) => `n${i % 5}`),
  total: column((i) => 101 * i),
  ok: column((i) => i % 2 === 0),
  bytes: column((i) => new Uint8Array([i, 2])),
  headers: column((i) =>
    Array.from({ length: i % 4 }, (_, k) => ({ key: `k${k}`, value: k === 1 ? null : new Uint8Array([k]) }))
  )
}

const file = Effect.fnUntraced(function* (codec: "zstd" | "uncompressed", groups: number) {
  const chunks: Array<Uint8Array> = []
  const writer = yield* ColumnWriter.make({ schema: fields, codec, sink: (c) => void chunks.push(c) })
  for (let g = 0; g < groups; g++) yield* writer.writeRowGroup(columns, rows)
  yield* writer.finish()
  return new Uint8Array(Buffer.concat(chunks))
})
const whole = file("zstd", 2)

const read = (bytes: Uint8Array, names: ReadonlyArray<string>, byteLength = bytes.length) =>
  Effect.gen(function* () {
    const file = yield* ColumnReader.open({ ...ColumnReader.fromBytes("orders.parquet", bytes), byteLength })
    for (const g of file.rowGroups.keys()) for (const name of names) yield* ColumnReader.readRowGroup(file, g, [name])
  })

/** The typed error, or `undefined` when it could be read; anything else fails the test. */
const errorOf = <A>(
  effect: Effect.Effect<A, ParquetError.ParquetError>
): ParquetError.ParquetError["reason"] | undefined => {
  const exit = Effect.runSyncExit(effect)
  if (Exit.isSuccess(exit)) return undefined
  const fail = exit.cause.reasons.find(Cause.isFailReason)
  assert.isDefined(fail, Cause.pretty(exit.cause))
  assert.include(fail!.error.message, "orders.parquet")
  return fail!.error.reason
}

const all = fields.map((f) => f.name)

describe("a file that isn't whole", () => {
  it.effect("is refused wherever it was cut", () =>
    Effect.gen(function* () {
      const bytes = yield* whole
      assert.isUndefined(errorOf(read(bytes, all)))
      for (let length = 0; length < bytes.length; length++) {
        const error = errorOf(read(bytes.slice(0, length), all))
        assert.strictEqual(error?._tag, "NotParquet", `${length} of ${bytes.length} bytes`)
      }
      assert.match(
        errorOf(read(bytes.slice(0, -1), all))!.message,
        /no whole Parquet file: it doesn't end with PAR1\. Was its upload cut short/
      )
    })
  )

  it.effect("is refused when its length is another than was said", () =>
    Effect.gen(function* () {
      const bytes = yield* whole
      for (const [wrong, detail] of [
        [bytes.length + 7, /were asked for, \d+ came/],
        [bytes.length - 7, /PAR1/],
        [3, /it has 3 bytes/]
      ] as const)
        assert.match(errorOf(read(bytes, all, wrong))!.message, detail)
      // What is missing in the middle is noticed where it is read.
      const file = yield* ColumnReader.open({
        name: "orders.parquet",
        byteLength: bytes.length,
        read: (start, end) => Effect.succeed(bytes.slice(start, end < bytes.length ? end - 1 : end))
      })
      assert.strictEqual(errorOf(ColumnReader.readRowGroup(file, 0, ["id"]))?._tag, "NotParquet")
    })
  )

  it.effect("with any byte changed it is read, or refused by name; it never crashes", () =>
    Effect.gen(function* () {
      // Uncompressed, so that what is changed reaches every step of the decoding.
      const bytes = yield* file("uncompressed", 1)
      const met = new Map<string, number>()
      for (let at = 0; at < bytes.length; at++) {
        const changed = bytes.slice()
        changed[at]! ^= [0xff, 0x10, 0x01][at % 3]!
        const tag = errorOf(read(changed, all))?._tag ?? "read"
        met.set(tag, (met.get(tag) ?? 0) + 1)
      }
      for (const tag of ["NotParquet", "Corrupt"]) assert.isAbove(met.get(tag) ?? 0, 100, tag)
    })
  )

  it.effect("with any bit of its footer changed has columns with names, or is refused", () =>
    Effect.gen(function* () {
      const bytes = yield* file("uncompressed", 1)
      const footer = bytes.length - 8 - new DataView(bytes.buffer).getUint32(bytes.length - 8, true)
      for (let at = footer; at < bytes.length; at++) {
        for (let bit = 1; bit < 256; bit *= 2) {
          const changed = bytes.slice()
          changed[at]! ^= bit
          errorOf(
            Effect.map(
              ColumnReader.open(ColumnReader.fromBytes("orders.parquet", changed)),
              ({ schema, unreadable }) => {
                for (const name of [...schema.map((f) => f.name), ...unreadable]) assert.isString(name)
              }
            )
          )
        }
      }
    })
  )

  it.effect("names the column and the row group of a damaged page", () =>
    Effect.gen(function* () {
      const bytes = yield* whole
      const file = yield* ColumnReader.open(ColumnReader.fromBytes("orders.parquet", bytes))
      for (const name of all) {
        const [chunk] = ColumnReader.plan(file, 1, [name])
        const changed = bytes.slice()
        changed.fill(0xff, chunk!.start, chunk!.end)
        const error = errorOf(read(changed, [name]))
        assert.match(
          error!.message,
          new RegExp(
            `^"orders.parquet" is damaged in column "${name}", row group 1: .*\\. Restore the file from its source$`
          )
        )
      }
    })
  )

  it.effect("passes on what the storage said", () =>
    Effect.gen(function* () {
      const broken = { name: "orders.parquet", byteLength: 100, read: () => Effect.fail("connection reset") }
      assert.strictEqual(
        errorOf(Effect.asVoid(ColumnReader.open(broken)))!.message,
        'reading "orders.parquet" failed: connection reset'
      )
    })
  )
})

describe("a file of another writer", () => {
  const foreign = (columnData: Array<ColumnSource>, options: object = {}) =>
    new Uint8Array(parquetWriteBuffer({ columnData, ...options }))

  it.effect("is read with that writer's defaults", () =>
    Effect.gen(function* () {
      const at = [new Date(-1), new Date(0), new Date(1_700_000_000_123)]
      const bytes = foreign([
        { name: "text", data: ["a", "é😀", ""], type: "STRING" },
        { name: "guessed", data: ["x", null, "x"] },
        { name: "int", data: [1, -2, 3], type: "INT32" },
        { name: "long", data: [1n, -2n, 2n ** 53n - 1n], type: "INT64" },
        { name: "float", data: [0.5, -0.5, 1], type: "FLOAT" },
        { name: "double", data: [0.1, Number.NaN, -0], type: "DOUBLE" },
        { name: "flag", data: [true, null, false], type: "BOOLEAN" },
        { name: "at", data: at, type: "TIMESTAMP" }
      ])
      const file = yield* ColumnReader.open(ColumnReader.fromBytes("orders.parquet", bytes))
      const names = file.schema.map((f) => f.name)
      const { columns, rowCount } = yield* ColumnReader.readRowGroup(file, 0, names)
      assert.strictEqual(rowCount, 3)
      assert.deepStrictEqual(
        Object.fromEntries(Object.entries(columns).map(([name, c]) => [name, Array.from(c as ArrayLike<unknown>)])),
        {
          text: ["a", "é😀", ""],
          guessed: ["x", null, "x"],
          int: [1, -2, 3],
          long: [1, -2, 2 ** 53 - 1],
          float: [0.5, -0.5, 1],
          double: [0.1, Number.NaN, -0],
          flag: [true, null, false],
          at: at.map(Number)
        }
      )
    })
  )

  it.effect("that holds what isn't supported: the column is refused by name, the others are read", () =>
    Effect.gen(function* () {
      const bytes = foreign([
        { name: "id", data: [1, 2], type: "INT32" },
        {
          name: "uuid",
          data: ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"],
          type: "UUID"
        }
      ])
      const file = yield* ColumnReader.open(ColumnReader.fromBytes("orders.parquet", bytes))
      assert.deepStrictEqual([file.schema.map((f) => f.name), file.unreadable], [["id"], ["uuid"]])
      assert.strictEqual(
        errorOf(ColumnReader.readRowGroup(file, 0, ["id", "uuid"]))!.message,
        'column "uuid" of "orders.parquet" can\'t be read: its type is UUID'
      )
      assert.strictEqual(
        errorOf(ColumnReader.readRowGroup(file, 0, ["nowhere"]))!.message,
        '"orders.parquet" has no column "nowhere"; it has id, uuid'
      )
      assert.deepStrictEqual((yield* ColumnReader.readRowGroup(file, 0, ["id"])).columns, {
        id: new Float64Array([1, 2])
      })
    })
  )

  it.effect("in an unsupported compression is refused as that, not as damage", () =>
    Effect.gen(function* () {
      const compressors = { BROTLI: (page: Uint8Array) => page }
      const bytes = foreign([{ name: "id", data: [1, 2], type: "INT32" }], { codec: "BROTLI", compressors })
      assert.strictEqual(
        errorOf(read(bytes, ["id"]))!.message,
        'column "id" of "orders.parquet" can\'t be read: its compression is BROTLI: write it with zstd, snappy or none'
      )
    })
  )

  it.effect("with an integer beyond 2^53 is refused, not rounded", () =>
    Effect.gen(function* () {
      const bytes = foreign([{ name: "id", data: [1n, 2n ** 53n], type: "INT64" }])
      assert.match(errorOf(read(bytes, ["id"]))!.message, /column "id".*9007199254740992 isn't a safe integer/)
    })
  )
})

describe("a file without rows", () => {
  it.effect("is read: no row group, the schema, the metadata", () =>
    Effect.gen(function* () {
      const chunks: Array<Uint8Array> = []
      const writer = yield* ColumnWriter.make({
        schema: fields,
        sink: (c) => void chunks.push(c),
        keyValueMetadata: { a: "b" }
      })
      yield* writer.writeRowGroup(Object.fromEntries(all.map((name) => [name, []])), 0)
      const summary = yield* writer.finish()
      const file = yield* ColumnReader.open(ColumnReader.fromBytes("t", new Uint8Array(Buffer.concat(chunks))))
      assert.deepStrictEqual([summary.rowCount, file.rowCount, file.rowGroups], [0, 0, []])
      assert.deepStrictEqual([file.schema, file.keyValueMetadata], [fields, { a: "b" }])
    })
  )

  it.effect("what a column can't hold is refused before anything is written", () =>
    Effect.gen(function* () {
      const bad: ReadonlyArray<readonly [Field.Field, unknown, RegExp]> = [
        [{ name: "c", type: { kind: "int" }, required: true }, 2 ** 31, /isn't a 32-bit integer: 2147483648/],
        [{ name: "c", type: { kind: "long" }, required: true }, 0.5, /isn't a safe integer/],
        [
          { name: "c", type: { kind: "decimal", precision: 3, scale: 1 }, required: true },
          1000,
          /isn't a scaled integer of 3 digits/
        ],
        [{ name: "c", type: { kind: "string" }, required: true }, "\ud800", /isn't well-formed Unicode/],
        [
          { name: "c", type: { kind: "timestamptz" }, required: true },
          Number.NaN,
          /isn't a whole number of milliseconds/
        ],
        [{ name: "c", type: { kind: "string" }, required: true }, null, /is required, and a value is null/]
      ]
      for (const [field, value, message] of bad) {
        const chunks: Array<Uint8Array> = []
        const writer = yield* ColumnWriter.make({
          schema: [field],
          sink: (c) => void chunks.push(c),
          name: "orders.parquet"
        })
        const error = errorOf(writer.writeRowGroup({ c: [value] }, 1))
        assert.match(error!.message, /^column "c" of "orders.parquet": /)
        assert.match(error!.message, message)
        assert.deepStrictEqual(chunks, [])
      }
    })
  )
})
