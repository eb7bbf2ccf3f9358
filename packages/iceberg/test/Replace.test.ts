/** Replacing files by others with the same rows: the rows of COMMIT.md for it, what conflicts, and races with appends. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Commit, FileCatalog, ManifestList, Metadata, type NewFile, type Point, Scan, Table } from "@headrace/iceberg"
import { MemoryObjectStore, ObjectStore, ObjectStoreError, Unknown } from "@headrace/s3"
import { Effect, Exit, Layer } from "effect"
import { appendEach, create, dieAt, drivers, file, orphans, paths } from "./fixtures.ts"

/** A file with the rows of some of the fixture's files, which share a partition. */
const merged = (name: string, ...of: ReadonlyArray<number>): NewFile => {
  const first = file(of[0]!, name)
  return { ...first, summary: { ...first.summary, rowCount: 10 * of.length } }
}

const tasks = (table: Table.Table, ...names: ReadonlyArray<string>) =>
  Effect.map(Table.scan(table), (all) =>
    all.filter((task: Scan.FileTask) => names.some((name) => task.file.path.endsWith(`/${name}.parquet`)))
  )

/** All entries of the current snapshot's manifests, as text. */
const entries = (table: Table.Table) =>
  Effect.gen(function* () {
    const out: Array<string> = []
    for (const manifest of yield* Table.manifests(table, Metadata.currentSnapshot(table.metadata)!)) {
      for (const entry of yield* Table.entries(table, Scan.layout(table.metadata), manifest)) {
        const name = /([^/]+)\.parquet$/.exec(entry.file.path)![1]!
        out.push(`${entry.status} ${name} ${entry.sequenceNumber}/${entry.fileSequenceNumber}`)
      }
    }
    return out.sort()
  })

const points: ReadonlyArray<readonly [Point, committed: boolean, orphans: number]> = [
  ["after-data", false, 0],
  ["after-manifest", false, 2],
  ["after-merge", false, 3],
  ["after-manifest-list", false, 4],
  ["after-metadata", true, 0],
  ["after-hint", true, 0]
]

