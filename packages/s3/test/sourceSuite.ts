/** What `ObjectSource` promises, over any object store. */
import { gzipSync, zstdCompressSync } from "node:zlib"
import { assert, describe, layer as withLayer } from "@effect/vitest"
import { Batch, TopicSchema } from "@headrace/core"
import { ColumnWriter, type Field } from "@headrace/parquet"
import { Io, ObjectSource, type ObjectSourceError, ObjectStore, ObjectStoreError } from "@headrace/s3"
import { Effect, Fiber, type Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const Sale = Schema.Struct({
  id: Schema.Int,
  city: Schema.String,
  price: TopicSchema.decimal(2),
  at: TopicSchema.instant,
  note: Schema.NullOr(Schema.String)
})
interface Row {
  readonly id: number
  readonly city: string
  /** In cents. */
  readonly price: number
  readonly at: number
  readonly note: string | null
}

const cities = ["Oslo", "Łódź", "日本", 'a "quoted", one', "two\nlines", "x".repeat(50)]
const rowsFrom = (first: number, count: number): ReadonlyArray<Row> =>
  Array.from({ length: count }, (_, k) => {
    const id = first + k
    return {
      id,
      city: cities[id % cities.length]!,
      price: id * 7 - 20,
      at: 1_774_396_800_000 + id,
      note: id % 3 === 0 ? null : `n${id}`
    }
  })

const text = (s: string) => new TextEncoder().encode(s)
const money = (cents: number) =>
  `${cents < 0 ? "-" : ""}${Math.floor(Math.abs(cents) / 100)}.${String(Math.abs(cents) % 100).padStart(2, "0")}`
const json = (row: Row) =>
  `{"id":${row.id},"city":${JSON.stringify(row.city)},"price":${money(row.price)},"at":${row.at},"note":${JSON.stringify(row.note)},"more":1}`
const ndjson = (rows: ReadonlyArray<Row>) => text(rows.map((row) => json(row) + "\n").join(""))
const cell = (s: string) => (/[",\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s)
const csv = (rows: ReadonlyArray<Row>) =>
  text(
    "id,more,city,price,at,note\n" +
      rows.map((r) => `${r.id},1,${cell(r.city)},${money(r.price)},${r.at},${r.note ?? ""}\n`).join("")
  )
const fields: ReadonlyArray<Field.Field> = [
  { name: "id", type: { kind: "long" }, required: true },
  { name: "city", type: { kind: "string" }, required: false },
  { name: "price", type: { kind: "decimal", precision: 12, scale: 2 }, required: false },
  { name: "at", type: { kind: "timestamptz" }, required: true },
  { name: "note", type: { kind: "string" }, required: false }
]
const parquet = (rows: ReadonlyArray<Row>, schema = fields, groupRows = 7) =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    const writer = yield* ColumnWriter.make({ schema, sink: (chunk) => void chunks.push(chunk) })
    for (let at = 0; at < rows.length; at += groupRows) {
      const group = rows.slice(at, at + groupRows)
      const column = (name: string) => group.map((row) => (row as unknown as Record<string, unknown>)[name])
      yield* writer.writeRowGroup(Object.fromEntries(schema.map(({ name }) => [name, column(name)])), group.length)
    }
    yield* writer.finish()
    return new Uint8Array(Buffer.concat(chunks))
  })

const plain = (bytes: Uint8Array) => bytes
const gzip = (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes))
const zstd = (bytes: Uint8Array) => new Uint8Array(zstdCompressSync(bytes))
/** In members or frames that are cut anywhere. */
const parts = (compress: (bytes: Uint8Array) => Uint8Array) => (bytes: Uint8Array) => {
  const out: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += 333) out.push(compress(bytes.subarray(at, at + 333)))
  return new Uint8Array(Buffer.concat(out))
}
const encode =
  (bytes: (rows: ReadonlyArray<Row>) => Uint8Array, compress = plain) =>
  (rows: ReadonlyArray<Row>) =>
    Effect.sync(() => compress(bytes(rows)))
const encodings: Readonly<Record<string, (rows: ReadonlyArray<Row>) => Effect.Effect<Uint8Array, unknown>>> = {
  ndjson: encode(ndjson),
  "ndjson.gz": encode(ndjson, gzip),
  "jsonl.gz": encode(ndjson, parts(gzip)),
  "json.zst": encode(ndjson, zstd),
  "jsonl.zst": encode(ndjson, parts(zstd)),
  csv: encode(csv),
  "csv.gz": encode(csv, parts(gzip)),
  "csv.zst": encode(csv, parts(zstd)),
  parquet: parquet
}

/** Rows of batches, with where each stands. */
const flat = (batches: ReadonlyArray<ObjectSource.SourceBatch>) =>
  batches.flatMap(({ batch, lines, object }) =>
    Array.from({ length: batch.count }, (_, i) => ({
      object,
      line: lines[i]!,
      offset: batch.offsets[i]!,
      kind: batch.kinds?.[i] ?? Batch.Kind.decoded,
      row:
        (batch.kinds?.[i] ?? 0) === 0
          ? Object.fromEntries(Object.entries(batch.columns).map(([name, column]) => [name, column[i]]))
          : undefined
    }))
  )
