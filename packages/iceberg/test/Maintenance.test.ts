/** Expiry: what stays readable, what is deleted, and what a crash leaves. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Commit, ExpirePlan, FileCatalog, Maintenance, Metadata, type Point, Table } from "@headrace/iceberg"
import { ObjectStore } from "@headrace/s3"
import { Effect, Exit } from "effect"
import { appendEach, create, dieAt, drivers, file, keys, paths } from "./fixtures.ts"

const base = (prefix: string) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const table = yield* appendEach(yield* create(prefix), 0, 6, 3)
    for (const i of Array.from({ length: 6 }, (_, n) => `f${n}`))
      yield* store.put(`${prefix}/data/${i}.parquet`, new Uint8Array(1))
    yield* store.put(`${prefix}/data/m.parquet`, new Uint8Array(1))
    const removed = (yield* Table.scan(table)).filter(({ file }) => /f[04].parquet$/.test(file.path))
    const made = file(0, "m")
    const added = [{ ...made, summary: { ...made.summary, rowCount: 20 } }]
    const replaced = yield* Commit.replace(table, { removed, added })
    return yield* Commit.append(replaced, { files: [] })
  })

const data = (prefix: string) =>
  Effect.map(keys(`${prefix}/data/`), (all) => all.map((key) => key.slice(`${prefix}/data/`.length)).sort())

const all = { olderThan: 0, retainLast: 1 }
const live = ["f1.parquet", "f2.parquet", "f3.parquet", "f5.parquet", "m.parquet"]
const before = ["f0.parquet", "f1.parquet", "f2.parquet", "f3.parquet", "f4.parquet", "f5.parquet", "m.parquet"]

const points: ReadonlyArray<readonly [Point, version: number]> = [
  ["after-metadata", 10],
  ["after-hint", 10]
]

for (const [name, driver] of drivers) {
  layer(driver, { excludeTestServices: true })(`Maintenance on ${name}`, (it) => {
    it.effect("expires snapshots, and deletes the files that only they referred to", () =>
      Effect.gen(function* () {
        const table = yield* base("expire")
        yield* Effect.sleep(5)
        const dry = yield* Maintenance.expireSnapshots(table, { ...all, dryRun: true })
        assert.strictEqual(dry.snapshots.length, 7)
        assert.deepStrictEqual(yield* data("expire"), before)
        assert.strictEqual((yield* FileCatalog.load(table)).version, table.version)
        const done = yield* Maintenance.expireSnapshots(table, all)
        assert.deepStrictEqual(done.snapshots, dry.snapshots)
        assert.deepStrictEqual([...done.files].sort(), [...dry.files].sort())
        assert.deepStrictEqual(yield* data("expire"), live)
        const loaded = yield* FileCatalog.load(table)
        assert.deepStrictEqual(loaded.metadata, done.table.metadata)
        assert.strictEqual(loaded.metadata.snapshots!.length, 1)
        assert.deepStrictEqual(
          loaded.metadata["snapshot-log"]!.map((entry) => entry["snapshot-id"]),
          [Metadata.currentId(loaded.metadata)]
        )
        assert.deepStrictEqual(yield* paths(loaded), ["f1", "f2", "f3", "f5", "m"])
        const metadata = (yield* keys("expire/metadata/")).filter((key) => key.endsWith(".avro"))
        const manifests = yield* Table.manifests(loaded, Metadata.currentSnapshot(loaded.metadata)!)
        assert.strictEqual(metadata.length, 1 + manifests.length)
        // Nothing is left to expire: no commit, and the table goes on.
        assert.strictEqual((yield* Maintenance.expireSnapshots(loaded, all)).table.version, loaded.version)
        const next = yield* Commit.append(loaded, { files: [file(7)], manifestLimit: 1 })
        assert.deepStrictEqual(yield* paths(next), ["f1", "f2", "f3", "f5", "m", "f7"])
      })
    )

    it.effect("builds on what others commit meanwhile, and keeps it", () =>
      Effect.gen(function* () {
        const table = yield* base("expire-race")
        yield* Effect.sleep(5)
        yield* Effect.all(
          [
            Maintenance.expireSnapshots(table, all),
            Effect.reduce(
              [6, 7, 8],
              () => table,
              (at, i) => Commit.append(at, { files: [file(i)], manifestLimit: 2 })
            )
          ],
          { concurrency: "unbounded" }
        )
        const loaded = yield* FileCatalog.load(table)
        const found = [...(yield* paths(loaded))].sort()
        assert.deepStrictEqual(found, ["f1", "f2", "f3", "f5", "f6", "f7", "f8", "m"])
        for (const snapshot of loaded.metadata.snapshots!)
          yield* Table.scan(loaded, { snapshotId: snapshot["snapshot-id"] })
      })
    )

    it.effect("removes orphans once they have been seen for the grace period, and nothing else", () =>
      Effect.gen(function* () {
        const prefix = "orphans"
        const store = yield* ObjectStore
        const table = yield* base(prefix)
        yield* Effect.exit(Maintenance.expireSnapshots(table, all).pipe(dieAt("after-hint")))
        yield* Effect.sleep(5)
        yield* Effect.exit(Maintenance.expireSnapshots(table, { ...all, olderThan: 1 }).pipe(dieAt("after-hint")))
        yield* store.put(`${prefix}/data/notes.txt`, new Uint8Array(1))
        const loaded = yield* FileCatalog.load({ prefix })
        const orphan = `${prefix}/data/f0.parquet`
        const first = yield* Maintenance.removeOrphans(table, { grace: 40 })
        assert.deepStrictEqual(first.removed, [])
        assert.include(first.waiting, orphan)
        const tooSoon = yield* Maintenance.removeOrphans(table, { grace: 60_000 })
        assert.deepStrictEqual(tooSoon, first)
        // A commit takes one of them back: it is no orphan any more.
        const again = yield* Commit.append(loaded, { files: [file(4)] })
        yield* Effect.sleep(50)
        const dry = yield* Maintenance.removeOrphans(table, { grace: 40, dryRun: true })
        assert.include(dry.removed, orphan)
        assert.include(yield* data(prefix), "f0.parquet")
        const fresh = `${prefix}/data/fresh.parquet`
        yield* store.put(fresh, new Uint8Array(1))
        const done = yield* Maintenance.removeOrphans(table, { grace: 40 })
        assert.deepStrictEqual(done, { removed: dry.removed, waiting: [fresh] })
        assert.deepStrictEqual(yield* data(prefix), [...live, "f4.parquet", "fresh.parquet", "notes.txt"].sort())
        const newest = yield* FileCatalog.load({ prefix })
        assert.deepStrictEqual(newest.metadata, again.metadata)
        for (const snapshot of newest.metadata.snapshots!)
          yield* Table.scan(newest, { snapshotId: snapshot["snapshot-id"] })
      })
    )

    for (const [point, version] of points) {
      it.effect(`killed at ${point}: committed, and every snapshot is whole`, () =>
        Effect.gen(function* () {
          const prefix = `expire-killed/${point}`
          const table = yield* base(prefix)
          yield* Effect.sleep(5)
          const exit = yield* Effect.exit(Maintenance.expireSnapshots(table, all).pipe(dieAt(point)))
          assert.isTrue(Exit.isFailure(exit))
          const loaded = yield* FileCatalog.load({ prefix })
          assert.strictEqual(loaded.version, version)
          assert.strictEqual(loaded.metadata.snapshots!.length, 1)
          assert.deepStrictEqual(yield* paths(loaded), ["f1", "f2", "f3", "f5", "m"])
          assert.deepStrictEqual(yield* data(prefix), before)
        })
      )
    }
  })
}

describe("ExpirePlan", () => {
  /** A history, oldest first: operation of snapshot i + 1, committed at 100 (i + 1), each the parent of the next. */
  const history = (operations: ReadonlyArray<string>): Metadata.TableMetadata => ({
    "format-version": 2,
    "table-uuid": "u",
    location: "s3://b/t",
    "last-sequence-number": operations.length,
    "last-updated-ms": 1000,
    "last-column-id": 1,
    "current-schema-id": 0,
    schemas: [],
    "default-spec-id": 0,
    "partition-specs": [],
    "last-partition-id": 999,
    "default-sort-order-id": 0,
    "sort-orders": [],
    "current-snapshot-id": operations.length,
    snapshots: operations.map((operation, i) => ({
      "snapshot-id": i + 1,
      ...(i === 0 ? {} : { "parent-snapshot-id": i }),
      "sequence-number": i + 1,
      "timestamp-ms": 100 * (i + 1),
      "manifest-list": `l${i + 1}`,
      summary: { operation }
    })),
    refs: { main: { "snapshot-id": operations.length, type: "branch" } }
  })
  const appends = history(["append", "append", "append", "append", "append", "append"])

  it("keeps by age and by count", () => {
    assert.deepStrictEqual(ExpirePlan.plan(appends, { olderThan: 10_000, retainLast: 1 }), [1, 2, 3, 4, 5])
    assert.deepStrictEqual(ExpirePlan.plan(appends, { olderThan: 10_000, retainLast: 4 }), [1, 2])
    assert.deepStrictEqual(ExpirePlan.plan(appends, { olderThan: 300, retainLast: 1 }), [1, 2])
    assert.deepStrictEqual(ExpirePlan.plan(appends, { olderThan: 0, retainLast: 1 }), [])
    assert.deepStrictEqual(
      ExpirePlan.plan({ ...appends, "current-snapshot-id": -1, refs: {} }, { olderThan: 300, retainLast: 1 }),
      [1, 2]
    )
  })

  it("keeps what branches and tags name, and as many as a branch asks for", () => {
    const refs = {
      ...appends.refs,
      old: { "snapshot-id": 1, type: "tag" },
      side: { "snapshot-id": 4, type: "branch", "min-snapshots-to-keep": 2 }
    }
    assert.deepStrictEqual(ExpirePlan.plan({ ...appends, refs }, { olderThan: 10_000, retainLast: 1 }), [2, 5])
  })

  it("keeps the snapshots back to the last that changed rows", () => {
    const metadata = history(["append", "append", "replace", "replace"])
    assert.deepStrictEqual(ExpirePlan.plan(metadata, { olderThan: 10_000, retainLast: 1 }), [1])
  })

  it("drops the log up to the last one that goes, and its statistics", () => {
    const metadata = {
      ...appends,
      "snapshot-log": [1, 2, 4, 6].map((id) => ({ "snapshot-id": id, "timestamp-ms": id })),
      statistics: [{ "snapshot-id": 2 }, { "snapshot-id": 4 }]
    }
    const next = ExpirePlan.without(metadata, [1, 2, 3], 5000, "v1")
    assert.deepStrictEqual(
      next["snapshot-log"]!.map((entry) => entry["snapshot-id"]),
      [4, 6]
    )
    assert.deepStrictEqual((next as { readonly statistics?: unknown }).statistics, [{ "snapshot-id": 4 }])
    assert.strictEqual(next["last-updated-ms"], 5000)
    assert.deepStrictEqual(next["metadata-log"], [{ "metadata-file": "v1", "timestamp-ms": 1000 }])
  })
})
