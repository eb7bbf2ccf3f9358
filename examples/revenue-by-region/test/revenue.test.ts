import { assert, it } from "@effect/vitest"
import { MemoryObjectStore, ObjectSource } from "@headrace/s3"
import { Effect, Stream } from "effect"
import { csv, decimal, integer, text } from "example-orders/GoldenCsv"
import { answerA } from "example-orders/Oracle"
import { makeOrders } from "../orders.ts"
import { Revenue, revenueByRegion } from "../revenue.ts"

it.live("answers as the oracle does, from Parquet partitioned by region", () =>
  Effect.gen(function* () {
    const options = { rows: 50_000 }
    assert.isAbove(yield* makeOrders(options), 1)
    const report = yield* revenueByRegion
    assert.isAbove(report.files, 1)
    // Started again, it writes nothing more.
    assert.deepInclude(yield* revenueByRegion, { files: report.files, rows: report.rows })
    const found = yield* Stream.runCollect(ObjectSource.columns({ prefix: "revenue/", schema: Revenue }))
    const lines = found.flatMap(({ batch: { columns, count }, object }) =>
      Array.from({ length: count }, (_, i) => {
        const region = columns["region"]![i] as string
        assert.strictEqual(ObjectSource.partitionsOf(object)["region"], region)
        return [
          text(columns["category"]![i] as string),
          text(region),
          decimal(columns["revenue"]![i] as number, 2),
          integer(columns["order_count"]![i] as number)
        ]
      })
    )
    const expected = answerA(options)
      .trimEnd()
      .split("\n")
      .map((line) => line.split(",").slice(0, 4).join(","))
    assert.deepStrictEqual(csv(["category", "region", "revenue", "order_count"], lines).trimEnd().split("\n"), expected)
  }).pipe(Effect.provide(MemoryObjectStore.layer))
)
