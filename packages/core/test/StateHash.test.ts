import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { StateHash } from "@headrace/core"
import type { StateValue } from "@headrace/core/ViewStore"
import * as fc from "fast-check"

type Row = ReadonlyArray<StateValue>
const value: fc.Arbitrary<StateValue> = fc.oneof(
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.constantFrom("1", "true", "i1;", "s1:a;", "", "n;"),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
  fc.boolean(),
  fc.constant(null)
)
const rows = fc.array(fc.array(value, { maxLength: 5 }), { maxLength: 20 })

const hashOf = (all: ReadonlyArray<Row>): string => {
  const sum = new StateHash.Accumulator()
  for (const row of all) sum.add(row)
  return sum.hex
}

/** The sum of the rows' SHA-256 modulo 2²⁵⁶ in exact arithmetic. */
const oracle = (all: ReadonlyArray<Row>): string => {
  const digest = (row: Row) => BigInt(`0x${createHash("sha256").update(StateHash.canonical(row)).digest("hex")}`)
  const sum = all.reduce((total, row) => total + digest(row), 0n)
  return (sum % 2n ** 256n).toString(16).padStart(64, "0")
}

describe("StateHash", () => {
  it("is the sum of the rows' hashes, in whatever order they come", () => {
    fc.assert(
      fc.property(rows, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (all, random) => {
        const shuffled = all.map((row) => [random.next().value as number, row] as const).toSorted((a, b) => a[0] - b[0])
        assert.strictEqual(hashOf(all), oracle(all))
        assert.strictEqual(hashOf(shuffled.map(([, row]) => row)), hashOf(all))
      })
    )
    assert.strictEqual(hashOf([]), "0".repeat(64))
  })

  it("carries between its lanes, also when it is read in between", () => {
    const sum = new StateHash.Accumulator()
    const all: Array<Row> = []
    for (let i = 0; i < 3_000; i++) {
      all.push(["row", i])
      sum.add(["row", i])
      if (i % 700 === 0) assert.strictEqual(sum.hex, oracle(all))
    }
    assert.strictEqual(sum.hex, oracle(all))
  })

  it("tells rows apart that a looser text would mix up", () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 5 }), fc.array(value, { maxLength: 5 }), (a, b) => {
        const plain = (row: Row) =>
          row.map((v) =>
            typeof v === "bigint"
              ? Number(v) === 0
                ? 0
                : String(v) + "i"
              : typeof v === "number"
                ? v === 0
                  ? 0
                  : String(v) + "i"
                : v
          )
        const same = JSON.stringify(plain(a)) === JSON.stringify(plain(b))
        if (!same) assert.notStrictEqual(StateHash.canonical(a), StateHash.canonical(b))
      }),
      { numRuns: 1_000 }
    )
    const different: ReadonlyArray<Row> = [
      [],
      [null],
      [""],
      ["1"],
      [1],
      [true],
      [false],
      ["a", "b"],
      ["ab"],
      ["a;s1:b"],
      [["i1;"][0]!],
      [1, 1],
      [11]
    ]
    assert.strictEqual(new Set(different.map(StateHash.canonical)).size, different.length)
  })

  it("takes a whole number for the same as number and as bigint, and zero without a sign", () => {
    assert.strictEqual(StateHash.canonical([5]), StateHash.canonical([5n]))
    assert.strictEqual(StateHash.canonical([-0]), StateHash.canonical([0n]))
    assert.strictEqual(StateHash.canonical([2 ** 53 - 1]), StateHash.canonical([2n ** 53n - 1n]))
  })
})