for (const [name, driver] of drivers) {
  layer(driver, { excludeTestServices: true })(`Commit.replace on ${name}`, (it) => {
    it.effect("removes and adds in one snapshot; carried files keep their sequence numbers", () =>
      Effect.gen(function* () {
        const base = yield* Commit.append(yield* create("statuses"), { files: [file(0), file(4), file(1)] })
        const before = yield* Commit.append(base, { files: [file(8), file(2)] })
        const table = yield* Commit.replace(before, {
          removed: yield* tasks(before, "f0", "f8"),
          added: [merged("m", 0, 8)],
          summary: { why: "small files" },
          setProperties: (id) => ({ replaced: `${id}` })
        })
        assert.deepStrictEqual(yield* entries(table), [
          "added m 3/3",
          "deleted f0 1/1",
          "deleted f8 2/2",
          "existing f1 1/1",
          "existing f2 2/2",
          "existing f4 1/1"
        ])
        assert.deepStrictEqual((yield* paths(table)).sort(), ["f1", "f2", "f4", "m"])
        const snapshot = Metadata.currentSnapshot(table.metadata)!
        assert.strictEqual(Metadata.property(table.metadata, "replaced"), `${snapshot["snapshot-id"]}`)
        const { summary } = snapshot
        assert.deepInclude(summary, {
          operation: "replace",
          why: "small files",
          "added-data-files": "1",
          "added-records": "20",
          "deleted-data-files": "2",
          "deleted-records": "20",
          "removed-files-size": "2008",
          "total-data-files": "4",
          "total-records": "50"
        })
        // The files that it removed stay readable in the snapshot before, and are gone from the entries after the next commit.
        const parent = { snapshotId: snapshot["parent-snapshot-id"]! }
        assert.deepStrictEqual((yield* paths(table, parent)).sort(), ["f0", "f1", "f2", "f4", "f8"])
        const next = yield* Commit.append(table, { files: [file(3)], manifestLimit: 1 })
        assert.deepStrictEqual(yield* entries(next), [
          "added f3 4/4",
          "existing f1 1/1",
          "existing f2 2/2",
          "existing f4 1/1",
          "existing m 3/3"
        ])
        assert.deepStrictEqual(yield* orphans(next), [])
      })
    )

    for (const [point, committed, left] of points) {
      it.effect(`killed at ${point}: ${committed ? "committed" : "nothing happened"}, and the restart goes on`, () =>
        Effect.gen(function* () {
          const prefix = `replace-killed/${point}`
          const table = yield* appendEach(yield* create(prefix), 0, 5)
          const removed = yield* tasks(table, "f0", "f4")
          const start = yield* Commit.append(table, { files: [file(5)], manifestLimit: 3 })
          const more = yield* appendEach(start, 6, 9)
          const replace = (base: Table.Table) =>
            Commit.replace(base, { removed, added: [merged("m", 0, 4)], manifestLimit: 3 })
          assert.isTrue(Exit.isFailure(yield* Effect.exit(replace(more).pipe(dieAt(point)))))
          const restarted = yield* FileCatalog.load({ prefix })
          assert.strictEqual(restarted.version, committed ? 11 : 10)
          const rest = ["f1", "f2", "f3", "f5", "f6", "f7", "f8"]
          const old = ["f0", ...rest.slice(0, 3), "f4", ...rest.slice(3)]
          assert.deepStrictEqual(yield* paths(restarted), committed ? [...rest, "m"] : old)
          assert.strictEqual((yield* orphans(restarted)).length, left)
          if (committed) {
            const again = yield* Effect.flip(replace(restarted))
            assert.strictEqual(again.reason._tag, "CommitConflict")
          } else yield* replace(restarted)
          assert.deepStrictEqual(yield* paths(yield* FileCatalog.load({ prefix })), [...rest, "m"])
        })
      )
    }

    it.effect("goes on over appends, and gives up when an input is gone, leaving nothing", () =>
      Effect.gen(function* () {
        const prefix = "replace-conflict"
        const stale = yield* appendEach(yield* create(prefix), 0, 9)
        yield* Commit.append(stale, { files: [file(9)] })
        const first = yield* Commit.replace(stale, {
          removed: yield* tasks(stale, "f0", "f4"),
          added: [merged("m", 0, 4)]
        })
        assert.deepStrictEqual((yield* paths(first)).sort(), ["f1", "f2", "f3", "f5", "f6", "f7", "f8", "f9", "m"])
        const error = yield* Effect.flip(
          Commit.replace(stale, { removed: yield* tasks(stale, "f4", "f8"), added: [merged("n", 4, 8)] })
        )
        assert.strictEqual(error.reason._tag, "CommitConflict")
        assert.include(error.message, "f4.parquet that it replaces isn't in the table any more")
        const loaded = yield* FileCatalog.load({ prefix })
        assert.deepStrictEqual(loaded.metadata, first.metadata)
        assert.deepStrictEqual(yield* orphans(loaded), [])
      })
    )

    it.effect("8 writers append while one replaces: all rows once, in one linear history", () =>
      Effect.gen(function* () {
        const prefix = "replace-race"
        const rounds = 5
        yield* create(prefix)
        const writer = (w: number) =>
          Effect.gen(function* () {
            let table = yield* FileCatalog.load({ prefix })
            for (let i = 0; i < rounds; i++) table = yield* Commit.append(table, { files: [file(i * 8 + w)] })
          })
        const replacer = Effect.gen(function* () {
          let replaced = 0
          for (let turn = 0; replaced < 6; turn++) {
            const table = yield* FileCatalog.load({ prefix })
            const all = yield* Table.scan(table)
            const partition = turn % 4
            const removed = all.filter((task) => task.file.partition["__partition"] === partition).slice(0, 3)
            const rowCount = removed.reduce((rows, task) => rows + task.file.recordCount, 0)
            if (removed.length < 2) yield* Effect.sleep(1)
            else {
              const made = file(partition, `m${turn}`)
              yield* Commit.replace(table, {
                removed,
                added: [{ ...made, summary: { ...made.summary, rowCount } }],
                manifestLimit: 5
              })
              replaced++
            }
          }
        })
        yield* Effect.all([replacer, ...Array.from({ length: 8 }, (_, w) => writer(w))], { concurrency: "unbounded" })
        const table = yield* FileCatalog.load({ prefix })
        assert.strictEqual(table.version, 1 + 8 * rounds + 6)
        const live = yield* Table.scan(table)
        assert.strictEqual(
          live.reduce((rows, task) => rows + task.file.recordCount, 0),
          80 * rounds
        )
        const snapshots = table.metadata.snapshots!
        let records = 0
        snapshots.forEach((snapshot, i) => {
          assert.strictEqual(snapshot["parent-snapshot-id"], snapshots[i - 1]?.["snapshot-id"])
          records += snapshot.summary["operation"] === "append" ? 10 : 0
          assert.strictEqual(snapshot.summary["total-records"], `${records}`)
        })
        assert.strictEqual(live.length, Number(snapshots.at(-1)!.summary["total-data-files"]))
        assert.deepStrictEqual(yield* orphans(table), [])
      })
    )
  })
}