const good = (batches: ReadonlyArray<ObjectSource.SourceBatch>) =>
  flat(batches).flatMap(({ kind, row }) => (kind === Batch.Kind.decoded ? [row as unknown as Row] : []))
const poison = (batches: ReadonlyArray<ObjectSource.SourceBatch>) =>
  batches.flatMap(({ batch, lines, object }) =>
    [...batch.poison].map(([i, { code, detail, field, value }]) => ({
      object,
      line: lines[i],
      offset: batch.offsets[i],
      code,
      field,
      detail,
      value: value === null ? "" : new TextDecoder().decode(value)
    }))
  )
/** The batches that came, and the error that ended them. */
const drain = <A>(stream: Stream.Stream<A, ObjectSourceError, ObjectStore>) =>
  Effect.gen(function* () {
    const batches: Array<A> = []
    const end = yield* Effect.result(Stream.runForEach(stream, (batch) => Effect.sync(() => void batches.push(batch))))
    return { batches, error: end._tag === "Failure" ? end.failure : undefined }
  })
const put = (key: string, bytes: Uint8Array | string) =>
  Effect.flatMap(ObjectStore, (store) => store.put(key, typeof bytes === "string" ? text(bytes) : bytes))
const reason = (error: ObjectSourceError | undefined) => error?.reason._tag
const small = { schema: Sale, maxRows: 5, rangeBytes: 97, readAhead: 2 } as const

