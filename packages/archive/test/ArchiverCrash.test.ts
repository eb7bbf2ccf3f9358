/** The crash table of `Archiver`: death at every write to the store, failures of every one, and lost responses. */
import { assert, describe, it } from "@effect/vitest"
import { Archiver } from "@headrace/archive"
import { Io, ObjectStore, ObjectStoreError, type Service, Unknown } from "@headrace/s3"
import { Cause, Effect, Exit } from "effect"
import * as f from "./fixtures.ts"

/** Where a write stands in the archiver's round. */
type Row = "data file" | "before the commit" | "commit" | "after the commit"

const rowOf = (key: string): Row =>
  key.endsWith(".parquet")
    ? "data file"
    : key.endsWith(".metadata.json")
      ? "commit"
      : key.endsWith(".avro")
        ? "before the commit"
        : "after the commit"

/** Called around each write of an object, and before each deletion; `write` is the write itself. */
type Around = <A>(key: string, write: Effect.Effect<A, ObjectStoreError>) => Effect.Effect<A, ObjectStoreError>

const around = (store: Service, hook: Around): Service => ({
  ...store,
  put: (key, bytes) => hook(key, store.put(key, bytes)),
  putIfAbsent: (key, bytes) => hook(key, store.putIfAbsent(key, bytes)),
  delete: (key) => hook(key, store.delete(key)),
  openWrite: (key) => Effect.map(store.openWrite(key), (writer) => ({ ...writer, finish: hook(key, writer.finish) }))
})

/** A process that dies at its so-many-th write, before it or when it has landed; a dead one writes nothing any more. */
const dying = (store: Service, at: number, landed: boolean) => {
  let writes = 0
  let row: Row | undefined
  const die = Effect.die(new Error("the process died"))
  const hook: Around = (key, write) =>
    Effect.suspend(() => {
      if (row !== undefined) return die
      if (++writes < at) return write
      row = rowOf(key)
      return landed ? Effect.andThen(write, die) : die
    })
  return { store: around(store, hook), row: () => row }
}

const failing = (store: Service, at: number) => {
  let writes = 0
  let row: Row | undefined
  const hook: Around = (key, write) =>
    Effect.suspend(() => {
      if (++writes !== at) return write
      row = rowOf(key)
      const cause = new Error("the disk is on fire")
      return Effect.fail(new ObjectStoreError({ reason: new Io({ key, operation: "write", cause }) }))
    })
  return { store: around(store, hook), row: () => row }
}

const complete = Effect.gen(function* () {
  assert.deepStrictEqual((yield* f.inTable).map(f.bare), yield* f.inLog)
})

/** A log with more than an archive of it, which a round of two files brings up to date. */
const prepare = Effect.gen(function* () {
  yield* f.topic(8, 6)
  yield* f.archive({
    until: new Map([
      [0, 4],
      [1, 3]
    ])
  })
})

const archiveOver = (store: Service) => Effect.provideService(f.archive(), ObjectStore, store)

/** Runs each attempt on a log and archive of their own until one isn't disturbed; gives the rows of the table that were met. */
const each = (
  attempt: (at: number) => Effect.Effect<Row | undefined, unknown, Effect.Services<ReturnType<typeof f.archive>>>
) =>
  Effect.gen(function* () {
    const rows: Array<Row> = []
    for (let at = 1; ; at++) {
      const row = yield* Effect.andThen(prepare, attempt(at)).pipe(Effect.provide(f.memory, { local: true }))
      if (row === undefined) return rows
      rows.push(row)
    }
  })

