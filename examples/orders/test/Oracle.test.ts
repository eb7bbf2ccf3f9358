import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import { answerA, answerB, answerC, answerD, isLate, outOfOrdernessC, outOfOrdernessD } from "../src/Oracle.ts"
import { forEachOrder, orderId } from "../src/Orders.ts"

const golden = (name: string): string => {
  const bytes = readFileSync(new URL(`../golden/${name}`, import.meta.url))
  return (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8")
}

/** Not `strictEqual`, whose difference of a megabyte of text takes minutes to print. */
const assertSame = (actual: string, expected: string) => {
  if (actual === expected) return
  const lines = expected.split("\n")
  const at = actual.split("\n").findIndex((line, i) => line !== lines[i])
  assert.fail(`line ${at + 1} is ${actual.split("\n")[at]}, expected ${lines[at]}`)
}

/** The sum of a column over all rows, decimals as they stand without their point. */
const total = (csv: string, column: string): number => {
  const [header, ...rows] = csv.trimEnd().split("\n")
  const at = header!.split(",").indexOf(column)
  return rows.reduce((sum, row) => sum + Number(row.split(",")[at]!.replace(".", "")), 0)
}

const rows = 100_000

describe("Oracle", () => {
  it("answers (a) as PySpark did", () => assertSame(answerA({ rows }), golden("a_oracle.csv.gz")))
  it("answers (b) as dbt on DuckDB did", () => assertSame(answerB({ rows }), golden("b_oracle.csv.gz")))
  it("answers (c) as Flink did", () => {
    const answer = answerC({ rows, partitions: 1 })
    assertSame(answer.csv, golden("c_flink.csv.gz"))
    assertSame(answer.dropped.join("\n") + "\n", golden("c_dropped_order_ids.txt"))
    assert.strictEqual(answer.dropped.length, 100)
  })
  it("answers (d) as Kafka Streams did", () => {
    const answer = answerD({ rows, partitions: 1 })
    assertSame(answer.csv, golden("d_streams.csv.gz"))
    assertSame(answer.dropped.join("\n") + "\n", golden("d_dropped_order_ids.txt"))
    assert.strictEqual(answer.dropped.length, 113)
  })

  it("loses nothing in any number of partitions: in the answer or dropped", () => {
    let completed = 0
    forEachOrder({ rows }, (order) => {
      if (order.status === "completed") completed++
    })
    for (const partitions of [1, 2, 3, 4, 7, 64]) {
      const c = answerC({ rows, partitions })
      const d = answerD({ rows, partitions })
      assert.strictEqual(total(c.csv, "order_count") + c.dropped.length, rows)
      assert.strictEqual(total(d.csv, "count") + d.dropped.length, completed)
    }
  })

  it("judges lateness in each partition by itself", () => {
    // The rule once more, partition by partition instead of in arrival order.
    const partitions = 4
    const orders: Array<{ readonly id: string; readonly partition: number; readonly ts: number }> = []
    forEachOrder({ rows }, (o) => orders.push({ id: orderId(o.index), partition: o.index % partitions, ts: o.ts }))
    const expected: Array<string> = []
    for (let p = 0; p < partitions; p++) {
      let watermark = Number.NEGATIVE_INFINITY
      for (const o of orders.filter((order) => order.partition === p)) {
        const lastOfWindow = o.ts - (o.ts % 60_000) + 59_999
        if (watermark >= lastOfWindow) expected.push(o.id)
        watermark = Math.max(watermark, o.ts - 5_000)
      }
    }
    assert.deepStrictEqual(answerC({ rows, partitions }).dropped.toSorted(), expected.toSorted())
  })

  it("calls an order late to the millisecond as Flink and Kafka Streams do", () => {
    for (const ts of [0, 59_999]) {
      assert.isFalse(isLate(undefined, ts, 0))
      // Flink: the watermark has reached 59,999.
      assert.isFalse(isLate(64_998, ts, outOfOrdernessC))
      assert.isTrue(isLate(64_999, ts, outOfOrdernessC))
      // Kafka Streams: stream time has reached 60,000.
      assert.isFalse(isLate(59_999, ts, outOfOrdernessD))
      assert.isTrue(isLate(60_000, ts, outOfOrdernessD))
    }
    assert.isFalse(isLate(64_999, 60_000, outOfOrdernessC))
  })

  it("rounds half a cent up", () => {
    // So few orders that many groups have two of them, with an odd number of cents.
    const groups = answerA({ rows: 300 }).trimEnd().split("\n").slice(1)
    const halves = groups
      .map((line) =>
        line
          .split(",")
          .slice(2)
          .map((cell) => Number(cell.replace(".", "")))
      )
      .filter(([cents, count]) => count === 2 && cents! % 2 === 1)
    assert.isNotEmpty(halves)
    for (const [cents, , average] of halves) assert.strictEqual(average, (cents! + 1) / 2)
  })

  it("drops nothing where each order is alone in its partition", () => {
    assert.deepStrictEqual(answerC({ rows: 2_000, partitions: 2_000 }).dropped, [])
    assert.throws(() => answerC({ rows: 1, partitions: 0 }), RangeError)
  })

  it("has an answer for no orders", () => {
    assert.strictEqual(answerA({ rows: 0 }), "category,region,revenue,order_count,avg_order_value\n")
    assert.deepStrictEqual(answerD({ rows: 0, partitions: 3 }), {
      csv: "window_start_ms,category,count\n",
      dropped: []
    })
  })
})
