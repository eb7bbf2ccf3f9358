import { assert, it } from "@effect/vitest"
import { ColumnReader } from "@headrace/parquet"
import { MemoryObjectStore, ObjectSource, ObjectStore } from "@headrace/s3"
import { Effect, Stream } from "effect"
import { csv, decimal, integer, text } from "example-orders/GoldenCsv"
import { answerA } from "example-orders/Oracle"
import { makeOrders } from "../orders.ts"
import { revenueByRegion } from "../revenue.ts"

it.effect("answers as the oracle does, from Parquet partitioned by region", () =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const options = { rows: 50_000 }
    assert.isAbove(yield* makeOrders(options), 1)
    yield* revenueByRegion
    const rows: Array<readonly [category: string, region: string, revenue: number, orders: number]> = []
    for (const { key } of yield* Stream.runCollect(store.list("revenue/"))) {
      const region = ObjectSource.partitionsOf(key)["region"]!
      const file = yield* ColumnReader.open(ColumnReader.fromBytes(key, yield* store.get(key)))
      const { columns, rowCount } = yield* ColumnReader.readRowGroup(file, 0, ["category", "revenue", "order_count"])
      for (let i = 0; i < rowCount; i++)
        rows.push([
          columns["category"]![i] as string,
          region,
          columns["revenue"]![i] as number,
          columns["order_count"]![i] as number
        ])
    }
    const found = csv(
      ["category", "region", "revenue", "order_count"],
      rows.map(([category, region, revenue, orders]) => [
        text(category),
        text(region),
        decimal(revenue, 2),
        integer(orders)
      ])
    )
    const expected = answerA(options)
      .trimEnd()
      .split("\n")
      .map((line) => line.split(",").slice(0, 4).join(","))
    assert.deepStrictEqual(found.trimEnd().split("\n"), expected)
  }).pipe(Effect.provide(MemoryObjectStore.layer))
)