/** Runs the suite; `prefix`-es are its own, so that a bucket may be shared by runs. */
export const sourceSuite = <E>(name: string, layer: Layer.Layer<ObjectStore, E>, root = "source"): void => {
  const key = (path: string) => `${root}/${path}`

  describe(`ObjectSource on ${name}`, () => {
    withLayer(layer)((it) => {
      it.effect("reads every format and compression to the same rows, with offsets that chain and lines", () =>
        Effect.gen(function* () {
          const rows = rowsFrom(0, 40)
          for (const [extension, bytes] of Object.entries(encodings)) {
            const prefix = key(`formats/${extension}/`)
            yield* put(`${prefix}1.${extension}`, yield* bytes(rows.slice(0, 23)))
            yield* put(`${prefix}2.${extension}`, yield* bytes(rows.slice(23)))
            const batches = yield* Stream.runCollect(ObjectSource.columns({ prefix, name: "sales", ...small }))
            assert.deepStrictEqual(good(batches), rows, extension)
            let next = 0
            for (const { batch, lines, resume } of batches) {
              assert.strictEqual(batch.topic, "sales")
              assert.strictEqual(batch.base, next)
              assert.isAtMost(batch.count, small.maxRows)
              assert.strictEqual(lines.length, batch.count)
              next = batch.next
              assert.strictEqual(resume.offset, next)
            }
            assert.strictEqual(next, 40)
            const lines = flat(batches).map(({ line }) => line)
            if (!extension.startsWith("csv")) assert.deepStrictEqual(lines.slice(20, 25), [21, 22, 23, 1, 2], extension)
          }
        })
      )

      it.effect("goes on from every point to exactly the rest", () =>
        Effect.gen(function* () {
          const rows = rowsFrom(0, 24)
          for (const [extension, bytes] of Object.entries(encodings)) {
            const prefix = key(`resume/${extension}/`)
            yield* put(`${prefix}1.${extension}`, yield* bytes(rows.slice(0, 11)))
            yield* put(`${prefix}2.${extension}`, yield* bytes(rows.slice(11, 12)))
            yield* put(`${prefix}3.${extension}`, yield* bytes(rows.slice(12)))
            for (const maxRows of [1, 4]) {
              const options = { ...small, prefix, maxRows, rangeBytes: 400 }
              const all = yield* Stream.runCollect(ObjectSource.columns(options))
              const whole = flat(all)
              assert.strictEqual(whole.length, 24)
              for (const { resume } of all) {
                const from = Schema.decodeUnknownSync(ObjectSource.Checkpoint)(JSON.parse(JSON.stringify(resume)))
                const rest = yield* Stream.runCollect(ObjectSource.columns({ ...options, from }))
                assert.deepStrictEqual(flat(rest), whole.slice(resume.offset), `${extension} at ${resume.offset}`)
                assert.deepStrictEqual(rest.at(-1)?.resume, rest.length === 0 ? undefined : all.at(-1)?.resume)
              }
            }
          }
        })
      )

      it.effect("goes on from every point among bad rows and broken objects", () =>
        Effect.gen(function* () {
          const prefix = key("resume-bad/")
          const rows = rowsFrom(0, 9)
          const whole = yield* parquet(rows, fields, 4)
          const damaged = whole.slice()
          damaged.fill(0xff, 4, 60)
          yield* put(`${prefix}1.ndjson`, `${json(rows[0]!)}\nnot json\n\n${json(rows[1]!)}`)
          yield* put(`${prefix}2.ndjson.gz`, gzip(ndjson(rows)).subarray(0, -9))
          yield* put(`${prefix}3.csv`, "id,city,price,at,note\n1,a,1.00,5,\n1,2\n2,b,x,5,\n3,c,1,5,z")
          yield* put(`${prefix}4.parquet`, damaged)
          yield* put(`${prefix}5.parquet`, whole)
          const options = { ...small, prefix, maxRows: 2, badRows: "keep" } as const
          const all = yield* Stream.runCollect(ObjectSource.columns(options))
          const expected = flat(all)
          assert.includeMembers(
            poison(all).map((p) => `${p.object.slice(prefix.length)} ${p.code}`),
            ["1.ndjson not-json", "2.ndjson.gz malformed", "3.csv malformed", "3.csv wrong-type", "4.parquet malformed"]
          )
          assert.deepStrictEqual(
            expected.map(({ offset }) => offset),
            expected.map((_, i) => i)
          )
          for (const { resume: from } of all) {
            const rest = yield* Stream.runCollect(ObjectSource.columns({ ...options, from }))
            assert.deepStrictEqual(flat(rest), expected.slice(from.offset), `at ${from.offset}`)
          }
        })
      )

      it.effect("gives lines as bytes: line ends, blank lines, a byte order mark, no last line end", () =>
        Effect.gen(function* () {
          const prefix = key("lines/")
          yield* put(`${prefix}a.ndjson`, '\ufeff{"a":1}\r\n\n   \n{"a":2}\n\r\nnot json\n{"łódź":3}')
          for (const rangeBytes of [3, 4, 7, 1000]) {
            const batches = yield* Stream.runCollect(ObjectSource.records({ prefix, rangeBytes }))
            const seen = batches.flatMap(({ batch, lines }) =>
              Array.from({ length: batch.count }, (_, i) => [
                lines[i],
                batch.offsets[i],
                new TextDecoder().decode(Batch.valueOf(batch, i)!)
              ])
            )
            assert.deepStrictEqual(seen, [
              [1, 0, '{"a":1}'],
              [4, 1, '{"a":2}'],
              [6, 2, "not json"],
              [7, 3, '{"łódź":3}']
            ])
          }
        })
      )

      it.effect("gives CSV rows as JSON objects of texts, or by a schema, and takes delimiter and header", () =>
        Effect.gen(function* () {
          const prefix = key("csv-records/")
          yield* put(`${prefix}a.csv`, 'a;b\n1;"x;y"\n\n2;\n')
          const values = (options: Partial<Parameters<typeof ObjectSource.records>[0]>) =>
            Effect.map(Stream.runCollect(ObjectSource.records({ prefix, ...options })), (batches) =>
              batches.flatMap(({ batch, lines }) =>
                Array.from({ length: batch.count }, (_, i) => [
                  lines[i],
                  new TextDecoder().decode(Batch.valueOf(batch, i)!)
                ])
              )
            )
          assert.deepStrictEqual(yield* values({ csv: { delimiter: ";" } }), [
            [2, '{"a":"1","b":"x;y"}'],
            [4, '{"a":"2","b":""}']
          ])
          const schema = Schema.Struct({ a: Schema.Int, b: Schema.NullOr(Schema.String) })
          assert.deepStrictEqual((yield* values({ csv: { delimiter: ";" }, schema })).at(-1), [4, '{"a":2,"b":null}'])
          yield* put(`${prefix}a.csv`, "1;2\n")
          assert.deepStrictEqual(yield* values({ csv: { delimiter: ";", header: ["p", "q"] } }), [
            [1, '{"p":"1","q":"2"}']
          ])
        })
      )

      it.effect("reads in key order what is data, whatever its key", () =>
        Effect.gen(function* () {
          const prefix = key("order/")
          const names = [
            "a b.ndjson",
            "a+b.ndjson",
            "a%20b.ndjson",
            "_d=1/x.ndjson",
            "ﬀ.ndjson",
            "😀.ndjson",
            "z/日.jsonl"
          ]
          for (const [i, path] of names.entries()) yield* put(prefix + path, ndjson(rowsFrom(i, 1)))
          for (const path of ["_SUCCESS", ".hidden.ndjson", "_tmp/a.ndjson", "z/.x/a.ndjson"])
            yield* put(prefix + path, "never read")
          yield* put(`${prefix}empty.ndjson`, "")
          const objects = (options: { readonly include?: string | ReadonlyArray<string> }) =>
            Effect.map(Stream.runCollect(ObjectSource.columns({ prefix, schema: Sale, ...options })), (batches) =>
              batches.map(({ object }) => object.slice(prefix.length))
            )
          const utf8 = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
          assert.deepStrictEqual(yield* objects({}), names.toSorted(utf8))
          assert.deepStrictEqual(yield* objects({ include: "**/*.jsonl" }), ["z/日.jsonl"])
          assert.deepStrictEqual(yield* objects({ include: "a?b.*" }), ["a b.ndjson", "a+b.ndjson"])
          assert.deepStrictEqual(yield* objects({ include: ["*.jsonl", "**/x.ndjson"] }), ["_d=1/x.ndjson"])
        })
      )

      it.effect("stops at a bad row after those before it, and names it", () =>
        Effect.gen(function* () {
          const prefix = key("stop/")
          const [a, b, c] = rowsFrom(0, 3)
          yield* put(`${prefix}1.ndjson`, `${json(a!)}\n${json(b!)}\n\n{"id":"x"}\n${json(c!)}\n`)
          const { batches, error } = yield* drain(ObjectSource.columns({ prefix, schema: Sale }))
          assert.deepStrictEqual(good(batches), [a, b])
          assert.strictEqual(reason(error), "BadRow")
          assert.include(error!.message, `${prefix}1.ndjson", line 4: wrong-type (field "id")`)
          const again = yield* drain(ObjectSource.columns({ prefix, schema: Sale, from: batches[0]!.resume }))
          assert.deepStrictEqual([again.batches, reason(again.error)], [[], "BadRow"])
        })
      )

      it.effect("keeps bad rows with object, line, reason and bytes, and counts them", () =>
        Effect.gen(function* () {
          const prefix = key("keep/")
          const long = `{"id":"${"y".repeat(400)}"}`
          yield* put(
            `${prefix}1.ndjson`,
            Buffer.concat([
              text(`{"id":1}\n`),
              Buffer.from([0x22, 0xff, 0x22, 10]),
              text(`${long}\n{"id":2}\n[]\n${long}`)
            ])
          )
          yield* put(
            `${prefix}2.csv`,
            Buffer.concat([text('id\n1\n2,3\n"a"b\n"a"b"c\n'), Buffer.from([0xff, 10]), text("\n4\nx\n5\n")])
          )
          for (const rangeBytes of [5, 100, 10_000]) {
            const options = { prefix, schema: Schema.Struct({ id: Schema.Int }), badRows: "keep", rangeBytes } as const
            const batches = yield* Stream.runCollect(ObjectSource.columns({ ...options, maxLineBytes: 300 }))
            const kept = poison(batches).map((p) => [
              p.object.slice(prefix.length),
              p.line,
              p.code,
              p.value.slice(0, 20)
            ])
            assert.deepStrictEqual(kept, [
              ["1.ndjson", 2, "not-json", '"\ufffd"'],
              ["1.ndjson", 3, "malformed", long.slice(0, 20)],
              ["1.ndjson", 5, "not-json", "[]"],
              ["1.ndjson", 6, "malformed", long.slice(0, 20)],
              ["2.csv", 3, "malformed", "2,3"],
              ["2.csv", 4, "malformed", '"a"b'],
              ["2.csv", 5, "malformed", '"a"b"c'],
              ["2.csv", 6, "malformed", "\ufffd"],
              ["2.csv", 9, "wrong-type", '{"id":"x"}']
            ])
            assert.deepStrictEqual(
              good(batches).map(({ id }) => id),
              [1, 2, 1, 4, 5]
            )
          }
          const records = yield* Stream.runCollect(
            ObjectSource.records({ prefix, include: "*.ndjson", badRows: "keep", maxLineBytes: 300, rangeBytes: 50 })
          )
          const bad = records.flatMap((r) => r.bad.map(({ line, offset }) => [line, offset]))
          assert.deepStrictEqual(bad, [
            [3, 2],
            [6, 5]
          ])
          assert.strictEqual(records.reduce((n, { batch }) => n + batch.count, 0) + bad.length, 6)
        })
      )

      it.effect(
        "names object and line where gzip, zstd or Parquet is cut short or damaged, and goes on under keep",
        () =>
          Effect.gen(function* () {
            const rows = rowsFrom(0, 60)
            const cut = (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 20)
            const flipped = gzip(ndjson(rows))
            flipped[flipped.length - 6]! ^= 1
            const cases: ReadonlyArray<readonly [string, Uint8Array]> = [
              ["1.ndjson.gz", cut(gzip(ndjson(rows)))],
              ["1.ndjson.gz", Buffer.concat([gzip(ndjson(rows)), cut(gzip(ndjson(rows)))])],
              ["1.ndjson.gz", Buffer.concat([gzip(ndjson(rows)), text("garbage")])],
              ["1.ndjson.gz", flipped],
              ["1.ndjson.zst", cut(zstd(ndjson(rows)))],
              ["1.ndjson.zst", Buffer.concat([zstd(ndjson(rows)), cut(zstd(ndjson(rows)))])],
              ["1.ndjson.zst", Buffer.concat([zstd(ndjson(rows)), text("garbage")])],
              ["1.ndjson.zst", Buffer.concat([zstd(ndjson(rows)), zstd(ndjson(rows)).subarray(0, 2)])],
              ["1.csv.gz", cut(gzip(csv(rows)))],
              ["1.parquet", cut(yield* parquet(rows))]
            ]
            for (const [i, [path, bytes]] of cases.entries()) {
              const prefix = key(`broken/${i}/`)
              yield* put(prefix + path, bytes)
              yield* put(`${prefix}2.ndjson`, ndjson(rowsFrom(60, 2)))
              const options = { ...small, prefix, maxRows: 1000 }
              const stopped = yield* drain(ObjectSource.columns(options))
              assert.strictEqual(reason(stopped.error), "BrokenObject", `${i} ${path}: ${stopped.error?.message}`)
              const before = good(stopped.batches)
              assert.isAtMost(before.length, 120)
              assert.include(stopped.error!.message, `"${prefix}${path}" is broken after line `)
              if (!path.startsWith("1.csv")) assert.include(stopped.error!.message, `line ${before.length}:`)
              const kept = yield* Stream.runCollect(ObjectSource.columns({ ...options, badRows: "keep" }))
              assert.deepStrictEqual(good(kept), [...before, ...rowsFrom(60, 2)])
              assert.deepStrictEqual(
                poison(kept).map((p) => p.code),
                ["malformed"]
              )
            }
          })
      )

      it.effect("refuses other schemas by object and column, and goes on under keep", () =>
        Effect.gen(function* () {
          const rows = rowsFrom(0, 3)
          const wide = [...fields.slice(0, 2), { ...fields[2]!, type: { kind: "double" } as const }, ...fields.slice(3)]
          const cases: ReadonlyArray<readonly [string, Uint8Array, string]> = [
            ["1.parquet", yield* parquet(rows, wide), 'column "price" is double'],
            ["1.parquet", yield* parquet(rows, fields.slice(0, 3)), 'no column "at"'],
            ["1.csv", text("id,city,at,note\n"), 'no column "price"'],
            ["1.csv", text("id,city,price,at,id\n1,2,3,4,5\n"), 'column "id" twice']
          ]
          for (const [i, [path, bytes, detail]] of cases.entries()) {
            const prefix = key(`schema/${i}/`)
            yield* put(prefix + path, bytes)
            yield* put(`${prefix}2.ndjson`, ndjson(rows))
            const { batches, error } = yield* drain(ObjectSource.columns({ prefix, schema: Sale }))
            assert.deepStrictEqual([batches, reason(error)], [[], "OtherSchema"], error?.message)
            assert.include(error!.message, `"${prefix}${path}"`)
            assert.include(error!.message, detail)
            const kept = yield* Stream.runCollect(ObjectSource.columns({ prefix, schema: Sale, badRows: "keep" }))
            assert.deepStrictEqual(good(kept), rows)
            assert.include(poison(kept)[0]!.detail, detail)
          }
          // A column that may be null may be absent.
          const prefix = key("schema/absent/")
          yield* put(`${prefix}1.parquet`, yield* parquet(rows, fields.slice(0, 4)))
          const batches = yield* Stream.runCollect(ObjectSource.columns({ prefix, schema: Sale }))
          assert.deepStrictEqual(
            good(batches),
            rows.map((row) => ({ ...row, note: null }))
          )
        })
      )

      it.effect("checks the values of Parquet as those of JSON", () =>
        Effect.gen(function* () {
          const prefix = key("values/")
          const rows = [...rowsFrom(1, 3), { ...rowsFrom(4, 1)[0]!, city: null }, ...rowsFrom(5, 1)]
          yield* put(`${prefix}1.parquet`, yield* parquet(rows as ReadonlyArray<Row>))
          const schema = Schema.Struct({ ...Sale.fields, id: Schema.Int.check(Schema.isGreaterThan(1)) })
          const batches = yield* Stream.runCollect(ObjectSource.columns({ prefix, schema, badRows: "keep" }))
          assert.deepStrictEqual(
            good(batches).map(({ id }) => id),
            [2, 3, 5]
          )
          assert.deepStrictEqual(
            poison(batches)
              .map(({ code, field, line, value }) => [line, code, field, value])
              .toSorted(),
            [
              [1, "check-failed", "id", `{"id":1,"city":"Łódź","price":"-0.13","at":1774396800001,"note":"n1"}`],
              [4, "wrong-type", "city", `{"id":4,"city":null,"price":"0.08","at":1774396800004,"note":"n4"}`]
            ]
          )
        })
      )

      it.effect("takes columns from Hive-style folders", () =>
        Effect.gen(function* () {
          const prefix = key("hive/")
          yield* put(`${prefix}n=1/city=S%C3%A3o%20Paulo/a.ndjson`, '{"id":1}\n{"id":2}')
          yield* put(`${prefix}n=2/city=__HIVE_DEFAULT_PARTITION__/a.csv.gz`, gzip(text("id\n3\n")))
          const schema = Schema.Struct({ id: Schema.Int, n: Schema.Int, city: Schema.NullOr(Schema.String) })
          const options = { prefix, schema, partitions: ["n", "city"] }
          assert.deepStrictEqual(good(yield* Stream.runCollect(ObjectSource.columns(options))) as unknown, [
            { id: 1, n: 1, city: "São Paulo" },
            { id: 2, n: 1, city: "São Paulo" },
            { id: 3, n: 2, city: null }
          ])
          yield* put(`${prefix}n=x/a.ndjson`, '{"id":4}\n')
          yield* put(`${prefix}o.ndjson`, '{"id":5}\n')
          const { error } = yield* drain(ObjectSource.columns(options))
          assert.strictEqual(reason(error), "OtherSchema")
          assert.include(error!.message, 'no valid folder "n=…"')
          const kept = yield* Stream.runCollect(ObjectSource.columns({ ...options, badRows: "keep" }))
          assert.strictEqual(good(kept).length, 3)
          assert.deepStrictEqual(
            poison(kept).map((p) => p.object.slice(prefix.length)),
            ["n=x/a.ndjson", "o.ndjson"]
          )
        })
      )

      it.effect("tells an object that is deleted or replaced while it is read", () =>
        Effect.gen(function* () {
          const store = yield* ObjectStore
          const rows = rowsFrom(0, 50)
          const bytes = ndjson(rows)
          const meddlings: Readonly<Record<string, (key: string) => Effect.Effect<void, ObjectStoreError>>> = {
            deleted: (key) => store.delete(key),
            replaced: (key) =>
              store.put(
                key,
                bytes.map((b) => (b === 0x30 ? 0x31 : b))
              )
          }
          for (const [how, meddle] of Object.entries(meddlings)) {
            const object = key(`changed/${how}/1.ndjson`)
            yield* put(object, bytes)
            let meddled = false
            const options = { ...small, prefix: key(`changed/${how}/`), readAhead: 0 }
            const { batches, error } = yield* drain(
              ObjectSource.columns(options).pipe(
                Stream.tap(() => {
                  if (meddled) return Effect.void
                  meddled = true
                  return Effect.orDie(meddle(object))
                })
              )
            )
            assert.strictEqual(reason(error), "ObjectChanged", how)
            const seen = good(batches)
            assert.deepStrictEqual(seen, rows.slice(0, seen.length))
            assert.include(error!.message, `"${object}" was ${how}`)
            assert.include(error!.message, `line ${seen.length}`)
            // Nor can reading go on in another content.
            yield* put(object, ndjson(rowsFrom(100, 50)))
            const again = yield* drain(ObjectSource.columns({ ...options, from: batches[0]!.resume }))
            assert.deepStrictEqual([again.batches.length, reason(again.error)], [0, "ObjectChanged"])
            yield* store.delete(object)
            const gone = yield* drain(ObjectSource.columns({ ...options, from: batches[0]!.resume }))
            assert.deepStrictEqual([gone.batches.length, reason(gone.error)], [0, "ObjectChanged"])
          }
          // Replaced by a larger one just before its only range is read: no part of it is taken for the whole.
          const only = key("changed/only/1.ndjson")
          yield* put(only, bytes)
          const meddling = ObjectStore.of({
            ...store,
            getRanges: (at, ...rest) =>
              Effect.andThen(store.put(at, ndjson(rowsFrom(100, 60))), store.getRanges(at, ...rest))
          })
          const larger = yield* drain(ObjectSource.columns({ prefix: key("changed/only/"), schema: Sale })).pipe(
            Effect.provideService(ObjectStore, meddling)
          )
          assert.deepStrictEqual([larger.batches.length, reason(larger.error)], [0, "ObjectChanged"])
          // Deleted between listing and reading: the next one is read under keep.
          const prefix = key("changed/next/")
          for (const i of [1, 2, 3]) yield* put(`${prefix}${i}.ndjson`, ndjson(rowsFrom(i, 1)))
          const batches = yield* Stream.runCollect(
            ObjectSource.columns({ prefix, schema: Sale, badRows: "keep" }).pipe(
              Stream.tap(({ object }) =>
                object.endsWith("1.ndjson") ? Effect.orDie(store.delete(`${prefix}2.ndjson`)) : Effect.void
              )
            )
          )
          assert.deepStrictEqual(
            good(batches).map(({ id }) => id),
            [1, 3]
          )
          assert.include(poison(batches)[0]!.detail, "was deleted")
        })
      )

      it.effect("reads by ranges of bounded size, few at a time", () =>
        Effect.gen(function* () {
          const store = yield* ObjectStore
          const prefix = key("bounded/")
          yield* put(`${prefix}1.ndjson`, ndjson(rowsFrom(0, 200)))
          let [underWay, most, longest] = [0, 0, 0]
          const counting = ObjectStore.of({
            ...store,
            get: () => Effect.die(new Error("the whole object was read")),
            getRanges: (at, ranges, etag) =>
              Effect.suspend(() => {
                most = Math.max(most, ++underWay)
                longest = Math.max(longest, ...ranges.map(({ end, start }) => end - start))
                return Effect.ensuring(
                  Effect.andThen(Effect.yieldNow, store.getRanges(at, ranges, etag)),
                  Effect.sync(() => void underWay--)
                )
              })
          })
          const batches = yield* Stream.runCollect(
            ObjectSource.columns({ prefix, schema: Sale, rangeBytes: 500, readAhead: 1 })
          ).pipe(Effect.provideService(ObjectStore, counting))
          assert.strictEqual(good(batches).length, 200)
          assert.strictEqual(longest, 500)
          assert.isAtMost(most, 2)
        })
      )

      it.effect("never takes a failure of the store for data, and goes on after it", () =>
        Effect.gen(function* () {
          const store = yield* ObjectStore
          const prefix = key("failing/")
          const rows = rowsFrom(0, 30)
          yield* put(`${prefix}1.ndjson`, ndjson(rows))
          let calls = 0
          const flaky = ObjectStore.of({
            ...store,
            getRanges: (at, ...rest) =>
              Effect.suspend(() =>
                ++calls === 4
                  ? Effect.fail(
                      new ObjectStoreError({
                        reason: new Io({ key: at, operation: "read", cause: new Error("reset") })
                      })
                    )
                  : store.getRanges(at, ...rest)
              )
          })
          const options = { ...small, prefix, rangeBytes: 300, badRows: "keep" } as const
          const { batches, error } = yield* drain(ObjectSource.columns(options)).pipe(
            Effect.provideService(ObjectStore, flaky)
          )
          assert.strictEqual(reason(error), "StoreFailed")
          assert.include(error!.message, `${prefix}1.ndjson`)
          const rest = yield* Stream.runCollect(ObjectSource.columns({ ...options, from: batches.at(-1)!.resume }))
          assert.deepStrictEqual([...good(batches), ...good(rest)], rows)
        })
      )

      it.effect("goes on in a plain object of lines where it was, without reading it again", () =>
        Effect.gen(function* () {
          const store = yield* ObjectStore
          const prefix = key("seek/")
          const bytes = ndjson(rowsFrom(0, 100))
          yield* put(`${prefix}1.ndjson`, bytes)
          const options = { ...small, prefix, maxRows: 10 }
          const all = yield* Stream.runCollect(ObjectSource.columns(options))
          const { resume } = all.find(({ batch }) => batch.next > 70)!
          let least = Number.POSITIVE_INFINITY
          const watched = ObjectStore.of({
            ...store,
            getRanges: (at, ranges, etag) =>
              Effect.suspend(() => {
                least = Math.min(least, ...ranges.map(({ start }) => start))
                return store.getRanges(at, ranges, etag)
              })
          })
          const rest = yield* Stream.runCollect(ObjectSource.columns({ ...options, from: resume })).pipe(
            Effect.provideService(ObjectStore, watched)
          )
          assert.deepStrictEqual(flat(rest), flat(all).slice(resume.offset))
          assert.isAbove(least, bytes.length / 2)
        })
      )

      it.effect("bounds what a CSV quote that is never closed can take, and a Parquet row group", () =>
        Effect.gen(function* () {
          const prefix = key("limits/")
          const open = `id,note\n1,a\n2,"b\n${"3,c\n".repeat(200)}`
          yield* put(`${prefix}1.csv`, open)
          yield* put(`${prefix}2.ndjson`, '{"id":9}')
          const schema = Schema.Struct({ id: Schema.Int, note: Schema.NullOr(Schema.String) })
          for (const [maxLineBytes, tag] of [
            [100, "BrokenObject"],
            [10_000, "BadRow"]
          ] as const) {
            const options = { prefix, schema, maxLineBytes, rangeBytes: 64 }
            const { batches, error } = yield* drain(ObjectSource.columns(options))
            assert.deepStrictEqual([good(batches).map(({ id }) => id), reason(error)], [[1], tag])
            const kept = yield* Stream.runCollect(ObjectSource.columns({ ...options, badRows: "keep" }))
            assert.deepStrictEqual(
              good(kept).map(({ id }) => id),
              [1, 9]
            )
            assert.deepStrictEqual(
              poison(kept).map(({ code }) => code),
              ["malformed"]
            )
          }
          const object = key("limits-parquet/1.parquet")
          yield* put(object, yield* parquet(rowsFrom(0, 10)))
          const { error } = yield* drain(
            ObjectSource.columns({ prefix: key("limits-parquet/"), schema: Sale, maxRowGroupBytes: 100 })
          )
          assert.strictEqual(reason(error), "BrokenObject")
          assert.include(error!.message, "more than maxRowGroupBytes 100")
        })
      )

      it.effect("refuses what it can't tell the format of, and Parquet as lines", () =>
        Effect.gen(function* () {
          const prefix = key("format/")
          yield* put(`${prefix}a.txt`, ndjson(rowsFrom(0, 1)))
          const options = { prefix, schema: Sale }
          const { error } = yield* drain(ObjectSource.columns(options))
          assert.strictEqual(reason(error), "UnknownFormat")
          assert.include(error!.message, `${prefix}a.txt`)
          const given = yield* Stream.runCollect(ObjectSource.columns({ ...options, format: "ndjson" }))
          assert.strictEqual(good(given).length, 1)
          const lines = yield* drain(ObjectSource.records({ prefix, format: "parquet" }))
          assert.throws(() => ObjectSource.records({ prefix, maxRows: 0 }), RangeError)
          assert.throws(() => ObjectSource.columns({ ...options, partitions: ["day"] }), TypeError)
          assert.strictEqual(reason(lines.error), "UnsupportedForm")
        })
      )

      it.effect("follows: reads new objects as they come, and tells late ones by name", () =>
        Effect.gen(function* () {
          const store = yield* ObjectStore
          const prefix = key("follow/")
          const seen: Array<number> = []
          const resumes: Array<ObjectSource.Checkpoint> = []
          const options = { prefix, schema: Sale, follow: { interval: "10 seconds" } } as const
          const fiber = yield* ObjectSource.columns(options).pipe(
            Stream.runForEach((batch) =>
              Effect.sync(() => {
                seen.push(...good([batch]).map(({ id }) => id))
                resumes.push(batch.resume)
              })
            ),
            Effect.result,
            Effect.forkChild
          )
          /** Lets what the store does outside the clock happen. */
          const settle = (until: () => boolean) =>
            Effect.gen(function* () {
              for (let i = 0; i < 500 && !until(); i++)
                yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
              assert.isTrue(until())
            })
          const tick = (until: () => boolean) =>
            Effect.gen(function* () {
              for (let i = 0; i < 50 && !until(); i++) {
                yield* TestClock.adjust("10 seconds")
                yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
              }
              yield* settle(until)
            })
          yield* put(`${prefix}b.ndjson`, ndjson(rowsFrom(1, 2)))
          yield* tick(() => seen.length === 2)
          yield* put(`${prefix}c.ndjson`, ndjson(rowsFrom(3, 1)))
          yield* tick(() => seen.length === 3)
          // An object that was read may be removed.
          yield* store.delete(`${prefix}b.ndjson`)
          yield* put(`${prefix}d.ndjson`, ndjson(rowsFrom(4, 1)))
          yield* tick(() => seen.length === 4)
          assert.deepStrictEqual(seen, [1, 2, 3, 4])
          yield* put(`${prefix}a.ndjson`, ndjson(rowsFrom(9, 1)))
          yield* tick(() => fiber.pollUnsafe() !== undefined)
          const end = yield* Fiber.join(fiber)
          assert.strictEqual(end._tag, "Failure")
          if (end._tag === "Failure") {
            assert.strictEqual(reason(end.failure), "PastChanged")
            assert.include(end.failure.message, `"${prefix}a.ndjson"`)
          }
          assert.deepStrictEqual(seen, [1, 2, 3, 4])

          // The same is told when reading resumes.
          const resumed = yield* drain(ObjectSource.columns({ prefix, schema: Sale, from: resumes.at(-1) }))
          assert.strictEqual(reason(resumed.error), "PastChanged")
          yield* put(`${prefix}e.ndjson`, ndjson(rowsFrom(5, 1)))
          const ignored = yield* Stream.runCollect(
            ObjectSource.columns({ prefix, schema: Sale, from: resumes.at(-1), past: "ignore" })
          )
          assert.deepStrictEqual(
            flat(ignored).map(({ offset, row }) => [offset, row?.["id"]]),
            [[4, 5]]
          )
          yield* store.delete(`${prefix}a.ndjson`)
          const rest = yield* Stream.runCollect(ObjectSource.columns({ prefix, schema: Sale, from: resumes.at(-1) }))
          assert.deepStrictEqual(
            good(rest).map(({ id }) => id),
            [5]
          )
          // So it is when the object of the checkpoint itself is gone.
          yield* store.delete(`${prefix}d.ndjson`)
          const gone = yield* drain(ObjectSource.columns({ prefix, schema: Sale, from: resumes.at(-1) }))
          assert.strictEqual(reason(gone.error), "ObjectChanged")
          const after = yield* Stream.runCollect(
            ObjectSource.columns({ prefix, schema: Sale, from: resumes.at(-1), past: "ignore" })
          )
          assert.deepStrictEqual(
            flat(after).map(({ offset, row }) => [offset, row?.["id"]]),
            [[4, 5]]
          )
        })
      )
    })
  })
}
