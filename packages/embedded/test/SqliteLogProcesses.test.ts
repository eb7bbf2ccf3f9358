/** The embedded log under several processes, and under SIGKILL. */
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { SqliteLog, SqliteViewStore } from "@headrace/embedded"
import { Effect, Random } from "effect"
import { child, folder, valuesOf } from "./fixtures.ts"

describe("Processes", () => {
  it.live("takes appends of several processes at once, each whole and in its order", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "new", "log.db")
      const tags = ["a", "b"]
      const count = 100
      const log = yield* SqliteLog.make({ path })
      yield* log.createTopic("t", { partitions: 1 })
      const children = yield* Effect.forEach(tags, (tag) => child("append", path, "t", tag, `${count}`, "5", "0"))
      for (const one of children) yield* one.line("ready")
      for (const one of children) yield* one.send("go")
      for (const one of children) assert.strictEqual(yield* Effect.andThen(one.line("done"), one.ended), 0)
      const values = (yield* valuesOf(log, 0)).map((value) =>
        value!.split(" ").map((part, i) => (i === 0 ? part : Number(part)))
      )
      for (let i = 0; i < values.length; i += 5)
        assert.deepStrictEqual(
          values.slice(i, i + 5),
          [0, 1, 2, 3, 4].map((n) => [values[i]![0], values[i]![1], n])
        )
      const whole = values.filter((_, i) => i % 5 === 0)
      for (const tag of tags)
        assert.deepStrictEqual(
          whole.filter((v) => v[0] === tag).map((v) => v[1]),
          Array.from({ length: count }, (_, n) => n)
        )
    })
  )

  it.live("lets several processes make one file at once", () =>
    Effect.gen(function* () {
      const made = yield* folder
      const children = yield* Effect.forEach([0, 1], () => child("register", made, "25"))
      for (const one of children) yield* one.line("ready")
      for (const one of children) yield* one.send("go")
      for (const one of children) assert.strictEqual(yield* Effect.andThen(one.line("done"), one.ended), 0)
      for (let i = 0; i < 25; i++) {
        const store = yield* SqliteViewStore.make({ path: join(made, `${i}`, "views.db") })
        const info = yield* store.version("v", 1)
        assert.deepInclude(info, { status: "ready", promoted: true })
        assert.deepStrictEqual(
          info.positions.map((p) => p.next),
          [i]
        )
        assert.deepStrictEqual(yield* store.promotions("v"), [1])
      }
    })
  )

  it.live("has whole appends alone after a SIGKILL, and all that were acknowledged", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const log = yield* SqliteLog.make({ path })
      yield* log.createTopic("t", { partitions: 1 })
      const records = 40
      let end = 0
      for (let round = 0; round < 3; round++) {
        const one = yield* child("append", path, "t", `r${round}`, "-1", `${records}`, "3000")
        yield* one.line("ready")
        yield* one.send("go")
        yield* one.line(`${yield* Random.nextIntBetween(0, 12)}`)
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 8))
        yield* one.kill
        yield* one.ended
        const acknowledged = one.lines().filter((line) => line !== "ready").length
        const { end: now } = (yield* log.describe("t")).partitions[0]!
        const found = (yield* valuesOf(log, end, now)).map((value) => value!.trimEnd())
        assert.strictEqual(found.length % records, 0)
        assert.isAtLeast(found.length / records, acknowledged)
        assert.deepStrictEqual(
          found,
          Array.from({ length: found.length }, (_, i) => `r${round} ${Math.floor(i / records)} ${i % records}`)
        )
        end = now
      }
    })
  )
})
