import { existsSync, readdirSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import { Decimal } from "@headrace/core"
import { partialsOf, rowsOf, spec } from "@headrace/core/contract/Partials"
import type { Commit, Service, VersionSpec } from "@headrace/core/ViewStore"
import { CommitPoint, SqliteViewStore } from "@headrace/embedded"
import { Effect, Exit, Stream } from "effect"
import * as fc from "fast-check"
import { child, folder } from "./fixtures.ts"

const topic = { id: "topic-1", starts: [{ partition: 0, offset: 0 }] }

const inputs = (amounts: ReadonlyArray<bigint | null>) =>
  amounts.map((amount, i) => ({ key: "a", place: i % 3, window: 0, amount, user: `u${i}` }))

const commitOf = (from: number, next: number, partials = partialsOf(inputs([1n]))): Commit => ({
  from,
  position: {
    partition: 0,
    next,
    maxEventTime: next,
    counts: { read: next, applied: next, filtered: 0, late: 0, deadLettered: 0 }
  },
  partials,
  late: [],
  dead: []
})

const rows = (store: Service, view: string, version: number) => Stream.runCollect(store.rows(view, version))

/** What a plain SQLite client reads. */
const select = (path: string, sql: string) => {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }))
  } finally {
    db.close()
  }
}

/** Counts of one group each, which every commit adds one to. */
const counted = (view: string, version: number): VersionSpec =>
  spec(view, version, {
    keys: [{ name: "k", type: { kind: "integer" } }],
    windowSize: undefined,
    aggregates: [{ name: "n", kind: "count" }]
  })
const groups = Array.from({ length: 50 }, (_, i) => i)
const oneMore = (n: number) =>
  commitOf(n, n + 1, { count: 50, keys: [groups], windows: undefined, values: [groups.map(() => 1)], sets: [] })

