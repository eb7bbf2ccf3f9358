import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { plan } from "../src/internal/rangePlan.ts"

const Ranges = Schema.Array(
  Schema.Struct({
    start: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 })),
    length: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 }))
  })
)
const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))

describe("rangePlan", () => {
  it("merges what is near, and nothing else", () => {
    const ranges = [
      { start: 100, end: 110 },
      { start: 0, end: 10 },
      { start: 15, end: 20 },
      { start: 26, end: 30 },
      { start: 7, end: 7 }
    ]
    assert.deepStrictEqual(plan(ranges, { gap: 5, limit: 1000 }), [
      { start: 0, end: 20, answers: [1, 2] },
      { start: 26, end: 30, answers: [3] },
      { start: 100, end: 110, answers: [0] }
    ])
    assert.strictEqual(plan(ranges, { gap: 5, limit: 19 }).length, 4)
    assert.deepStrictEqual(plan([], { gap: 5, limit: 10 }), [])
  })

  it.effect.prop(
    "answers each range once, within its request, and reads no gap that is too long",
    { ranges: Ranges, gap: Small, limit: Small },
    ({ gap, limit, ranges: drawn }) =>
      Effect.sync(() => {
        const ranges = drawn.map(({ length, start }) => ({ start, end: start + length }))
        const requests = plan(ranges, { gap, limit })
        const answered = requests.flatMap(({ answers }) => answers).sort((a, b) => a - b)
        assert.deepStrictEqual(
          answered,
          ranges.flatMap(({ end, start }, i) => (start < end ? [i] : []))
        )
        // The oracle: which bytes are wanted, one by one.
        const isWanted = Array.from({ length: 500 }, () => false)
        for (const { end, start } of ranges) isWanted.fill(true, start, end)
        for (const { answers, end, start } of requests) {
          for (const i of answers) assert.isTrue(start <= ranges[i]!.start && ranges[i]!.end <= end)
          assert.isTrue(isWanted[start] === true && isWanted[end - 1] === true)
          let unwanted = 0
          for (let at = start; at < end; at++) {
            unwanted = isWanted[at] === true ? 0 : unwanted + 1
            assert.isAtMost(unwanted, gap)
          }
          const longest = Math.max(...answers.map((i) => ranges[i]!.end - ranges[i]!.start))
          assert.isAtMost(end - start, Math.max(limit, longest))
        }
      }),
    { arbitrary: { runs: 300 } }
  )
})
