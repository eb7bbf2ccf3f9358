/** The format's own examples of hashes and transforms (its appendix B and the section on partition transforms). */
import { assert, describe, it } from "@effect/vitest"
import { type ColumnType, Transform } from "@headrace/iceberg"

const decimal: ColumnType = { kind: "decimal", precision: 9, scale: 2 }
const of = (kind: "int" | "long" | "date" | "timestamptz" | "string" | "binary" | "double"): ColumnType => ({ kind })
const instant = Date.UTC(2017, 11, 1, 10, 12, 55, 38)

describe("Transform", () => {
  it("hashes as the format says", () => {
    assert.strictEqual(Transform.hash(of("int"), 34), 2017239379)
    assert.strictEqual(Transform.hash(of("long"), 34n), 2017239379)
    assert.strictEqual(Transform.hash(decimal, 1420), -500754589)
    assert.strictEqual(Transform.hash(of("date"), Date.UTC(2017, 10, 16) / 86_400_000), -653330422)
    assert.strictEqual(Transform.hash(of("timestamptz"), Date.UTC(2017, 10, 16, 22, 31, 8)), -2047944441)
    assert.strictEqual(Transform.hash(of("string"), "iceberg"), 1210000089)
    assert.strictEqual(Transform.hash(of("binary"), Uint8Array.of(0, 1, 2, 3)), -188683207)
    assert.strictEqual(Transform.hash(of("double"), 1), undefined)
    // Known answers of the hash itself, for tails of one to three bytes.
    const text = (t: string) => Transform.murmur3(new TextEncoder().encode(t)) >>> 0
    assert.strictEqual(text(""), 0)
    assert.strictEqual(text("a"), 0x3c2569b2)
    assert.strictEqual(text("abc"), 0xb3dd93fa)
  })

  it("puts values into buckets that are never negative", () => {
    const bucket = { kind: "bucket", size: 16 } as const
    assert.strictEqual(Transform.apply(bucket, of("date"), 17486), (-653330422 & 0x7fffffff) % 16)
    assert.strictEqual(Transform.apply(bucket, of("string"), "iceberg"), 1210000089 % 16)
    assert.strictEqual(Transform.apply(bucket, of("string"), null), null)
    assert.strictEqual(Transform.apply(bucket, of("string"), 1), undefined)
    assert.strictEqual(Transform.apply(bucket, of("double"), 1), undefined)
  })

  it("truncates numbers down, and text by code points", () => {
    const to = (width: number) => ({ kind: "truncate", width }) as const
    assert.strictEqual(Transform.apply(to(10), of("int"), 1), 0)
    assert.strictEqual(Transform.apply(to(10), of("int"), -1), -10)
    assert.strictEqual(Transform.apply(to(10), of("long"), -1n), -10n)
    assert.strictEqual(Transform.apply(to(50), decimal, 1065), 1050)
    assert.strictEqual(Transform.apply(to(3), of("string"), "iceberg"), "ice")
    assert.strictEqual(Transform.apply(to(2), of("string"), "😀😀😀"), "😀😀")
    assert.deepStrictEqual(Transform.apply(to(2), of("binary"), Uint8Array.of(1, 2, 3)), Uint8Array.of(1, 2))
    assert.strictEqual(Transform.apply(to(2), of("date"), 1), undefined)
  })

  it("counts years, months, days and hours from 1970, rounded down", () => {
    const all = (type: ColumnType, value: number) =>
      (["year", "month", "day", "hour"] as const).map((kind) => Transform.apply({ kind }, type, value))
    assert.deepStrictEqual(all(of("timestamptz"), instant), [47, 575, 17501, 420034])
    assert.deepStrictEqual(all(of("date"), 17501), [47, 575, 17501, undefined])
    assert.deepStrictEqual(all(of("timestamptz"), -1), [-1, -1, -1, -1])
    assert.deepStrictEqual(all(of("timestamptz"), 0), [0, 0, 0, 0])
    assert.deepStrictEqual(all(of("string"), 0), [undefined, undefined, undefined, undefined])
  })

  it("reads and prints its name", () => {
    for (const name of ["identity", "year", "month", "day", "hour", "bucket[16]", "truncate[4]"])
      assert.strictEqual(Transform.print(Transform.parse(name)!), name)
    for (const name of ["void", "bucket[0]", "bucket", "truncate[x]", "bucket[99999999999]"])
      assert.strictEqual(Transform.parse(name), undefined)
  })
})
