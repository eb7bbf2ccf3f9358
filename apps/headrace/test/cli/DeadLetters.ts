/** What `dead-letters replay` promises, on whichever log the project has. */
import { assert } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { Effect } from "effect"
import * as H from "./Harness.ts"

interface Line {
  readonly partition: number
  readonly offset: number
  readonly timestamp: string
  readonly key: string | null
  readonly value: string
  readonly headers: ReadonlyArray<{ readonly key: string; readonly value: string }>
}
interface Replayed {
  readonly to: string
  readonly created: boolean
  readonly records: number
  readonly missing: ReadonlyArray<unknown>
}

/** Its view `strict` fails at totals of 9.25, whose bytes the store doesn't keep. */
export const strict = H.revenue(1, "strict").replace(
  '{ category: "category" }',
  '{ category: (o) => { if (o.total === 9.25) throw new Error("nine"); return o.category } }'
)

const linesOf = ({ out }: H.Outcome) =>
  out
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line)

/** Of a project with views `revenue` and `strict` over `topic`, which isn't there yet. */
export const replays = Effect.fnUntraced(function* (folder: string, topic: string) {
  const log = yield* EventLog
  const cli = (...args: ReadonlyArray<string>) => H.cli(folder, ...args)
  const replay = (...args: ReadonlyArray<string>) => cli("dead-letters", "replay", ...args, "--json")
  yield* log.createTopic(topic, { partitions: 2 })
  const builder = new BatchBuilder()
  for (const [i, line] of H.lines(30).trim().split("\n").entries()) builder.add(`k${i}`, line, 1_700_000_000_000 + i)
  builder.add("poison", '{"id":"poison"}', 1_700_000_000_500, [{ key: "trace", value: new TextEncoder().encode("t1") }])
  builder.add(null, "no json", 1_700_000_000_600)
  yield* log.append(topic, 1, builder.take())
  assert.strictEqual((yield* cli("run")).code, 0)

  // All of a view, into a topic that is made with as many partitions.
  const all = yield* replay("revenue")
  assert.strictEqual(all.code, 0, all.err)
  const to = `${topic}.dead-letters`
  const { created, missing, records } = all.json<Replayed>()
  assert.deepStrictEqual([all.json<Replayed>().to, created, records, missing], [to, true, 2, []])
  assert.strictEqual((yield* log.describe(to)).partitions.length, 2)
  const read = linesOf(yield* cli("log", "read", to))
  assert.deepStrictEqual(
    read.map((r) => [r.partition, r.key, r.value, r.timestamp]),
    [
      [1, "poison", '{"id":"poison"}', "2023-11-14T22:13:20.500Z"],
      [1, null, "no json", "2023-11-14T22:13:20.600Z"]
    ]
  )
  const [trace, ...about] = read[0]!.headers
  assert.deepStrictEqual(trace, { key: "trace", value: "t1" })
  const headers = Object.fromEntries(about.map((h) => [h.key, h.value]))
  assert.match(headers["headrace.time"]!, /^\d{4}-\d\d-\d\dT.*Z$/)
  assert.isNotEmpty(headers["headrace.detail"])
  assert.deepStrictEqual(
    { ...headers, "headrace.time": "", "headrace.detail": "" },
    {
      "headrace.topic": topic,
      "headrace.partition": "1",
      "headrace.offset": "30",
      "headrace.reason": "missing-field:category",
      "headrace.detail": "",
      "headrace.view": "revenue",
      "headrace.version": "1",
      "headrace.time": ""
    }
  )

  // Again: they are there twice, under the same coordinates.
  assert.deepStrictEqual((yield* replay("revenue")).json<Replayed>().records, 2)
  const twice = linesOf(yield* cli("log", "read", to)).map((r) => r.headers.find((h) => h.key === "headrace.offset")!)
  assert.deepStrictEqual(
    twice.map((h) => h.value),
    ["30", "31", "30", "31"]
  )

  // One whose bytes only the log has, to another topic.
  const mended = `${topic}.mended`
  const one = yield* replay("strict", "1", "9", "--to", mended)
  assert.deepStrictEqual([one.code, one.json<Replayed>().records], [0, 1], one.err)
  const [nine] = linesOf(yield* cli("log", "read", mended))
  assert.deepStrictEqual([nine!.key, JSON.parse(nine!.value).id, nine!.partition], ["k9", "o9", 1])
  assert.include(nine!.headers.map((h) => h.value).join(" "), "expression-failed")

  // What nobody holds any more is named, and the rest is appended.
  yield* log.deleteBefore(topic, 1, 20)
  const rest = yield* replay("strict", "--to", mended)
  assert.strictEqual(rest.code, 1)
  assert.deepStrictEqual(
    [rest.json<Replayed>().records, rest.json<Replayed>().missing],
    [2, [{ partition: 1, offset: 9 }]]
  )

  const none = yield* replay("revenue", "0", "5")
  assert.deepStrictEqual([none.code, none.err.includes("dead-letters list revenue")], [1, true])
  assert.strictEqual((yield* replay("revenue", "0")).code, 2)
})
