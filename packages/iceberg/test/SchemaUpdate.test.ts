/** Changes of columns: what may change, ids that are never used twice, and old files read as the columns are now. */
import { assert, describe, it, layer } from "@effect/vitest"
import {
  Commit,
  type Field,
  FileCatalog,
  Metadata,
  Predicate,
  Projection,
  SchemaUpdate,
  Table
} from "@headrace/iceberg"
import { ColumnReader, ColumnWriter } from "@headrace/parquet"
import { ObjectStore } from "@headrace/s3"
import { Effect, Result } from "effect"
import { create, drivers, file, orphans, paths } from "./fixtures.ts"

const shape = (table: Table.Table) =>
  Effect.map(Table.fields(table), (fields) =>
    fields.map(({ fieldId, name, type }) => {
      const text = type.kind === "decimal" ? `decimal(${type.precision},${type.scale})` : type.kind
      return `${fieldId} ${name} ${text}`
    })
  )

const start = ["1 category string", "2 total decimal(12,2)", "3 ts timestamptz", "4 __partition int", "5 __offset long"]
const end = ["6 __headers list", "7 __arrived timestamptz"]

/** Writes a real file with the table's columns, and appends it. */
const write = (
  table: Table.Table,
  key: string,
  columns: Readonly<Record<string, ReadonlyArray<unknown>>>,
  rowCount: number
) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const chunks: Array<Uint8Array> = []
    const schema = yield* Table.fields(table)
    const writer = yield* ColumnWriter.make({ schema, sink: (chunk) => void chunks.push(chunk) })
    yield* writer.writeRowGroup(columns, rowCount)
    const summary = yield* writer.finish()
    yield* store.put(`${table.prefix}/${key}`, Uint8Array.from(Buffer.concat(chunks)))
    return yield* Commit.append(table, { files: [{ key, partition: {}, summary }] })
  })

/** All rows, as the table's columns are now. */
const rows = (table: Table.Table, names?: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const fields = (yield* Table.fields(table)).filter((field) => names?.includes(field.name) ?? true)
    const out: Array<ReadonlyArray<unknown>> = []
    for (const task of yield* Table.scan(table)) {
      const { path } = task.file
      const bytes = yield* store.get(yield* Table.keyOf(table, path))
      const parquet = yield* ColumnReader.open(ColumnReader.fromBytes(path, bytes))
      const plan = yield* Effect.fromResult(Projection.plan(fields, parquet.schema, path))
      for (const group of parquet.rowGroups.keys()) {
        const { columns, rowCount } = yield* ColumnReader.readRowGroup(parquet, group, plan.read)
        const now = Projection.project(plan, columns, rowCount)
        for (let i = 0; i < rowCount; i++) out.push(fields.map((field) => now[field.name]![i]))
      }
    }
    return out
  })