describe("SqliteViewStore", () => {
  it.live("is there as it was when it is opened again", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "views.db")
      const all = inputs([1n, 2n, null, -7n])
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const store = yield* SqliteViewStore.make({ path })
          yield* store.register(spec("v", 1), topic)
          const lease = yield* store.acquire("v", 1, "first")
          yield* store.commit(lease, [commitOf(0, 4, partialsOf(all))])
          return { versions: yield* store.versions, epoch: lease.epoch }
        })
      )
      const store = yield* SqliteViewStore.make({ path })
      assert.deepStrictEqual(yield* store.versions, before.versions)
      assert.deepStrictEqual(yield* rows(store, "v", 1), rowsOf(all))
      assert.isAbove((yield* store.acquire("v", 1, "second")).epoch, before.epoch)
    })
  )

  it.live("shows decimals as numbers, sums exactly beside them, and averages rounded half up", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "views.db")
      const store = yield* SqliteViewStore.make({ path })
      let version = 0
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }), { minLength: 1, maxLength: 8 }),
            fc.nat({ max: 4 }),
            fc.nat({ max: 4 }),
            async (amounts, scale, places) => {
              version++
              const type = { kind: "decimal", scale } as const
              const shown: VersionSpec = spec("v", version, {
                keys: [],
                windowSize: undefined,
                aggregates: [
                  { name: "total", kind: "sum", type },
                  { name: "mean", kind: "avg", type, places }
                ]
              })
              const sum = amounts.reduce((a, b) => a + b, 0n)
              await Effect.runPromise(
                Effect.scoped(
                  Effect.gen(function* () {
                    yield* store.register(shown, topic)
                    const lease = yield* store.acquire("v", version, "the test")
                    const values = [[sum], [sum], [amounts.length]]
                    yield* store.commit(lease, [
                      commitOf(0, 1, { count: 1, keys: [], windows: undefined, values, sets: [] })
                    ])
                    yield* store.ready(lease)
                  })
                )
              )
              const row = select(path, `SELECT * FROM v__v${version}`)[0]!
              const mean = Decimal.average(sum, BigInt(amounts.length), scale, places)
              assert.strictEqual(row["total"], Number(Decimal.format(sum, scale)))
              if (scale > 0) assert.strictEqual(row["total_scaled"], Number(sum))
              assert.strictEqual(row["mean"], Number(Decimal.format(mean, places)))
            }
          ),
          { numRuns: 60 }
        )
      )
    })
  )

  it.live("shows windows by start and end, and the promoted version by the view's name", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "views.db")
      const store = yield* SqliteViewStore.make({ path })
      for (const version of [1, 2]) {
        yield* store.register(spec("v", version), topic)
        const lease = yield* store.acquire("v", version, "the test")
        yield* store.commit(lease, [commitOf(0, 1, partialsOf(inputs([BigInt(version)])))])
        assert.strictEqual(select(path, "SELECT * FROM sqlite_schema WHERE name = 'v__v2'").length, 0)
        if (version === 2) yield* store.ready(lease)
      }
      const row = { key: "a", place: 0, window_start: 0, window_end: 60_000, n: 1, users: 1, amounts: 1 }
      assert.deepInclude(select(path, "SELECT * FROM v")[0], { ...row, total: 0.01, total_scaled: 1 })
      yield* store.promote("v", 2)
      assert.deepInclude(select(path, "SELECT * FROM v")[0], { ...row, total: 0.02, total_scaled: 2, mean: 0.02 })
      assert.deepInclude(select(path, "SELECT * FROM v__v1")[0], { total: 0.01 })
    })
  )

  it.live("commits all or nothing, wherever it is cut off", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "views.db")
      for (const at of ["after-positions", "before-commit"] as const) {
        let cut = true
        const store = yield* SqliteViewStore.make({ path }).pipe(
          Effect.provideService(CommitPoint.CommitPoint, (point) => {
            if (cut && point === at) throw new Error("cut off")
          })
        )
        const view = at === "before-commit" ? "b" : "a"
        yield* store.register(spec(view, 1), topic)
        const lease = yield* store.acquire(view, 1, "the test")
        const commit = commitOf(0, 1)
        const dead = [
          { offset: 0, reason: "not-json", detail: "", timestamp: null, key: null, value: null, headers: "[]" }
        ]
        assert.isTrue(Exit.isFailure(yield* Effect.exit(store.commit(lease, [{ ...commit, dead }]))))
        assert.strictEqual((yield* store.version(view, 1)).positions[0]!.next, 0)
        assert.deepStrictEqual(yield* rows(store, view, 1), [])
        assert.deepStrictEqual(yield* Stream.runCollect(store.dead(view, 1)), [])
        cut = false
        yield* store.commit(lease, [{ ...commit, dead }])
        assert.deepStrictEqual(yield* rows(store, view, 1), rowsOf(inputs([1n])))
      }
    })
  )

  it.live("writes in its new shape what another process dropped and made anew", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "views.db")
      const ours = yield* SqliteViewStore.make({ path })
      const theirs = yield* SqliteViewStore.make({ path })
      for (const version of [1, 2]) yield* ours.register(spec("v", version), topic)
      const old = yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* ours.acquire("v", 2, "ours")
          yield* ours.commit(lease, [commitOf(0, 1)])
          return lease
        })
      )
      yield* theirs.drop("v", 2)
      yield* theirs.register(counted("v", 2), topic)
      assert.strictEqual((yield* Effect.flip(ours.commit(old, [commitOf(0, 1)]))).reason._tag, "Fenced")
      const lease = yield* ours.acquire("v", 2, "ours")
      yield* ours.commit(lease, [oneMore(0)])
      assert.deepStrictEqual(
        yield* rows(theirs, "v", 2),
        groups.map((k) => [k, 1])
      )
    })
  )

  it.live("closes the connection of a read that ends, fails or is given up", () =>
    Effect.gen(function* () {
      const made = yield* folder
      const path = join(made, "views.db")
      const store = yield* SqliteViewStore.make({ path })
      yield* store.register(counted("v", 1), topic)
      const lease = yield* store.acquire("v", 1, "the test")
      const many = Array.from({ length: 10_000 }, (_, i) => i)
      yield* store.commit(lease, [
        commitOf(0, 1, { count: 10_000, keys: [many], windows: undefined, values: [many.map(() => 1)], sets: [] })
      ])
      /** Open files of the store: none on a system without /proc. */
      const open = () => {
        if (!existsSync("/proc/self/fd")) return 0
        return readdirSync("/proc/self/fd").filter((fd) => {
          const link = `/proc/self/fd/${fd}`
          return existsSync(link) && readlinkSync(link).startsWith(made)
        }).length
      }
      yield* rows(store, "v", 1)
      const before = open()
      for (let i = 0; i < 10; i++) {
        yield* rows(store, "v", 1)
        yield* Stream.runDrain(Stream.take(store.rows("v", 1), 1))
        yield* Effect.exit(Stream.runForEach(store.rows("v", 1), () => Effect.fail("given up")))
        yield* Effect.flip(rows(store, "v", 9))
      }
      assert.isAtMost(open(), before)
      // A read that were still open would keep the write-ahead log from being emptied.
      const db = new DatabaseSync(path)
      db.exec("PRAGMA busy_timeout = 0")
      assert.deepStrictEqual(
        { ...db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() },
        { busy: 0, log: 0, checkpointed: 0 }
      )
      db.close()
    })
  )

  it.live("is held by a process until that dies", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "views.db")
      const store = yield* SqliteViewStore.make({ path })
      for (const version of [1, 2]) yield* store.register(spec("v", version), topic)
      const zombie = yield* Effect.scoped(store.acquire("v", 1, "the zombie"))
      const holder = yield* child("lock", path, "v", "1")
      const epoch = Number((yield* holder.line("ready")).split(" ")[1])
      assert.isAbove(epoch, zombie.epoch)
      const refused = yield* Effect.flip(Effect.scoped(store.acquire("v", 1, "me")))
      assert.strictEqual(refused.reason._tag, "LockedBy")
      assert.match(refused.message, /version 1 of view "v" is being written by process \d+/)
      yield* Effect.scoped(store.acquire("v", 2, "me"))
      const fenced = yield* Effect.flip(store.commit(zombie, [commitOf(0, 1)]))
      assert.strictEqual(fenced.reason._tag, "Fenced")
      yield* holder.kill
      yield* holder.ended
      const lease = yield* store.acquire("v", 1, "me")
      assert.isAbove(lease.epoch, epoch)
      yield* store.commit(lease, [commitOf(0, 1)])
    })
  )

  it.live("fails no read of another process, and shows it no half state, while commits and promotions go on", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "views.db")
      const store = yield* SqliteViewStore.make({ path })
      const leases = yield* Effect.forEach([1, 2], (version) =>
        Effect.andThen(store.register(counted("v", version), topic), store.acquire("v", version, "the test"))
      )
      let n = 0
      const both = Effect.suspend(() =>
        Effect.andThen(
          Effect.forEach(leases, (lease) => store.commit(lease, [oneMore(n)]), { discard: true }),
          Effect.sync(() => void n++)
        )
      )
      yield* both
      yield* store.ready(leases[1]!)
      const readers = yield* Effect.forEach(["v", "v", "v__v1"], (name) => child("read", path, name))
      for (const reader of readers) yield* reader.line("ready")
      for (let i = 0; i < 250; i++) {
        yield* both
        yield* store.promote("v", 1 + (i % 2))
        yield* Effect.sleep(i % 5 === 0 ? 2 : 0)
      }
      for (const reader of readers) {
        yield* reader.send("stop")
        const counts = JSON.parse((yield* reader.line("counts")).slice(7)) as Readonly<Record<string, unknown>>
        assert.deepInclude(counts, { failed: 0, half: 0, error: "" })
        assert.isAbove(counts["reads"] as number, 20)
      }
      assert.deepStrictEqual(select(path, "SELECT DISTINCT n FROM v"), [{ n }])
    })
  )
})
