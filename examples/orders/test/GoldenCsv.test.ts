import { assert, describe, it } from "@effect/vitest"
import { compareText, csv, decimal, instant, integer, isoDay, text } from "../src/GoldenCsv.ts"

describe("GoldenCsv", () => {
  it("writes each type in its one way", () => {
    assert.strictEqual(
      csv(
        ["t", "i", "b", "d", "at", "day", "none"],
        [
          [text("a"), integer(-0), integer(2n ** 70n), decimal(5, 2), instant(-1), isoDay(0), null],
          [text("b"), integer(7), integer(-3), decimal(-123456n, 2), instant(1774396800000), isoDay(20537), null]
        ]
      ),
      "t,i,b,d,at,day,none\na,0,1180591620717411303424,0.05,-1,1970-01-01,\nb,7,-3,-1234.56,1774396800000,2026-03-25,\n"
    )
    assert.strictEqual(csv(["d", "e"], [[decimal(-1, 6), decimal(12, 0)]]), "d,e\n-0.000001,12\n")
    assert.strictEqual(csv(["d"], []), "d\n")
  })

  it("sorts by all columns from left to right, numbers by value", () => {
    const rows = [
      [integer(10), text("a")],
      [integer(9n), text("b")],
      [integer(9), text("B")],
      [integer(-1), text("z")],
      [null, text("z")],
      [integer(9), null]
    ]
    const before = [...rows]
    assert.strictEqual(csv(["n", "t"], rows), "n,t\n,z\n-1,z\n9,\n9,B\n9,b\n10,a\n")
    assert.deepStrictEqual(rows, before)
  })

  it("sorts text by code point", () => {
    const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
    const texts = ["", "a", "ab", "b", "é", "z", "～", "\ufb01", "😀", "😁", "😀a", "𐀀", "a😀", "a～"]
    for (const a of texts) for (const b of texts) assert.strictEqual(compareText(a, b), byBytes(a, b))
    assert.notDeepEqual(texts.toSorted(compareText), texts.toSorted())
  })

  it("quotes text only where it must", () => {
    assert.strictEqual(
      csv(
        ["t", 'a "b"'],
        [
          [text('say "hi"'), text("")],
          [text("a,b"), text("x\ny")],
          [text(" plain; 'text' "), null]
        ]
      ),
      't,"a ""b"""\n plain; \'text\' ,\n"a,b","x\ny"\n"say ""hi""",""\n'
    )
  })

  it("refuses what has no place in the form", () => {
    assert.throws(() => csv(["a"], [[integer(1), integer(2)]]), /2 cells/)
    assert.throws(() => csv(["a"], [[integer(1)], [text("1")]]), /both integer and text/)
    assert.throws(() => csv(["a"], [[decimal(1, 2)], [decimal(1, 6)]]), /2 places and decimal with 6/)
    assert.throws(() => integer(0.5), RangeError)
    assert.throws(() => decimal(2 ** 53, 2), RangeError)
  })
})
