/** The rows of COMMIT.md, and races. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Commit, FileCatalog, IcebergError, Metadata, type Point, Table } from "@headrace/iceberg"
import { MemoryObjectStore, NoSpace, ObjectStore, ObjectStoreError, type Service, Unknown } from "@headrace/s3"
import { Effect, Exit, Layer } from "effect"
import { appendEach, create, dieAt, drivers, file, orphans, paths } from "./fixtures.ts"

class Fenced extends Error {
  readonly _tag = "Fenced"
}

const points: ReadonlyArray<readonly [Point, committed: boolean, orphans: number]> = [
  ["after-data", false, 0],
  ["after-manifest", false, 1],
  ["after-merge", false, 2],
  ["after-manifest-list", false, 3],
  ["after-metadata", true, 0],
  ["after-hint", true, 0]
]

for (const [name, driver] of drivers) {
  layer(driver, { excludeTestServices: true })(`Commit on ${name}`, (it) => {
    for (const [point, committed, left] of points) {
      it.effect(`killed at ${point}: ${committed ? "committed" : "nothing happened"}, and the restart goes on`, () =>
        Effect.gen(function* () {
          const prefix = `killed/${point}`
          const table = yield* appendEach(yield* create(prefix), 0, 4)
          const append = (i: number) => (base: Table.Table) =>
            Commit.append(base, { files: [file(i)], manifestLimit: 3, setProperties: { at: `${i}` } })
          const exit = yield* Effect.exit(append(4)(table).pipe(dieAt(point)))
          assert.isTrue(Exit.isFailure(exit))
          const restarted = yield* FileCatalog.load({ prefix })
          assert.strictEqual(restarted.version, committed ? 6 : 5)
          assert.strictEqual(Metadata.property(restarted.metadata, "at"), committed ? "4" : undefined)
          const before = ["f0", "f1", "f2", "f3"]
          assert.deepStrictEqual(yield* paths(restarted), committed ? [...before, "f4"] : before)
          assert.strictEqual((yield* orphans(restarted)).length, left)
          const next = yield* append(5)(restarted)
          assert.deepStrictEqual(yield* paths(next), [...before, ...(committed ? ["f4"] : []), "f5"])
          assert.deepStrictEqual(yield* paths(yield* FileCatalog.load({ prefix })), yield* paths(next))
        })
      )
    }

    it.effect("8 writers × 10 appends: all there once, in one linear history", () =>
      Effect.gen(function* () {
        const prefix = "race"
        yield* create(prefix)
        yield* Effect.forEach(
          Array.from({ length: 8 }, (_, i) => i),
          (writer) =>
            Effect.gen(function* () {
              let table = yield* FileCatalog.load({ prefix })
              for (let i = 0; i < 10; i++)
                table = yield* Commit.append(table, {
                  files: [file(writer * 10 + i)],
                  setProperties: { [`w${writer}`]: `${i}` }
                })
            }),
          { concurrency: "unbounded", discard: true }
        )
        const table = yield* FileCatalog.load({ prefix })
        assert.strictEqual(table.version, 81)
        assert.deepStrictEqual((yield* paths(table)).sort(), Array.from({ length: 80 }, (_, i) => `f${i}`).sort())
        const snapshots = table.metadata.snapshots!
        snapshots.forEach((snapshot, i) => {
          assert.strictEqual(snapshot["parent-snapshot-id"], snapshots[i - 1]?.["snapshot-id"])
          assert.strictEqual(snapshot["sequence-number"], i + 1)
          assert.strictEqual(snapshot.summary["total-records"], `${10 * (i + 1)}`)
          if (i > 0) assert.isAtLeast(snapshot["timestamp-ms"], snapshots[i - 1]!["timestamp-ms"])
        })
        for (let writer = 0; writer < 8; writer++)
          assert.strictEqual(Metadata.property(table.metadata, `w${writer}`), "9")
        assert.deepStrictEqual(yield* orphans(table), [])
      })
    )

    it.effect("abandons when validation fails after a conflict, and leaves nothing", () =>
      Effect.gen(function* () {
        const prefix = "fenced"
        const mine = yield* create(prefix)
        const theirs = yield* Commit.append(mine, { files: [file(0)], setProperties: { epoch: "2" } })
        const seen: Array<string | undefined> = []
        const error = yield* Effect.flip(
          Commit.append(mine, {
            files: [file(1)],
            setProperties: { epoch: "1" },
            validate: (current) =>
              Effect.suspend(() => {
                const epoch = Metadata.property(current, "epoch")
                seen.push(epoch)
                return epoch === undefined ? Effect.void : Effect.fail(new Fenced())
              })
          })
        )
        assert.isTrue(error instanceof Fenced)
        assert.deepStrictEqual(seen, [undefined, "2"])
        const table = yield* FileCatalog.load({ prefix })
        assert.deepStrictEqual(table.metadata, theirs.metadata)
        assert.deepStrictEqual(yield* orphans(table), [])
      })
    )

    it.effect("gives up after the retries, and leaves nothing", () =>
      Effect.gen(function* () {
        const prefix = "gives-up"
        const stale = yield* create(prefix)
        yield* Commit.append(stale, { files: [file(0)] })
        const error = yield* Effect.flip(Commit.append(stale, { files: [file(1)], retries: 0 }))
        assert.strictEqual(error.reason._tag, "CommitConflict")
        assert.deepStrictEqual(yield* orphans(yield* FileCatalog.load({ prefix })), [])
      })
    )
  })
}

describe("Commit over an unreliable store", () => {
  const unknown = (key: string) =>
    new ObjectStoreError({ reason: new Unknown({ key, operation: "create", cause: new Error("response lost") }) })
  const isMetadata = (key: string) => key.endsWith(".metadata.json")

  /** A table over a memory store whose `putIfAbsent` of metadata is replaced for the append. */
  const unreliable = <A, E>(
    replace: (store: Service) => Service["putIfAbsent"],
    more: (store: Service) => Partial<Service>,
    use: (table: Table.Table, reliable: Service) => Effect.Effect<A, E, ObjectStore>
  ) =>
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const table = yield* create("t")
      const layer = Layer.succeed(ObjectStore, {
        ...store,
        putIfAbsent: (key, bytes) => (isMetadata(key) ? replace(store)(key, bytes) : store.putIfAbsent(key, bytes)),
        ...more(store)
      })
      return yield* Effect.provide(use(table, store), layer)
    }).pipe(Effect.provide(MemoryObjectStore.layer))

  const append = (table: Table.Table, i = 1) => Commit.append(table, { files: [file(i)] })
  const noMore = () => ({})

  it.live("recognises its own commit whose response was lost", () =>
    unreliable(
      (store) => (key, bytes) => Effect.andThen(store.putIfAbsent(key, bytes), Effect.fail(unknown(key))),
      noMore,
      (table) =>
        Effect.gen(function* () {
          const next = yield* append(table)
          assert.strictEqual(next.version, 2)
          const loaded = yield* FileCatalog.load(table)
          assert.deepStrictEqual(loaded.metadata, next.metadata)
          assert.strictEqual(loaded.metadata.snapshots!.length, 1)
        })
    )
  )

  it.live("recognises its own commit that the client's retry reports as existing", () =>
    unreliable(
      (store) => (key, bytes) => Effect.andThen(store.putIfAbsent(key, bytes), store.putIfAbsent(key, bytes)),
      noMore,
      (table) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* append(table)).version, 2)
          assert.strictEqual((yield* FileCatalog.load(table)).metadata.snapshots!.length, 1)
        })
    )
  )

  it.live("tells another's commit from its own when the response is lost", () => {
    let first = true
    return unreliable(
      (store) => (key, bytes) =>
        Effect.gen(function* () {
          if (!first) return yield* store.putIfAbsent(key, bytes)
          first = false
          const rival = yield* FileCatalog.load({ prefix: "t" })
          yield* append(rival, 7)
          return yield* unknown(key)
        }).pipe(
          Effect.provideService(ObjectStore, store),
          Effect.catchTag("IcebergError", (error) => Effect.die(error))
        ),
      noMore,
      (table) =>
        Effect.gen(function* () {
          const next = yield* append(table)
          assert.deepStrictEqual(yield* paths(next), ["f7", "f1"])
          assert.strictEqual(next.version, 3)
          assert.deepStrictEqual(yield* orphans(next), [])
        })
    )
  })

  it.live("asks again when the lost request never arrived", () => {
    let calls = 0
    return unreliable(
      (store) => (key, bytes) => (calls++ === 0 ? Effect.fail(unknown(key)) : store.putIfAbsent(key, bytes)),
      noMore,
      (table) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* paths(yield* append(table)), ["f1"])
          assert.strictEqual(calls, 2)
        })
    )
  })

  it.live("answers CommitUnknown when nothing settles it, and removes nothing", () => {
    let landed: Effect.Effect<unknown, ObjectStoreError> = Effect.void
    return unreliable(
      (store) => (key, bytes) => {
        landed = store.putIfAbsent(key, bytes)
        return Effect.fail(unknown(key))
      },
      (store) => ({ get: (key) => (key.endsWith("v2.metadata.json") ? Effect.fail(unknown(key)) : store.get(key)) }),
      (table, reliable) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(append(table))
          assert.strictEqual(error.reason._tag, "CommitUnknown")
          // The request arrives late after all: the table must be whole.
          yield* landed
          const later = yield* Effect.provideService(FileCatalog.load(table), ObjectStore, reliable)
          assert.deepStrictEqual(yield* Effect.provideService(paths(later), ObjectStore, reliable), ["f1"])
          assert.include(error.message, `${later.metadata.snapshots![0]!["snapshot-id"]}`)
        })
    )
  })

  it.live("fails and removes what it wrote when the store refuses", () =>
    unreliable(
      () => (key) =>
        Effect.fail(
          new ObjectStoreError({ reason: new NoSpace({ key, operation: "create", cause: new Error("ENOSPC") }) })
        ),
      noMore,
      (table) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(append(table))
          assert.isTrue(error instanceof IcebergError)
          assert.strictEqual(error.reason._tag, "Store")
          const loaded = yield* FileCatalog.load(table)
          assert.strictEqual(loaded.version, 1)
          assert.deepStrictEqual(yield* orphans(loaded), [])
        })
    )
  )

  it.live("commits although the hint can't be written", () =>
    unreliable(
      (store) => store.putIfAbsent,
      () => ({ put: (key) => Effect.fail(unknown(key)) }),
      (table) =>
        Effect.gen(function* () {
          const next = yield* append(yield* append(table), 2)
          assert.deepStrictEqual((yield* FileCatalog.load(table)).metadata, next.metadata)
        })
    )
  )

  it.effect("refuses what can't be written, and leaves nothing", () =>
    Effect.gen(function* () {
      const table = yield* create("t")
      const bad = [
        { files: [{ ...file(1), partition: {} }] },
        { files: [{ ...file(1), partition: { __partition: "1", __arrived_day: 0 } }] },
        { files: [{ ...file(1), partition: { __partition: 1, __arrived_day: 0, other: 1 } }] },
        { files: [{ ...file(1), key: "/data/x" }] },
        { files: [{ ...file(1), key: "data/../x" }] },
        { files: [file(1), file(1)] },
        { files: [{ ...file(1), summary: { ...file(1).summary, rowCount: 0.5 } }] },
        { files: [file(1)], summary: { "total-records": "5" } }
      ]
      for (const options of bad) {
        const error = yield* Effect.flip(Commit.append(table, options))
        assert.strictEqual(error.reason._tag, "InvalidInput")
      }
      assert.strictEqual((yield* FileCatalog.load(table)).version, 1)
      assert.deepStrictEqual(yield* orphans(table), [])
      const empty = yield* Commit.append(table, { files: [], summary: { covered: "0:0-10" } })
      assert.deepStrictEqual(yield* Table.scan(empty), [])
      assert.strictEqual(Metadata.currentSnapshot(empty.metadata)!.summary["covered"], "0:0-10")
    }).pipe(Effect.provide(MemoryObjectStore.layer))
  )
})
