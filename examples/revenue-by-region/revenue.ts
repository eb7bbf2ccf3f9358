/**
 * A day of orders under `orders/date=2026-03-25/`, in any format that `ObjectSource` reads, to revenue by category and region: Parquet under
 * `revenue/region=…/`, which any reader of Hive-style folders takes. Sums are exact: amounts are whole cents. The day's result is written once,
 * whole, however often this is started.
 */
import { ObjectSink, ObjectSource } from "@headrace/s3"
import { Effect, Schema, Stream } from "effect"

const Order = Schema.Struct({
  category: Schema.String,
  region: Schema.String,
  total: ObjectSource.decimal(2),
  status: Schema.String
})
export const Revenue = Schema.Struct({
  category: Schema.String,
  region: Schema.String,
  revenue: ObjectSource.decimal(2),
  order_count: Schema.Int
})

export const revenueByRegion = Effect.gen(function* () {
  const groups = new Map<string, typeof Revenue.Type>()
  yield* ObjectSource.columns({ prefix: "orders/date=2026-03-25/", schema: Order }).pipe(
    Stream.runForEach(({ batch: { columns, count } }) =>
      Effect.sync(() => {
        const orders = columns as Record<"category" | "region" | "status", ReadonlyArray<string>>
        for (let i = 0; i < count; i++) {
          if (orders.status[i] !== "completed") continue
          const [category, region, total] = [orders.category[i]!, orders.region[i]!, columns["total"]![i] as number]
          const { order_count, revenue } = groups.get(`${region}\n${category}`) ?? { order_count: 0, revenue: 0 }
          groups.set(`${region}\n${category}`, {
            category,
            region,
            revenue: revenue + total,
            order_count: order_count + 1
          })
        }
      })
    )
  )
  const rows = [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
  const column = (name: keyof typeof Revenue.Type) => rows.map((row) => row[name])
  const batch = {
    topic: "revenue",
    partition: 0,
    base: 0,
    next: rows.length,
    count: rows.length,
    offsets: Float64Array.from(rows, (_, i) => i),
    columns: Object.fromEntries((["category", "region", "revenue", "order_count"] as const).map((n) => [n, column(n)])),
    kinds: undefined,
    poison: new Map()
  }
  const format = { kind: "parquet" } as const
  const sink = { name: "revenue-2026-03-25", prefix: "revenue", schema: Revenue, format, path: "region={region}" }
  return yield* ObjectSink.run(sink, () => Stream.make({ batch }))
})
