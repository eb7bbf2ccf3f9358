/** A project's life on the command line: import, archive, run, a changed version replayed, compared, promoted, rolled back, dropped. */
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as H from "./Harness.ts"

interface Counts {
  readonly read: number
  readonly applied: number
  readonly filtered: number
  readonly late: number
  readonly deadLettered: number
}
interface Version {
  readonly version: number
  readonly state: string
  readonly exported: boolean | null
  readonly counts: Counts
  readonly partitions: ReadonlyArray<{ readonly next: number; readonly end: number; readonly lag: number }>
}
interface Status {
  readonly versions: ReadonlyArray<Version>
  readonly unbuilt: ReadonlyArray<{ readonly version: number }>
  readonly archives: ReadonlyArray<{ readonly topic: string; readonly records: number }>
}

const ok = (outcome: H.Outcome): H.Outcome => {
  assert.strictEqual(outcome.code, 0, outcome.err + outcome.out)
  return outcome
}

const imported = (folder: string, file: string, text: string) => {
  writeFileSync(file, text)
  return Effect.map(
    H.cli(
      folder,
      "log",
      "import",
      file,
      "--topic",
      "orders",
      "--key",
      "category",
      "--timestamp",
      "ts",
      "--partitions",
      "3",
      "--json"
    ),
    ok
  )
}

it.live("goes from an import to a rollback", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const one = yield* H.revenueProject(data, 1)
    const file = join(data, "orders.ndjson")

    // Looking makes nothing.
    ok(yield* H.cli(one, "status"))
    ok(yield* H.cli(one, "check"))
    assert.isFalse(
      existsSync(join(data, "views.db")) || existsSync(join(data, "log.db")) || existsSync(join(data, "archive"))
    )

    yield* imported(one, file, H.lines(3_000))
    ok(yield* H.cli(one, "archive", "run", "orders", "--until", "0:200,1:200,2:200"))
    const ran = ok(yield* H.cli(one, "run", "--json")).json<Status>().versions[0]!
    assert.deepStrictEqual(
      [ran.state, ran.counts.read, ran.partitions.map((p) => p.lag)],
      ["promoted", 3_000, [0, 0, 0]]
    )

    // Version 2 is replayed from archive and tail by threads, while version 1 isn't exported.
    const two = yield* H.revenueProject(data, 1, 2)
    const replayed = yield* H.cli(two, "replay", "revenue", "--workers", "2", "--compare", "--json")
    assert.strictEqual(replayed.code, 3, replayed.err)
    const built = replayed.json<
      Version & {
        readonly comparison: { readonly common: ReadonlyArray<string>; readonly onlyRight: ReadonlyArray<string> }
      }
    >()
    assert.deepStrictEqual([built.version, built.state, built.counts.read], [2, "ready", 3_000])
    assert.deepStrictEqual(
      [built.comparison.common, built.comparison.onlyRight],
      [["revenue", "orders", "average"], ["customers"]]
    )

    // A strict replay doesn't promote what differs; a plain one does.
    const strict = yield* H.cli(two, "replay", "revenue", "--promote", "--require-equal", "--json")
    assert.deepStrictEqual([strict.code, strict.json<Version>().state], [3, "ready"])
    const promoted = ok(yield* H.cli(two, "replay", "revenue", "--promote", "--json")).json<
      Version & { readonly previous: number }
    >()
    assert.deepStrictEqual([promoted.state, promoted.previous], ["promoted", 1])

    const status = ok(yield* H.cli(two, "status", "--json")).json<Status>()
    assert.deepStrictEqual(
      status.versions.map((v) => [v.version, v.state, v.exported]),
      [
        [1, "ready", true],
        [2, "promoted", true]
      ]
    )
    assert.deepStrictEqual(
      status.archives.map((a) => a.topic),
      ["orders"]
    )
    for (const { counts: c } of status.versions)
      assert.strictEqual(c.read, c.applied + c.filtered + c.late + c.deadLettered)

    // A project that exports only version 2 rolls back to a version that has stopped, and is told where.
    const onlyTwo = yield* H.revenueProject(data, 2)
    const back = ok(yield* H.cli(onlyTwo, "rollback", "revenue"))
    assert.include(back.out, "revenue is version 1 now, it was version 2")
    assert.match(back.out, /has stopped at offsets 0:\d+ 1:\d+ 2:\d+/)
    ok(yield* H.cli(two, "promote", "revenue", "2"))

    const refused = yield* H.cli(two, "drop", "revenue", "2")
    assert.deepStrictEqual([refused.code, refused.err.includes("is the promoted one")], [1, true])
    ok(yield* H.cli(two, "drop", "revenue", "1"))
    ok(yield* H.cli(two, "drop", "revenue", "--all"))
    assert.deepStrictEqual(
      ok(yield* H.cli(two, "status", "--json"))
        .json<Status>()
        .unbuilt.map((v) => v.version),
      [1, 2]
    )
  }).pipe(Effect.scoped)
)

