/** A table with 10,000 files plans in 2 s and 256 MB. */
import { assert, describe, it } from "@effect/vitest"
import { Commit, FileCatalog, Predicate, Table } from "@headrace/iceberg"
import { MemoryObjectStore } from "@headrace/s3"
import { Effect } from "effect"
import { create, file } from "./fixtures.ts"

describe("A table with 10,000 files", () => {
  it.effect("plans in 2 s and 256 MB", () =>
    Effect.gen(function* () {
      let table = yield* create("many")
      for (let i = 0; i < 20; i++)
        table = yield* Commit.append(table, { files: Array.from({ length: 500 }, (_, n) => file(i * 500 + n)) })
      const before = process.memoryUsage().rss
      const start = process.hrtime.bigint()
      const tasks = yield* Table.scan(yield* FileCatalog.load(table))
      const millis = Number(process.hrtime.bigint() - start) / 1e6
      const megabytes = (process.memoryUsage().rss - before) / 1024 / 1024
      assert.strictEqual(tasks.length, 10_000)
      assert.isAtMost(millis, 2000)
      assert.isAtMost(megabytes, 256)
      const one = yield* Table.scan(table, { predicate: Predicate.eq("__offset", 55_555) })
      assert.deepStrictEqual(
        one.map((task) => task.file.path.slice(-13)),
        ["f5555.parquet"]
      )
      if (process.env["HEADRACE_SHOW"] !== undefined) console.log({ millis, megabytes })
    }).pipe(Effect.provide(MemoryObjectStore.layer))
  )
})