describe("Commit.replace", () => {
  it.effect("refuses what isn't a replace, and leaves nothing", () =>
    Effect.gen(function* () {
      const table = yield* appendEach(yield* create("t"), 0, 2)
      const removed = yield* tasks(table, "f0")
      const bad = [
        { removed: [], added: [] },
        { removed, added: [] },
        { removed, added: [merged("m", 0, 4)] },
        { removed: [...removed, ...removed], added: [merged("m", 0, 4)] },
        { removed, added: [file(0)] },
        { removed, added: [file(0, "x")], summary: { operation: "append" } }
      ]
      for (const options of bad) {
        const error = yield* Effect.flip(Commit.replace(table, options))
        assert.strictEqual(error.reason._tag, "InvalidInput")
      }
      assert.strictEqual((yield* FileCatalog.load(table)).version, 3)
      assert.deepStrictEqual(yield* orphans(table), [])
    }).pipe(Effect.provide(MemoryObjectStore.layer))
  )

  it.effect("refuses delete files: by name where they were there, as a conflict where they came meanwhile", () =>
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const stale = yield* appendEach(yield* create("t"), 0, 5)
      const removed = yield* tasks(stale, "f0", "f4")
      const parent = Metadata.currentSnapshot(stale.metadata)!
      const [first, ...rest] = yield* Table.manifests(stale, parent)
      const sequenceNumber = stale.metadata["last-sequence-number"] + 1
      const deletes = { ...first!, path: Table.pathOf(stale, "metadata/d.avro"), content: "deletes" as const }
      const manifests = [first!, ...rest, { ...deletes, sequenceNumber }]
      const parentId = parent["snapshot-id"]
      const list = { snapshotId: 7, parentId, sequenceNumber, manifests, sync: new Uint8Array(16) }
      yield* store.put("t/metadata/foreign.avro", ManifestList.write(list))
      const foreign: Metadata.Snapshot = {
        ...parent,
        "snapshot-id": 7,
        "parent-snapshot-id": parentId,
        "sequence-number": sequenceNumber,
        "manifest-list": Table.pathOf(stale, "metadata/foreign.avro")
      }
      yield* FileCatalog.publish(stale, Metadata.withSnapshot(stale.metadata, foreign, {}, "v6"), "7")
      const options = { removed, added: [merged("m", 0, 4)] }
      const meanwhile = yield* Effect.flip(Commit.replace(stale, options))
      assert.strictEqual(meanwhile.reason._tag, "CommitConflict")
      assert.include(meanwhile.message, "metadata/d.avro")
      const known = yield* Effect.flip(Commit.replace(yield* FileCatalog.load(stale), options))
      assert.strictEqual(known.reason._tag, "UnsupportedFormat")
      assert.strictEqual((yield* FileCatalog.load(stale)).version, 7)
    }).pipe(Effect.provide(MemoryObjectStore.layer))
  )

  it.live("recognises its own commit whose response was lost", () =>
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const table = yield* appendEach(yield* create("t"), 0, 5)
      const removed = yield* tasks(table, "f0", "f4")
      const lost = (key: string) =>
        new ObjectStoreError({ reason: new Unknown({ key, operation: "create", cause: new Error("response lost") }) })
      const unreliable = Layer.succeed(ObjectStore, {
        ...store,
        putIfAbsent: (key, bytes) =>
          key.endsWith(".metadata.json")
            ? Effect.andThen(store.putIfAbsent(key, bytes), Effect.fail(lost(key)))
            : store.putIfAbsent(key, bytes)
      })
      const next = yield* Effect.provide(Commit.replace(table, { removed, added: [merged("m", 0, 4)] }), unreliable)
      assert.strictEqual(next.version, 7)
      assert.deepStrictEqual((yield* FileCatalog.load(table)).metadata, next.metadata)
      assert.deepStrictEqual(yield* paths(next), ["f1", "f2", "f3", "m"])
    }).pipe(Effect.provide(MemoryObjectStore.layer))
  )
})