for (const [name, driver] of drivers) {
  layer(driver, { excludeTestServices: true })(`SchemaUpdate on ${name}`, (it) => {
    it.effect("adds, drops, renames, widens and moves in one commit; ids are never used twice", () =>
      Effect.gen(function* () {
        const table = yield* Commit.append(yield* create("update"), { files: [file(0), file(20)] })
        assert.deepStrictEqual(yield* shape(table), [...start, ...end])
        const next = yield* SchemaUpdate.commit(table, [
          { kind: "rename", column: "category", to: "kind" },
          { kind: "widen", column: "total", type: { kind: "decimal", precision: 18, scale: 2 } },
          { kind: "widen", column: "__partition", type: { kind: "long" } },
          { kind: "drop", column: "ts" },
          { kind: "add", name: "ts", type: { kind: "long" } },
          { kind: "move", column: "ts", after: undefined },
          { kind: "move", column: "kind", after: "total" }
        ])
        const highest = table.metadata["last-column-id"]
        const changed = [`${highest + 1} ts long`, "2 total decimal(18,2)", "1 kind string", "4 __partition long"]
        assert.deepStrictEqual(yield* shape(next), [...changed, "5 __offset long", ...end])
        assert.strictEqual(next.metadata["last-column-id"], highest + 1)
        assert.strictEqual(next.version, table.version + 1)
        const loaded = yield* FileCatalog.load(table)
        assert.deepStrictEqual(loaded.metadata, next.metadata)
        // The plan of old files goes by ids, under the new names and types.
        assert.deepStrictEqual(yield* paths(loaded, { predicate: Predicate.eq("kind", "category-20-a") }), ["f20"])
        assert.deepStrictEqual(yield* paths(loaded, { predicate: Predicate.gte("__offset", 200) }), ["f20"])
        const error = yield* Effect.flip(Table.scan(loaded, { predicate: Predicate.eq("category", "x") }))
        assert.strictEqual(error.reason._tag, "InvalidInput")
        const old = Metadata.currentSnapshot(loaded.metadata)!
        assert.strictEqual(old["schema-id"], 0)
        // New files are written with the new columns; back to the columns that it had gives the schema its old id.
        yield* Commit.append(loaded, { files: [file(21)], manifestLimit: 1 })
        const there = yield* SchemaUpdate.commit(yield* FileCatalog.load(table), [
          { kind: "rename", column: "kind", to: "again" }
        ])
        const back = yield* SchemaUpdate.commit(there, [{ kind: "rename", column: "again", to: "kind" }])
        assert.strictEqual(back.metadata["current-schema-id"], 1)
        assert.strictEqual(back.metadata.schemas.length, 3)
        assert.deepStrictEqual(yield* orphans(back), [])
      })
    )

    it.effect("reads old files as the columns are now", () =>
      Effect.gen(function* () {
        const fields: ReadonlyArray<Field> = [
          { name: "id", type: { kind: "int" }, required: true },
          { name: "name", type: { kind: "string" }, required: false },
          { name: "price", type: { kind: "decimal", precision: 6, scale: 2 }, required: false }
        ]
        let table = yield* FileCatalog.create({ prefix: "evolved", location: "s3://bucket/evolved", fields })
        table = yield* write(table, "data/a.parquet", { id: [1, 2], name: ["x", null], price: [150, -1] }, 2)
        table = yield* SchemaUpdate.commit(table, [
          { kind: "rename", column: "name", to: "title" },
          { kind: "widen", column: "id", type: { kind: "long" } },
          { kind: "widen", column: "price", type: { kind: "decimal", precision: 12, scale: 2 } },
          { kind: "add", name: "name", type: { kind: "string" } },
          { kind: "move", column: "title", after: undefined }
        ])
        const big = 5_000_000_000
        table = yield* write(table, "data/b.parquet", { id: [big], title: ["y"], price: [9_999_999], name: ["n"] }, 1)
        assert.deepStrictEqual(yield* rows(table), [
          ["x", 1, 150, null],
          [null, 2, -1, null],
          ["y", big, 9_999_999, "n"]
        ])
        assert.deepStrictEqual(yield* rows(table, ["name"]), [[null], [null], ["n"]])
        table = yield* SchemaUpdate.commit(table, [{ kind: "drop", column: "title" }])
        assert.deepStrictEqual(yield* rows(table), [
          [1, 150, null],
          [2, -1, null],
          [big, 9_999_999, "n"]
        ])
      })
    )

    it.effect("builds on others' data, and refuses a schema that another writer changed", () =>
      Effect.gen(function* () {
        const table = yield* create("schema-race")
        yield* Commit.append(table, { files: [file(0)] })
        const next = yield* SchemaUpdate.commit(table, [{ kind: "rename", column: "ts", to: "at" }])
        assert.deepStrictEqual(yield* paths(next), ["f0"])
        const error = yield* Effect.flip(SchemaUpdate.commit(table, [{ kind: "drop", column: "ts" }]))
        assert.strictEqual(error.reason._tag, "CommitConflict")
        assert.include(error.message, "from 0 to 1")
        assert.deepStrictEqual((yield* FileCatalog.load(table)).metadata, next.metadata)
      })
    )

    it.effect("refuses what readers couldn't follow", () =>
      Effect.gen(function* () {
        const table = yield* create("refused")
        const bad: ReadonlyArray<ReadonlyArray<SchemaUpdate.Change>> = [
          [{ kind: "add", name: "ts", type: { kind: "int" } }],
          [{ kind: "add", name: "", type: { kind: "int" } }],
          [{ kind: "add", name: "x", type: { kind: "decimal", precision: 39, scale: 0 } }],
          [{ kind: "drop", column: "nope" }],
          [{ kind: "drop", column: "__partition" }],
          [{ kind: "rename", column: "ts", to: "total" }],
          [{ kind: "rename", column: "ts", to: "__arrived_day" }],
          [{ kind: "widen", column: "__offset", type: { kind: "int" } }],
          [{ kind: "widen", column: "category", type: { kind: "binary" } }],
          [{ kind: "widen", column: "total", type: { kind: "decimal", precision: 11, scale: 2 } }],
          [{ kind: "widen", column: "total", type: { kind: "decimal", precision: 18, scale: 3 } }],
          [{ kind: "move", column: "ts", after: "nope" }],
          [{ kind: "move", column: "ts", after: "ts" }]
        ]
        for (const changes of bad) {
          const error = yield* Effect.flip(SchemaUpdate.commit(table, changes))
          assert.strictEqual(error.reason._tag, "InvalidInput", JSON.stringify(changes))
        }
        assert.strictEqual((yield* FileCatalog.load(table)).version, 1)
      })
    )
  })
}

describe("Projection", () => {
  const field = (fieldId: number, kind: "int" | "long" | "string", required = false): Field => ({
    name: `c${fieldId}`,
    type: { kind },
    required,
    fieldId
  })
  it("refuses a file that can't be of the table", () => {
    const reason = (fields: ReadonlyArray<Field>, file: ReadonlyArray<Field>) =>
      Result.match(Projection.plan(fields, file, "f"), { onFailure: (e) => e.reason._tag, onSuccess: () => "fine" })
    assert.strictEqual(reason([field(1, "long")], [field(1, "int")]), "fine")
    assert.strictEqual(reason([field(1, "int")], [field(1, "long")]), "UnsupportedFormat")
    assert.strictEqual(reason([field(1, "int")], [field(1, "string")]), "UnsupportedFormat")
    assert.strictEqual(reason([field(2, "int", true)], [field(1, "int")]), "Corrupt")
    const { fieldId: _, ...foreign } = field(1, "int")
    assert.strictEqual(reason([field(1, "int")], [foreign]), "UnsupportedFormat")
  })
})