it.live("compares rows with their places, and doesn't compare different offsets", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const two = yield* H.revenueProject(data, 1, 2)
    const file = join(data, "orders.ndjson")
    yield* imported(two, file, H.lines(120))
    ok(yield* H.cli(two, "run"))
    const table = yield* H.cli(two, "compare", "revenue", "--limit", "1")
    assert.strictEqual(table.code, 3)
    // The first window holds orders 0 to 79. Of c0 0, 15, 30, 45, 60, 75 are completed, 10, 25, 40, 55, 70 pending.
    assert.match(table.out, /c0 +2023-11-14T22:13:00\.000Z +revenue +106\.50 +187\.75/)
    assert.match(table.out, /average +17\.7500 +17\.0682/)
    assert.match(table.out, /and \d+ more/)
    const same = yield* H.cli(two, "compare", "revenue", "2", "2", "--json")
    assert.deepStrictEqual([same.code, same.json<{ readonly equal: boolean }>().equal], [0, true])

    // Version 1 runs ahead: version 2 stays unpromoted only as long as it can't catch up with it.
    yield* imported(two, file, H.lines(30, 120))
    const one = yield* H.revenueProject(data, 1)
    ok(yield* H.cli(one, "run"))
    const apart = yield* H.cli(two, "compare", "revenue", "1", "2", "--json")
    assert.deepStrictEqual(
      [apart.code, apart.json<{ readonly error: { readonly tag: string } }>().error.tag],
      [1, "PositionsDiffer"]
    )
    ok(yield* H.cli(two, "replay", "revenue", "--promote"))

    // And when the promoted version lags behind, a replay is built but not promoted.
    ok(yield* H.cli(two, "rollback", "revenue"))
    yield* imported(two, file, H.lines(30, 150))
    const behind = yield* H.cli(two, "replay", "revenue", "--promote", "--json")
    assert.deepStrictEqual(
      [behind.code, behind.json<{ readonly error: { readonly tag: string } }>().error.tag],
      [1, "NotPromoted"]
    )
    assert.include(behind.err, "headrace promote revenue 2")
  }).pipe(Effect.scoped)
)

it.live("lists late records and dead letters, and shows a dead letter whole wherever its bytes are", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const throwing = H.revenue(1, "strict").replace(
      '{ category: "category" }',
      '{ category: (o) => { if (o.total === 7.25) throw new Error("seven"); return o.category } }'
    )
    const folder = yield* H.projectFolder({
      "headrace.config.ts": H.config(data, ["revenue1.ts", "strict.ts"]),
      "revenue1.ts": H.revenue(1),
      "strict.ts": throwing
    })
    const file = join(data, "orders.ndjson")
    writeFileSync(
      file,
      `${H.lines(200)}{"id":"poison"}\n{"id":"late","category":"c0","total":1,"status":"completed","user":"u","ts":1600000000000}\n{"id":"big","category":"c0","total":0.25,"status":"completed","user":"u","ts":9007199254740993}\n`
    )
    ok(yield* H.cli(folder, "log", "import", file, "--topic", "orders", "--partitions", "1"))
    ok(yield* H.cli(folder, "run"))
    const dead = ok(yield* H.cli(folder, "dead-letters", "list", "revenue", "--json")).json<{
      readonly total: number
      readonly records: ReadonlyArray<{ readonly partition: number; readonly offset: number; readonly reason: string }>
    }>()
    assert.deepStrictEqual(
      dead.records.map((r) => [r.partition, r.offset, r.reason]),
      [
        [0, 200, "missing-field:category"],
        [0, 202, "out-of-range:ts"]
      ]
    )
    assert.strictEqual(dead.total, 2)
    const late = ok(yield* H.cli(folder, "late", "revenue", "--json")).json<{
      readonly records: ReadonlyArray<{ readonly offset: number; readonly eventTime: string }>
    }>()
    assert.deepStrictEqual(
      late.records.map((r) => [r.offset, r.eventTime]),
      [[201, "2020-09-13T12:26:40.000Z"]]
    )
    const poison = ok(yield* H.cli(folder, "dead-letters", "show", "revenue", "0", "200", "--json")).json<{
      readonly record: { readonly value: { readonly text: string } }
    }>()
    assert.strictEqual(poison.record.value.text, '{"id":"poison"}')

    // The store has no bytes of a record at which an expression failed: they come from the log, then from the archive.
    const seven = (yield* H.cli(folder, "dead-letters", "list", "strict", "--json"))
      .json<typeof dead>()
      .records.find((r) => r.reason.startsWith("expression-failed"))!
    const show = () => H.cli(folder, "dead-letters", "show", "strict", "0", String(seven.offset), "--json")
    const fromLog = ok(yield* show()).json<{ readonly record: unknown }>().record
    ok(yield* H.cli(folder, "archive", "run", "--all"))
    yield* H.deleteBefore(data, "orders", 0, 203)
    assert.deepStrictEqual(ok(yield* show()).json<{ readonly record: unknown }>().record, fromLog)
    assert.include(JSON.stringify(fromLog), `o${seven.offset}`)

    const none = yield* H.cli(folder, "dead-letters", "show", "revenue", "0", "5")
    assert.deepStrictEqual([none.code, none.err.includes("headrace dead-letters list revenue")], [1, true])
  }).pipe(Effect.scoped)
)
