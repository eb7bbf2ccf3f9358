/**
 * A neutral reader: PyIceberg reads what we write, and we read and go on from what it writes.
 * `pnpm test:integration iceberg` makes the Python that `HEADRACE_PYTHON` names.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Commit,
  type Field,
  FileCatalog,
  Maintenance,
  Metadata,
  type NewFile,
  Predicate,
  SchemaUpdate,
  Table
} from "@headrace/iceberg"
import { FolderObjectStore } from "@headrace/s3"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { paths, temporaryFolder } from "./fixtures.ts"

const python = process.env["HEADRACE_PYTHON"]
interface Report {
  readonly [number: string]: unknown
  readonly properties: Readonly<Record<string, string>>
  readonly bounds: Readonly<Record<string, ReadonlyArray<string>>>
  readonly history: ReadonlyArray<string>
  readonly summaries: ReadonlyArray<Readonly<Record<string, string>>>
  readonly partitions: ReadonlyArray<unknown>
  readonly manifests: number
}
interface Evolved {
  readonly rows: number
  readonly columns: ReadonlyArray<string>
  readonly types: ReadonlyArray<string>
  readonly nullFlags: number
  readonly total: string
  readonly partition: string
  readonly cost: ReadonlyArray<number>
}
const run = <A>(command: string, argument: string): Effect.Effect<A> =>
  Effect.sync(() => {
    const script = fileURLToPath(new URL("./neutral_reader.py", import.meta.url))
    if (python === undefined) throw new Error("run this with: pnpm test:integration iceberg")
    const output = execFileSync(python, [script, command, argument], { encoding: "utf8", maxBuffer: 1 << 26 })
    return JSON.parse(output, (key, value: unknown) =>
      (key === "min" || key === "max") && Array.isArray(value) ? Uint8Array.from(value) : value
    )
  })

const fields: ReadonlyArray<Field> = [
  { name: "category", type: { kind: "string" }, required: false },
  { name: "total", type: { kind: "decimal", precision: 12, scale: 2 }, required: false },
  { name: "ts", type: { kind: "timestamptz" }, required: false },
  { name: "price", type: { kind: "double" }, required: false },
  { name: "flag", type: { kind: "boolean" }, required: false },
  { name: "day", type: { kind: "date" }, required: false },
  { name: "raw", type: { kind: "binary" }, required: false },
  { name: "__partition", type: { kind: "int" }, required: true },
  { name: "__offset", type: { kind: "long" }, required: true },
  {
    name: "__headers",
    type: {
      kind: "list",
      element: [
        { name: "key", type: { kind: "string" }, required: true },
        { name: "value", type: { kind: "binary" }, required: false }
      ]
    },
    required: true
  },
  { name: "__arrived", type: { kind: "timestamptz" }, required: true }
]

describe("PyIceberg", () => {
  it.live("reads what we write, and we read what it writes", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const location = `${folder}/warehouse/t`
      const files = yield* run<ReadonlyArray<NewFile>>("write", location)
      assert.strictEqual(files.length, 12)
      yield* Effect.gen(function* () {
        let table = yield* FileCatalog.create({
          prefix: "warehouse/t",
          location,
          fields,
          partitionBy: [
            { column: "__partition", transform: "identity" },
            { column: "__arrived", transform: "day" }
          ],
          properties: { "schema.name-mapping.default": "[]" }
        })
        const metadataPath = () => FileCatalog.metadataFile(table)
        for (const file of files)
          table = yield* Commit.append(table, {
            files: [file],
            summary: { "headrace.ranges": file.key },
            setProperties: (id) => ({ "headrace.vector": `${id}:${file.key}` }),
            manifestLimit: 5
          })

        const read = yield* run<Report>("read", metadataPath())
        const ids = table.metadata.snapshots!.map((snapshot) => `${snapshot["snapshot-id"]}`)
        assert.strictEqual(read["rows"], 1200)
        assert.strictEqual(read["files"], 12)
        assert.strictEqual(read["nulls"], 120)
        assert.strictEqual(read["headers"], 12 * 99)
        assert.strictEqual(read["total"], "558.00")
        assert.deepStrictEqual(read.history, ids)
        assert.strictEqual(read["current"], ids.at(-1))
        assert.strictEqual(read["main"], ids.at(-1))
        assert.strictEqual(read["firstSnapshot"], 100)
        assert.deepStrictEqual(
          read.summaries,
          table.metadata.snapshots!.map((snapshot) => snapshot.summary)
        )
        assert.deepStrictEqual(
          read["sequence"],
          Array.from({ length: 12 }, (_, i) => i + 1)
        )
        assert.strictEqual(read.properties["headrace.vector"], `${ids.at(-1)}:${files.at(-1)!.key}`)
        assert.isAtMost(read.manifests, 6)
        assert.strictEqual(read.partitions.length, 12)
        assert.deepStrictEqual(read.partitions[0], [0, "2024-10-04", 100])
        const named = (keep: (day: number, partition: number) => boolean) =>
          [20000, 20001, 20002].flatMap((day) =>
            [0, 1, 2, 3].filter((partition) => keep(day, partition)).map((partition) => `${day}-${partition}.parquet`)
          )
        assert.deepStrictEqual(
          read["byPartition"],
          named((_, partition) => partition === 2)
        )
        assert.deepStrictEqual(
          read["byDay"],
          named((day) => day >= 20001)
        )
        assert.deepStrictEqual(
          read["byTimestamp"],
          named((day) => day === 20000)
        )
        assert.deepStrictEqual(
          read["byOffset"],
          named((day) => day === 20001)
        )
        assert.deepStrictEqual(
          read["byString"],
          named((_, partition) => partition === 1)
        )
        assert.deepStrictEqual(read["byDecimal"], [])
        assert.deepStrictEqual(read["byDouble"], [])
        assert.deepStrictEqual(
          read["byDate"],
          named((day) => day === 20001)
        )
        assert.strictEqual(read["rowsByString"], 3)
        assert.strictEqual(read["rowsByTimestamp"], 40)
        assert.strictEqual(read["rowsByDecimal"], 12)
        assert.deepStrictEqual(read.bounds["total"], ["-3.00", "3.93"])
        assert.deepStrictEqual(read.bounds["price"], ["-12.5", "12.25"])
        assert.deepStrictEqual(read.bounds["__offset"], ["20000000", "20000099"])
        assert.deepStrictEqual(read.bounds["day"], ["2024-10-04", "2024-10-04"])
        assert.deepStrictEqual(read.bounds["category"], ["categorie-0-é-lo", "categorie-0-é-lp"])
        assert.deepStrictEqual(read.bounds["ts"], ["2024-10-04 00:00:00+00:00", "2024-10-04 00:01:39+00:00"])

        // PyIceberg appends; its metadata takes the next version's place, and we go on from there.
        const appended = yield* run<string>("append", metadataPath())
        fs.copyFileSync(appended.replace(/^file:\/*/, "/"), `${location}/metadata/v${table.version + 1}.metadata.json`)
        table = yield* FileCatalog.load(table)
        const foreign = Metadata.currentSnapshot(table.metadata)!
        assert.isTrue(Metadata.print(table.metadata).length > 0)
        const tasks = yield* Table.scan(table)
        assert.strictEqual(
          tasks.reduce((rows, task) => rows + task.file.recordCount, 0),
          1210
        )
        assert.strictEqual(tasks.at(-1)!.snapshotId, foreign["snapshot-id"])
        assert.deepStrictEqual(tasks.at(-1)!.file.partition, { __partition: 1, __arrived_day: 20003 })
        assert.strictEqual(
          (yield* paths(table, { predicate: Predicate.gte("__arrived", 20003 * 86_400_000) })).length,
          1
        )
        assert.strictEqual((yield* paths(table, { predicate: Predicate.gt("__offset", 20003009) })).length, 0)
        assert.strictEqual((yield* paths(table, { predicate: Predicate.gte("__offset", 20003009) })).length, 1)
        table = yield* Commit.append(table, { files: [], manifestLimit: 2, summary: { note: "after PyIceberg" } })
        const again = yield* run<Report>("read", metadataPath())
        assert.strictEqual(again["rows"], 1210)
        assert.strictEqual(again.history.at(-2), `${foreign["snapshot-id"]}`)
        assert.strictEqual(again.summaries.at(-1)!["total-records"], "1210")
        assert.strictEqual(again.manifests, 1)
        assert.deepStrictEqual(
          again.summaries.map((summary) => summary["total-data-files"]),
          Array.from({ length: 14 }, (_, i) => `${Math.min(i + 1, 13)}`)
        )
        // Two files are written anew, and replaced in one commit: the same rows in as many files.
        const removed = (yield* Table.scan(table)).filter((task) => /2000[01]-1\.parquet$/.test(task.file.path))
        const added: Array<NewFile> = []
        for (const [i, { file }] of removed.entries()) {
          const rewritten = { folder: location, key: `data/rewritten-${i}.parquet`, paths: [file.path] }
          added.push({ ...(yield* run<NewFile>("merge", JSON.stringify(rewritten))), partition: file.partition })
        }
        assert.strictEqual(added.length, 2)
        table = yield* Commit.replace(table, { removed, added })
        const replaced = yield* run<Report>("read", metadataPath())
        for (const same of ["rows", "total", "headers", "nulls"]) assert.deepStrictEqual(replaced[same], again[same])
        assert.strictEqual(replaced["files"], 13)
        assert.strictEqual(replaced.summaries.at(-1)!["operation"], "replace")
        assert.strictEqual(replaced.summaries.at(-1)!["total-records"], "1210")

        // Old snapshots go, with the files that only they had; the rows stay.
        yield* Effect.sleep(5)
        const expired = yield* Maintenance.expireSnapshots(table, { olderThan: 1, retainLast: 2 })
        table = expired.table
        assert.isTrue(expired.snapshots.length > 5)
        assert.isFalse(fs.existsSync(expired.files[0]!))
        const fewer = yield* run<Report>("read", metadataPath())
        for (const same of ["rows", "total", "headers", "nulls"]) assert.deepStrictEqual(fewer[same], again[same])
        assert.strictEqual(fewer["files"], 13)
        assert.strictEqual(fewer.summaries.length, 2)

        // Columns change; every file is read as they are now.
        table = yield* SchemaUpdate.commit(table, [
          { kind: "rename", column: "price", to: "cost" },
          { kind: "widen", column: "total", type: { kind: "decimal", precision: 20, scale: 2 } },
          { kind: "widen", column: "__partition", type: { kind: "long" } },
          { kind: "drop", column: "flag" },
          { kind: "add", name: "flag", type: { kind: "string" } },
          { kind: "move", column: "flag", after: undefined }
        ])
        const evolved = yield* run<Evolved>("evolved", metadataPath())
        assert.deepStrictEqual(evolved.columns.slice(0, 5), ["flag", "category", "total", "ts", "cost"])
        assert.deepStrictEqual(evolved.types.slice(0, 3), ["string", "string", "decimal128(20, 2)"])
        assert.strictEqual(evolved.rows, 1210)
        assert.strictEqual(evolved.nullFlags, 1210)
        assert.strictEqual(evolved.total, again["total"])
        assert.strictEqual(evolved.partition, "int64")
        assert.deepStrictEqual(evolved.cost, [-12.5, 12.25])
        if (process.env["HEADRACE_SHOW"] !== undefined) console.log(read, again["spec"], again["schema"])
      }).pipe(Effect.provide(FolderObjectStore.layer({ path: folder })))
    })
  )
})