describe("Archiver, crash table", () => {
  for (const landed of [false, true]) {
    it.effect(
      `dies at any write, ${landed ? "which landed" : "which did not happen"}: the restart makes it whole`,
      () =>
        Effect.gen(function* () {
          const rows = yield* each((at) =>
            Effect.gen(function* () {
              const { row, store } = dying(yield* ObjectStore, at, landed)
              const exit = yield* Effect.exit(archiveOver(store))
              if (row() === undefined) return undefined
              assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.some(Cause.isDieReason))
              const died = row()!
              const committed = died === "after the commit" || (died === "commit" && landed)
              // A reader sees the round whole, or not at all.
              const ends = Array.from((yield* f.holding)!.ranges.values(), (r) => r.end)
              assert.deepStrictEqual(ends, committed ? [8, 6] : [4, 3])
              assert.strictEqual((yield* f.inTable).length, committed ? 14 : 7)
              const { commits, records } = yield* f.archive()
              assert.deepStrictEqual([commits, records], committed ? [0, 0] : [1, 7])
              yield* complete
              // What the dead one had written, and nobody names, is only in nobody's way.
              const { orphans } = yield* f.dataFiles
              assert.strictEqual(orphans.length > 0, !committed && (landed || died !== "data file" || at > 1))
              return died
            })
          )
          assert.deepStrictEqual([...new Set(rows)], ["data file", "before the commit", "commit", "after the commit"])
          assert.strictEqual(rows.filter((row) => row === "data file").length, 2)
        })
    )
  }

  it.effect("fails at any write: nothing is left of the round, and the next run makes it whole", () =>
    Effect.gen(function* () {
      const rows = yield* each((at) =>
        Effect.gen(function* () {
          const { row, store } = failing(yield* ObjectStore, at)
          const exit = yield* Effect.exit(archiveOver(store))
          if (row() === undefined) return undefined
          // The hint is only a cache: a run is whole without it.
          assert.strictEqual(Exit.isFailure(exit), row() !== "after the commit")
          if (Exit.isFailure(exit)) {
            const [error] = exit.cause.reasons.filter(Cause.isFailReason)
            assert.match(error!.error.message, /the archive of topic "orders": .*the disk is on fire/)
          }
          assert.deepStrictEqual((yield* f.dataFiles).orphans, [])
          yield* f.archive()
          yield* complete
          return row()!
        })
      )
      assert.deepStrictEqual([...new Set(rows)], ["data file", "before the commit", "commit", "after the commit"])
    })
  )

  it.effect("is interrupted while it writes: nothing is left of the round", () =>
    Effect.gen(function* () {
      yield* prepare
      let files = 0
      const stopping = around(yield* ObjectStore, (key, write) =>
        rowOf(key) === "data file" && ++files === 2 ? Effect.interrupt : write
      )
      const exit = yield* Effect.exit(archiveOver(stopping))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assert.deepStrictEqual((yield* f.dataFiles).orphans, [])
    }).pipe(Effect.provide(f.memory))
  )
})

describe("Archiver, responses that are lost", () => {
  const unknown = (key: string) =>
    Effect.fail(new ObjectStoreError({ reason: new Unknown({ key, operation: "create", cause: new Error("lost") }) }))

  for (const landed of [false, true]) {
    it.effect(`to the first commit, which ${landed ? "landed" : "never arrived"}: each record is there once`, () =>
      Effect.gen(function* () {
        yield* prepare
        let lost = 0
        const store = around(yield* ObjectStore, (key, write) =>
          rowOf(key) !== "commit" || lost++ > 0 ? write : landed ? Effect.andThen(write, unknown(key)) : unknown(key)
        )
        const { commits, records } = yield* archiveOver(store)
        assert.deepStrictEqual([commits, records, lost], [1, 7, landed ? 1 : 2])
        yield* complete
        assert.deepStrictEqual((yield* f.dataFiles).orphans, [])
      }).pipe(Effect.provide(f.memory))
    )
  }

  it.live(
    "to a commit that lands when it is given up: no file of it is deleted, and the next run goes on behind it",
    () =>
      Effect.gen(function* () {
        yield* prepare
        const calm = yield* ObjectStore
        let late: Effect.Effect<unknown, ObjectStoreError> = Effect.void
        const silent = around(calm, (key, write) => {
          if (rowOf(key) !== "commit") return write
          late = write
          return unknown(key)
        })
        const error = yield* Effect.flip(archiveOver(silent))
        assert.match(error.message, /unknown whether .*v3\.metadata\.json was committed; reload the table/)
        yield* late
        const { commits, records }: Archiver.Report = yield* f.archive()
        assert.deepStrictEqual([commits, records], [0, 0])
        yield* complete
      }).pipe(Effect.provide(f.memory))
  )
})
