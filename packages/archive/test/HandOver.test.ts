import { assert, describe, it } from "@effect/vitest"
import { HandOver } from "@headrace/archive"
import { Result } from "effect"
import * as fc from "fast-check"

const range = fc.tuple(fc.nat(30), fc.nat(30)).map(([begin, n]) => ({ begin, end: begin + n }))

describe("HandOver.plan", () => {
  it("gives every offset once, in order, from a tier that holds it, or names exactly what is missing", () => {
    fc.assert(
      fc.property(
        fc.option(range, { nil: undefined }),
        range,
        range,
        fc.constantFrom("archive" as const, "tail" as const),
        (archive, tail, wanted, prefer) => {
          const { begin: from, end: until } = wanted
          const planned = HandOver.plan({ topic: "t", partition: 0, from, until, archive, tail, prefer })
          const inArchive = (o: number) => archive !== undefined && archive.begin <= o && o < archive.end
          const inTail = (o: number) => tail.begin <= o && o < tail.end
          const offsets = Array.from({ length: until - from }, (_, i) => from + i)
          const missing = offsets.filter((o) => !inArchive(o) && !inTail(o))
          if (Result.isFailure(planned)) {
            assert.strictEqual(planned.failure.from, missing[0])
            const end = offsets.find((o) => o > missing[0]! && (inArchive(o) || inTail(o))) ?? until
            assert.strictEqual(planned.failure.until, end)
            return
          }
          assert.deepStrictEqual(missing, [])
          // As few segments as can be: none is empty, and neighbours come from different tiers.
          for (const [i, s] of planned.success.entries()) {
            assert.isAbove(s.until, s.from)
            assert.notStrictEqual(s.tier, planned.success[i + 1]?.tier)
          }
          const read = planned.success.flatMap((s) =>
            Array.from({ length: s.until - s.from }, (_, i) => [s.from + i, s.tier] as const)
          )
          assert.deepStrictEqual(
            read.map(([o]) => o),
            offsets
          )
          for (const [o, tier] of read) {
            const both = inArchive(o) && inTail(o)
            assert.isTrue(both ? tier === prefer : tier === "archive" ? inArchive(o) : inTail(o))
          }
        }
      ),
      { numRuns: 2000 }
    )
  })
})
