/** A table like the archive's, with files that only exist in its metadata. */
import { FolderObjectStore, MemoryObjectStore, ObjectStore } from "@headrace/s3"
import { Commit, CommitPoint, type Field, FileCatalog, type NewFile, type Point, Table } from "@headrace/iceberg"
import { Effect, Layer, Stream } from "effect"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"

export const fields: ReadonlyArray<Field> = [
  { name: "category", type: { kind: "string" }, required: false },
  { name: "total", type: { kind: "decimal", precision: 12, scale: 2 }, required: false },
  { name: "ts", type: { kind: "timestamptz" }, required: false },
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

export const day = 86_400_000

/** File number `i`: 10 rows of partition `i % 4`, offsets from `10 i`, arrived on day `floor(i / 10)`. */
export const file = (i: number, name = `f${i}`): NewFile => ({
  key: `data/${name}.parquet`,
  partition: { __partition: i % 4, __arrived_day: Math.floor(i / 10) },
  summary: {
    fileSize: 1000 + i,
    rowCount: 10,
    splitOffsets: [4],
    columns: [
      {
        fieldId: 1,
        compressedSize: 50,
        valueCount: 10,
        nullCount: i % 2,
        min: `category-${i}`,
        max: `category-${i}-long-enough-to-be-cut`
      },
      { fieldId: 2, compressedSize: 50, valueCount: 10, nullCount: 10 },
      { fieldId: 3, compressedSize: 50, valueCount: 10, nullCount: 0, min: i * 1000, max: i * 1000 + 999 },
      { fieldId: 4, compressedSize: 50, valueCount: 10, nullCount: 0, min: i % 4, max: i % 4 },
      { fieldId: 5, compressedSize: 50, valueCount: 10, nullCount: 0, min: 10 * i, max: 10 * i + 9 }
    ]
  }
})

export const create = (prefix: string) =>
  FileCatalog.create({
    prefix,
    location: `s3://bucket/${prefix}`,
    fields,
    partitionBy: [
      { column: "__partition", transform: "identity" },
      { column: "__arrived", transform: "day" }
    ],
    properties: { owner: "test" }
  })

/** Appends files `from` to `to` (exclusive), a commit each. */
export const appendEach = (table: Table.Table, from: number, to: number, manifestLimit = 50) =>
  Effect.reduce(
    Array.from({ length: to - from }, (_, i) => from + i),
    () => table,
    (base, i) => Commit.append(base, { files: [file(i)], manifestLimit })
  )

export const paths = (table: Table.Table, options?: Parameters<typeof Table.scan>[1]) =>
  Effect.map(Table.scan(table, options), (tasks) =>
    tasks.map(({ file }) => file.path.slice(file.path.lastIndexOf("/") + 1, -".parquet".length))
  )

export const keys = (prefix: string) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    return (yield* Stream.runCollect(store.list(prefix))).map(({ key }) => key)
  })

/** All files that a table's snapshots refer to, and its metadata files. */
const referenced = (table: Table.Table) =>
  Effect.gen(function* () {
    const out = new Set([`${table.prefix}/metadata/version-hint.text`])
    for (let version = 1; version <= table.version; version++)
      out.add(`${table.prefix}/metadata/v${version}.metadata.json`)
    for (const snapshot of table.metadata.snapshots ?? []) {
      out.add(yield* Table.keyOf(table, snapshot["manifest-list"]))
      for (const manifest of yield* Table.manifests(table, snapshot)) out.add(yield* Table.keyOf(table, manifest.path))
    }
    return out
  })

/** Files that nothing of the table refers to, besides data files. */
export const orphans = (table: Table.Table) =>
  Effect.gen(function* () {
    const used = yield* referenced(table)
    return (yield* keys(`${table.prefix}/`)).filter((key) => !used.has(key))
  })

/** Dies when the commit reaches a point. */
export const dieAt = (point: Point) =>
  Effect.provideService(CommitPoint, (at) => (at === point ? Effect.die(new Error(`killed at ${point}`)) : Effect.void))

export const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "headrace-iceberg-"))),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true }))
)

/** A bucket of its own on the integration suite's server. Loaded only there. */
const onServer = (endpoint: string) =>
  Layer.orDie(
    Layer.unwrap(
      Effect.promise(async () => {
        const { access, bucket } = await import("integration-suite/S3Access")
        const S3ObjectStore = await import("@headrace/s3/S3ObjectStore")
        return S3ObjectStore.layer({ ...access(endpoint), bucket: await Effect.runPromise(bucket(endpoint)) })
      })
    )
  )

/** Set by the integration suite. */
const server = process.env["HEADRACE_S3_VERSITYGW"]

export const drivers: ReadonlyArray<readonly [string, Layer.Layer<ObjectStore>]> = [
  ["memory", MemoryObjectStore.layer],
  ["folder", Layer.orDie(Layer.unwrap(Effect.map(temporaryFolder, (made) => FolderObjectStore.layer({ path: made }))))],
  ...(server === undefined ? [] : [["S3", onServer(server)] as const])
]
