import { assert, describe, it } from "@effect/vitest"
import { Bounds, type ColumnType, type Value } from "@headrace/iceberg"
import * as fc from "fast-check"

const hex = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString("hex"))

describe("Bounds", () => {
  it("encodes the specification's forms", () => {
    const cases: ReadonlyArray<readonly [ColumnType, Value, string]> = [
      [{ kind: "boolean" }, false, "00"],
      [{ kind: "boolean" }, true, "01"],
      [{ kind: "int" }, 34, "22000000"],
      [{ kind: "int" }, -1, "ffffffff"],
      [{ kind: "long" }, 34, "2200000000000000"],
      [{ kind: "long" }, -(2n ** 63n), "0000000000000080"],
      [{ kind: "date" }, 19_000, "384a0000"],
      [{ kind: "timestamptz" }, 1, "e803000000000000"],
      [{ kind: "timestamptz" }, -1, "18fcffffffffffff"],
      [{ kind: "double" }, -6, "00000000000018c0"],
      [{ kind: "decimal", precision: 9, scale: 2 }, 0, "00"],
      [{ kind: "decimal", precision: 9, scale: 2 }, 127, "7f"],
      [{ kind: "decimal", precision: 9, scale: 2 }, 128, "0080"],
      [{ kind: "decimal", precision: 9, scale: 2 }, -1, "ff"],
      [{ kind: "decimal", precision: 9, scale: 2 }, -128, "80"],
      [{ kind: "decimal", precision: 9, scale: 2 }, -129, "ff7f"],
      [{ kind: "decimal", precision: 9, scale: 2 }, 1420, "058c"],
      [{ kind: "string" }, "iceberg", "69636562657267"],
      [{ kind: "string" }, "", ""],
      [{ kind: "binary" }, Uint8Array.of(1, 255), "01ff"]
    ]
    for (const [type, value, bytes] of cases) {
      assert.strictEqual(hex(Bounds.encode(type, value, "lower")), bytes)
      assert.strictEqual(hex(Bounds.encode(type, value, "upper")), bytes)
      assert.deepStrictEqual(Bounds.decode(type, Bounds.encode(type, value, "lower")!, "lower"), value)
    }
  })

  it("gives none for what it can't bound", () => {
    assert.isUndefined(Bounds.encode({ kind: "double" }, Number.NaN, "lower"))
    assert.isUndefined(Bounds.encode({ kind: "int" }, 2 ** 31, "lower"))
    assert.isUndefined(Bounds.encode({ kind: "int" }, "1", "lower"))
    assert.isUndefined(Bounds.encode({ kind: "long" }, 2n ** 63n, "upper"))
    assert.isUndefined(Bounds.encode({ kind: "string" }, "\u{10ffff}".repeat(17), "upper"))
    assert.isUndefined(Bounds.encode({ kind: "string" }, "a\ud800", "lower"))
    assert.isUndefined(Bounds.encode({ kind: "binary" }, new Uint8Array(17).fill(255), "upper"))
    assert.isUndefined(Bounds.decode({ kind: "long" }, Uint8Array.of(1, 2), "lower"))
  })

  it("holds both zeros", () => {
    const lower = Bounds.encode({ kind: "double" }, 0, "lower")!
    const upper = Bounds.encode({ kind: "double" }, -0, "upper")!
    assert.strictEqual(hex(lower), "0000000000000080")
    assert.strictEqual(hex(upper), "0000000000000000")
  })

  it("cuts strings by code point and increments the upper bound", () => {
    const upper = (value: string) =>
      Bounds.decode({ kind: "string" }, Bounds.encode({ kind: "string" }, value, "upper")!, "upper")
    assert.strictEqual(upper("a".repeat(16)), "a".repeat(16))
    assert.strictEqual(upper("a".repeat(17)), `${"a".repeat(15)}b`)
    assert.strictEqual(upper("😀".repeat(17)), `${"😀".repeat(15)}😁`)
    assert.strictEqual(upper(`${"a".repeat(15)}\ud7ffz`), `${"a".repeat(15)}\ue000`)
    assert.strictEqual(upper(`${"a".repeat(15)}\u{10ffff}z`), `${"a".repeat(14)}b`)
  })

  it("rounds microseconds outwards", () => {
    assert.strictEqual(Bounds.millisOf(1999n, "lower"), 1)
    assert.strictEqual(Bounds.millisOf(1999n, "upper"), 2)
    assert.strictEqual(Bounds.millisOf(-1n, "lower"), -1)
    assert.strictEqual(Bounds.millisOf(-1n, "upper"), 0)
    assert.strictEqual(Bounds.millisOf(2000n, "upper"), 2)
  })

  const encloses = (type: ColumnType, values: fc.Arbitrary<Value>) =>
    fc.assert(
      fc.property(values, (value) => {
        for (const side of ["lower", "upper"] as const) {
          const bytes = Bounds.encode(type, value, side)
          if (bytes === undefined) continue
          const bound = Bounds.decode(type, bytes, side)
          assert.isDefined(bound)
          const order = Bounds.compare(bound!, value)
          assert.isTrue(side === "lower" ? order <= 0 : order >= 0)
        }
      }),
      { numRuns: 500 }
    )

  it("encloses every value", () => {
    encloses({ kind: "string" }, fc.string({ unit: "binary", maxLength: 40 }))
    encloses(
      { kind: "string" },
      fc.string({ unit: fc.constantFrom("a", "\u{10ffff}", "\ud7ff", "\uffff", "😀"), maxLength: 20 })
    )
    encloses({ kind: "binary" }, fc.uint8Array({ maxLength: 40 }))
    encloses(
      { kind: "binary" },
      fc.array(fc.constantFrom(0, 254, 255), { maxLength: 20 }).map((bytes) => Uint8Array.from(bytes))
    )
    encloses({ kind: "double" }, fc.double({ noNaN: true }))
    encloses({ kind: "timestamptz" }, fc.integer({ min: -62135596800000, max: 253402300799999 }))
  })

  it("round-trips whole numbers of any size", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 126n), max: 2n ** 126n }), (value) => {
        const type = { kind: "decimal", precision: 38, scale: 2 } as const
        const bytes = Bounds.encode(type, value, "lower")!
        assert.strictEqual(BigInt(Bounds.decode(type, bytes, "lower") as bigint), value)
        // Minimal: without its first byte it is another number.
        if (bytes.length > 1)
          assert.notStrictEqual(BigInt(Bounds.decode(type, bytes.slice(1), "lower") as bigint), value)
      })
    )
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const type = { kind: "long" } as const
        assert.strictEqual(BigInt(Bounds.decode(type, Bounds.encode(type, value, "upper")!, "upper") as bigint), value)
      })
    )
  })

  it("orders strings by UTF-8 bytes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
        assert.strictEqual(Math.sign(Bounds.compare(a, b)), Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))))
      })
    )
  })
})
