/** What `status` says of a version's freshness, at a time that the test sets. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { EventLog } from "@headrace/core/EventLog"
import { SqliteLog } from "@headrace/embedded"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { span } from "../../src/Freshness.ts"
import * as H from "./Harness.ts"

interface Status {
  readonly versions: ReadonlyArray<{
    readonly staleMillis: number | null
    readonly partitions: ReadonlyArray<{
      readonly lag: number | null
      readonly ageMillis: number | null
      readonly staleMillis: number | null
    }>
  }>
}

/** The time of order `i`, which is its record's timestamp too. */
const timeOf = (i: number) => 1_700_000_000_000 + i * 500

it.effect("a version is as stale as the first record that it hasn't folded, and as old as its newest event", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const folder = yield* H.revenueProject(data, 1)
    const file = join(data, "orders.ndjson")
    const importing = (n: number, from: number) => {
      writeFileSync(file, H.lines(n, from))
      return H.cli(folder, "log", "import", file, "--topic", "orders", "--timestamp", "ts", "--partitions", "1")
    }
    const freshness = Effect.gen(function* () {
      const outcome = yield* H.cli(folder, "status", "--json")
      assert.strictEqual(outcome.code, 0, outcome.err)
      const [version] = outcome.json<Status>().versions
      const [{ ageMillis, lag, staleMillis }] = version!.partitions as [Status["versions"][0]["partitions"][0]]
      assert.strictEqual(version!.staleMillis, staleMillis)
      return [lag, staleMillis, ageMillis]
    })
    const log = <A, E>(f: (log: EventLog["Service"]) => Effect.Effect<A, E>) =>
      EventLog.use(f).pipe(Effect.provide(SqliteLog.layer({ path: join(data, "log.db") })))

    yield* importing(10, 0)
    yield* H.cli(folder, "run")
    yield* TestClock.setTime(timeOf(9) + 60_000)
    assert.deepStrictEqual(yield* freshness, [0, 0, 60_000])
    yield* importing(10, 10)
    assert.deepStrictEqual(yield* freshness, [10, 60_000 - 500, 60_000])
    const text = (yield* H.cli(folder, "status")).out
    assert.match(text, /stale +event time +age\n/)
    assert.match(text, /10 +59 s +2023-11-14T22:13:24\.500Z +1 min\n/)

    // A clock behind the records' own times makes no negative ages.
    yield* TestClock.setTime(timeOf(0))
    assert.deepStrictEqual(yield* freshness, [10, 0, 0])

    // Nobody knows the time of a record that retention took, or of a topic made anew.
    yield* log((l) => l.deleteBefore("orders", 0, 15))
    assert.deepStrictEqual(yield* freshness, [10, null, 0])
    yield* log((l) => l.deleteTopic("orders"))
    assert.deepStrictEqual(yield* freshness, [null, null, 0])
    yield* importing(20, 0)
    assert.deepStrictEqual((yield* freshness)[1], null)
  }).pipe(Effect.scoped)
)

it("spans of time are said in their two largest units", () => {
  const spans = [null, 0, 400, 59_999, 60_000, 3_725_000, 90_061_000, 86_400_000].map(span)
  assert.deepStrictEqual(spans, ["?", "0 s", "< 1 s", "59 s", "1 min", "1 h 2 min", "1 d 1 h", "1 d"])
})
