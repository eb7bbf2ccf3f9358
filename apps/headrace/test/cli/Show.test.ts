/** How values, tables and compiler messages are shown. */
import { assert, it } from "@effect/vitest"
import { json, oneLine } from "../../src/Output.ts"
import * as Table from "../../src/Table.ts"
import * as TypeCheck from "../../src/TypeCheck.ts"
import * as Values from "../../src/Values.ts"

it("values are exact: decimals with their places, averages rounded half up, whole numbers beyond 2⁵³ as texts", () => {
  assert.strictEqual(Values.show(-5, { kind: "decimal", scale: 2 }), "-0.05")
  assert.strictEqual(Values.show(2n ** 60n, { kind: "decimal", scale: 3 }), "1152921504606846.976")
  assert.strictEqual(Values.show(2n ** 60n, { kind: "integer" }), "1152921504606846976")
  assert.strictEqual(Values.show(0, { kind: "instant" }), "1970-01-01T00:00:00.000Z")
  assert.strictEqual(Values.show(-1, { kind: "date" }), "1969-12-31")
  const avg = { name: "a", kind: "avg", type: { kind: "decimal", scale: 2 }, places: 1 } as const
  assert.strictEqual(Values.showAggregate(avg, [-25, 10]), "0.0")
  assert.strictEqual(Values.showAggregate(avg, [45, 1]), "0.5")
  assert.strictEqual(Values.showAggregate(avg, [null, 0]), null)
  assert.strictEqual(json({ n: 2n ** 60n }), '{"n":"1152921504606846976"}')
  assert.deepStrictEqual(Values.bytes(Uint8Array.of(255)), { base64: "/w==" })
})

it("text from data can't steer the terminal or break a table's lines", () => {
  const table = Table.render(
    [{ name: "k" }, { name: "n", align: "right" }],
    [
      ["\u001b[2J\n", "1"],
      ["b", "1,000"]
    ]
  )
  assert.deepStrictEqual(table.split("\n"), [
    "  k                    n",
    "  ───────────────  ─────",
    "  \\u001b[2J\\u000a      1",
    "  b                1,000"
  ])
  assert.strictEqual(oneLine("\u001b[31ma\u001b[0m\n\n  b\n c"), "a. b c")
})

it("compiler errors outside the project aren't the project's", () => {
  const text =
    "views/a.ts(3,7): error TS2322: no.\n../other/b.ts(1,1): error TS1: x.\nnode_modules/c/d.ts(1,1): error TS1: y.\n  more\n"
  assert.deepStrictEqual(TypeCheck.parse(text, "/p"), [{ file: "views/a.ts", line: 3, message: "TS2322: no." }])
})
