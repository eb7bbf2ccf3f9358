import { assert, describe, it } from "@effect/vitest"
import { Decimal } from "@headrace/core"
import * as fc from "fast-check"

const limit = 2n ** 53n

/** The scaled integer of a decimal's text in exact arithmetic, or `undefined` when it has more places or digits than can be held. */
const oracle = (text: string, scale: number): number | undefined => {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e")
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".")
  const digits = BigInt(whole + fraction)
  if (digits === 0n) return 0
  const shift = Number(exponent) - fraction.length + scale
  if (Math.abs(shift) > 2_000) return undefined
  const up = 10n ** BigInt(Math.max(0, shift))
  const down = 10n ** BigInt(Math.max(0, -shift))
  const scaled = digits * up
  if (scaled % down !== 0n || scaled / down >= limit) return undefined
  return Number(scaled / down) * (mantissa.startsWith("-") ? -1 : 1)
}

const digits = (maxLength: number) => fc.stringMatching(new RegExp(`^\\d{1,${maxLength}}$`))
const text = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.oneof(digits(3), digits(18), fc.constantFrom("0", "000", "9007199254740991", "9007199254740992")),
    fc.option(fc.oneof(digits(4), digits(20), fc.constantFrom("0", "00", "50"))),
    fc.option(
      fc.tuple(
        fc.constantFrom("e", "E", "e+", "e-"),
        fc.oneof(fc.nat({ max: 25 }), fc.constantFrom(400, 1_000, "0003", "0"))
      )
    )
  )
  .map(
    ([sign, whole, fraction, exponent]) =>
      `${sign}${whole}${fraction === null ? "" : `.${fraction}`}${exponent?.join("") ?? ""}`
  )
const scale = fc.integer({ min: 0, max: Decimal.maxScale })

describe("Decimal", () => {
  it("reads a text exactly, or not at all", () => {
    let held = 0
    fc.assert(
      fc.property(text, scale, (text, scale) => {
        assert.isTrue(Decimal.isText(text))
        const expected = oracle(text, scale)
        if (expected !== undefined) held++
        assert.strictEqual(Decimal.fromText(text, scale), expected)
      }),
      { numRuns: 3_000 }
    )
    assert.isAbove(held, 500)
    for (const bad of ["", "-", ".5", "5.", "+1", "1e", "1,0", " 1", "1 ", "0x1", "Infinity", "NaN", "1e1.5", "١"]) {
      assert.isFalse(Decimal.isText(bad), bad)
      assert.isUndefined(Decimal.fromText(bad, 2), bad)
    }
  })

  it("takes the double of a text of up to 15 digits for the text", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 15n - 1n }),
        fc.integer({ min: 0, max: 20 }),
        fc.boolean(),
        scale,
        (n, places, negative, scale) => {
          const text = `${negative ? "-" : ""}${Decimal.format(n, places)}`
          assert.strictEqual(Decimal.fromDouble(Number(text), scale), oracle(text, scale), text)
        }
      ),
      { numRuns: 3_000 }
    )
    for (const whole of [2 ** 53 - 1, -(2 ** 53) + 1, 1e15, 999_999_999_999_999])
      assert.strictEqual(Decimal.fromDouble(whole, 0), whole)
    assert.isUndefined(Decimal.fromDouble(0.1 + 0.2, 2))
    for (const value of [Number.NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53), 1e300, 5e-324])
      assert.isUndefined(Decimal.fromDouble(value, 2), `${value}`)
    assert.isTrue(Object.is(Decimal.fromDouble(-0, 2), 0))
  })

  it("writes what it reads", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), scale, (scaled, scale) => {
        const text = Decimal.format(scaled, scale)
        assert.strictEqual(Decimal.fromText(text, scale), scaled)
        assert.strictEqual(Decimal.format(BigInt(scaled), scale), text)
        assert.strictEqual(text.split(".")[1]?.length ?? 0, scale)
      })
    )
    assert.strictEqual(Decimal.format(0, 2), "0.00")
    assert.strictEqual(Decimal.format(-5, 2), "-0.05")
    assert.strictEqual(Decimal.format(-(2n ** 70n), 3), "-1180591620717411303.424")
  })

  it("rounds an average half away from zero", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
        fc.oneof(fc.bigInt({ min: 1n, max: 20n }), fc.bigInt({ min: 1n, max: 2n ** 40n })),
        scale,
        scale,
        (sum, count, scale, places) => {
          const mean = Decimal.average(sum, count, scale, places)
          // |mean - exact| in units of 1 / (2 * whole): at most half a unit, and a half goes away from zero.
          const whole = count * 10n ** BigInt(scale)
          const exact = sum * 10n ** BigInt(places)
          const off = 2n * (mean * whole - exact)
          const towards = sum < 0n ? -off : off
          assert.isTrue(towards <= whole && towards > -whole)
        }
      ),
      { numRuns: 1_000 }
    )
    for (const [sum, count, places, mean] of [
      [5n, 2n, 0, 3n],
      [-5n, 2n, 0, -3n],
      [1n, 3n, 2, 33n],
      [2n, 3n, 2, 67n],
      [-1n, 3n, 0, 0n]
    ] as const)
      assert.strictEqual(Decimal.average(sum, count, 0, places), mean)
  })
})
