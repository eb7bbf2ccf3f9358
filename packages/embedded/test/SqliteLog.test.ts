import { copyFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { crc32 } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import * as Records from "@headrace/core/contract/Records"
import type { Service } from "@headrace/core/EventLog"
import { SqliteLog, SqliteViewStore } from "@headrace/embedded"
import { Effect, Stream } from "effect"
import { folder, numbered, texts, valuesOf } from "./fixtures.ts"

/** Opens a log for the effect alone. */
const using = <A, E, R>(path: string, use: (log: Service) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(SqliteLog.make({ path }), use))

/** Changes a file as no log would. */
const tamper = (path: string, change: (db: DatabaseSync) => void) =>
  Effect.sync(() => {
    const db = new DatabaseSync(path)
    try {
      change(db)
    } finally {
      db.close()
    }
  })

describe("SqliteLog", () => {
  it.live("is there as it was when it is opened again", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const before = yield* using(path, (log) =>
        Effect.gen(function* () {
          yield* log.createTopic("t", { partitions: 2 })
          yield* log.append("t", 1, numbered(0, 20_000))
          yield* log.deleteBefore("t", 1, 12_345)
          return yield* log.topics
        })
      )
      yield* using(path, (log) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* log.topics, before)
          assert.deepStrictEqual(yield* valuesOf(log, 12_345, 20_000, 1), texts(12_345, 20_000))
          assert.deepStrictEqual(yield* log.append("t", 1, numbered(0, 1)), { base: 20_000, next: 20_001 })
        })
      )
    })
  )

  it.live("keeps timestamps before 1970 and far apart", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const timestamps = [-62135596800000, -1, 0, 1, 2 ** 32, 253402300799999]
      yield* using(path, (log) =>
        Effect.gen(function* () {
          yield* log.createTopic("t", { partitions: 1 })
          for (const some of [timestamps, timestamps.slice(0, 3), timestamps.slice(1, 4)]) {
            const { base } = yield* log.append(
              "t",
              0,
              Records.toBatch(some.map((t) => ({ key: null, value: null, timestamp: t, headers: [] })))
            )
            const [batch] = yield* Stream.runCollect(log.read({ topic: "t", partition: 0, from: base }))
            assert.deepStrictEqual([...batch!.timestamps], some)
          }
        })
      )
    })
  )

  it.live("takes back the space of removed records for later appends", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const log = yield* SqliteLog.make({ path })
      yield* log.createTopic("t", { partitions: 1 })
      let next = 0
      const pages = () => {
        const db = new DatabaseSync(path, { readOnly: true })
        const { page_count } = db.prepare("PRAGMA page_count").get() as { readonly page_count: number }
        db.close()
        return page_count
      }
      const seen: Array<number> = []
      for (let round = 0; round < 4; round++) {
        // More rows than go in one transaction.
        for (let i = 0; i < 150; i++) next = (yield* log.append("t", 0, numbered(next, next + 200))).next
        yield* log.deleteBefore("t", 0, next)
        seen.push(pages())
      }
      assert.isAtMost(seen[3]!, 1.5 * seen[0]!)
      const db = new DatabaseSync(path, { readOnly: true })
      assert.deepStrictEqual(db.prepare("SELECT count(*) AS n FROM batches").get()?.["n"], 0)
      db.close()
    })
  )

  it.live("names the damaged offsets, and gives all others", () =>
    Effect.gen(function* () {
      const made = yield* folder
      // Rows that are read one by one, and rows that are put together.
      for (const size of [2_000, 40]) {
        const path = join(made, `${size}.db`)
        yield* using(path, (log) =>
          Effect.gen(function* () {
            yield* log.createTopic("t", { partitions: 2 })
            for (const n of [0, 1, 2]) yield* log.append("t", 1, numbered(n * size, (n + 1) * size))
          })
        )
        const change =
          (sql: string, alter: (data: Uint8Array) => Uint8Array, checked = false) =>
          (db: DatabaseSync) => {
            const row = db.prepare(`SELECT data, checksum FROM batches WHERE base = ${size}`).get() as {
              readonly data: Uint8Array
              readonly checksum: number
            }
            const data = alter(Uint8Array.from(row.data))
            db.prepare(sql).run(data, checked ? crc32(data) : row.checksum)
          }
        const set = `UPDATE batches SET data = ?, checksum = ? WHERE base = ${size}`
        const flip = (at: number) => (data: Uint8Array) => data.with(at, data[at]! ^ 1)
        const damages: ReadonlyArray<readonly [string, (db: DatabaseSync) => void]> = [
          ["a bit of the header", change(set, flip(5))],
          ["a bit of the data", change(set, flip(10 * size))],
          ["cut", change(set, (data) => data.subarray(0, 5 * size))],
          ["empty", change(set, () => new Uint8Array())],
          ["cut, with a checksum that fits", change(set, (data) => data.subarray(0, 5 * size), true)],
          ["shorter than its header", change(set, (data) => data.subarray(0, 9), true)],
          ["another row's", change(set, () => Uint8Array.from([1]), true)],
          ["offsets of another batch", change(set, (data) => data.with(15, data[15]! ^ 1), true)],
          ["gone", (db) => db.exec(`DELETE FROM batches WHERE base = ${size}`)]
        ]
        for (const [i, [what, damage]] of damages.entries()) {
          const copy = join(made, `${size}-${i}.db`)
          copyFileSync(path, copy)
          yield* tamper(copy, damage)
          yield* using(copy, (log) =>
            Effect.gen(function* () {
              const good: Array<string | null> = []
              const failed = yield* Stream.runForEach(log.read({ topic: "t", partition: 1, from: 0 }), (batch) =>
                Effect.sync(() => void good.push(...Records.ofBatch(batch).map((r) => Records.textOf(r.value))))
              ).pipe(Effect.flip)
              assert.deepStrictEqual(good, texts(0, size), what)
              assert.deepInclude(failed.reason, { _tag: "StorageFailed", kind: "corrupt", path: copy }, what)
              for (const part of ['topic "t" partition 1', `[${size}, ${2 * size})`, copy, "damaged"])
                assert.include(failed.message, part, what)
              assert.deepStrictEqual(yield* valuesOf(log, 2 * size, 3 * size, 1), texts(2 * size, 3 * size), what)
            })
          )
        }
      }
    })
  )

  it.live("reports a damaged file as corrupt", () =>
    Effect.gen(function* () {
      const made = yield* folder
      const path = join(made, "log.db")
      yield* using(path, (log) =>
        Effect.gen(function* () {
          yield* log.createTopic("t", { partitions: 1 })
          for (let i = 0; i < 50; i++) yield* log.append("t", 0, numbered(i * 2_000, i * 2_000 + 2_000))
        })
      )
      const whole = readFileSync(path)
      const openAndRead = (file: string) =>
        Effect.flip(using(file, (log) => Effect.andThen(log.topics, valuesOf(log, 0))))
      const text = join(made, "text.db")
      writeFileSync(text, "this is a text, and no database at all".repeat(100))
      const cut = join(made, "cut.db")
      writeFileSync(cut, whole.subarray(0, whole.length / 2))
      for (const file of [text, cut]) {
        const failed = yield* openAndRead(file)
        assert.deepInclude(failed.reason, { _tag: "StorageFailed", kind: "corrupt", path: file })
      }
    })
  )

  it.live("refuses files of newer and older formats and of others, and leaves them alone", () =>
    Effect.gen(function* () {
      const made = yield* folder
      const log = join(made, "log.db")
      yield* using(log, (l) => l.createTopic("t", { partitions: 1 }))
      const store = join(made, "views.db")
      yield* Effect.scoped(SqliteViewStore.make({ path: store }))
      const other = join(made, "other.db")
      yield* tamper(other, (db) => db.exec("PRAGMA user_version = 7; CREATE TABLE songs (title TEXT)"))
      const plain = join(made, "plain.db")
      yield* tamper(plain, (db) => db.exec("CREATE TABLE songs (title TEXT)"))
      const versioned = (name: string, version: number, from: string) =>
        Effect.gen(function* () {
          const path = join(made, name)
          copyFileSync(from, path)
          yield* tamper(path, (db) => db.exec(`PRAGMA user_version = ${version}`))
          return path
        })
      const newer = yield* versioned("newer.db", 99, log)
      const older = yield* versioned("older.db", 1, log)
      const newerStore = yield* versioned("newer-views.db", 99, store)

      const makeLog = (path: string) => Effect.flip(Effect.scoped(SqliteLog.make({ path })))
      const makeStore = (path: string) => Effect.flip(Effect.scoped(SqliteViewStore.make({ path })))
      for (const [make, path, tag, part] of [
        [makeLog, newer, "NewerFormat", "format 99"],
        [makeLog, older, "StorageFailed", "format 1"],
        [makeLog, store, "StorageFailed", "another"],
        [makeLog, other, "StorageFailed", "another"],
        [makeLog, plain, "StorageFailed", "another"],
        [makeStore, newerStore, "NewerFormat", "format 99"],
        [makeStore, log, "StorageFailed", "another"],
        [makeStore, other, "StorageFailed", "another"]
      ] as const) {
        const before = readFileSync(path)
        const failed = yield* make(path)
        assert.strictEqual(failed.reason._tag, tag, path)
        assert.include(failed.message, part)
        assert.include(failed.message, path)
        assert.isTrue(readFileSync(path).equals(before), path)
      }
      yield* using(log, (l) =>
        Effect.gen(function* () {
          yield* l.append("t", 0, numbered(0, 1))
          yield* tamper(log, (db) => {
            const { data } = db.prepare("SELECT data FROM batches").get() as { readonly data: Uint8Array }
            const changed = Uint8Array.from(data).with(0, 2)
            db.prepare("UPDATE batches SET data = ?, checksum = ?").run(changed, crc32(changed))
          })
          const failed = yield* Effect.flip(valuesOf(l, 0))
          assert.deepInclude(failed.reason, { _tag: "NewerFormat", found: 2, supported: 1 })
        })
      )
    })
  )
})
