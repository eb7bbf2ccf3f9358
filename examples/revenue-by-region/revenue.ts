/**
 * A day of orders under `orders/date=2026-03-25/`, in any format that `ObjectSource` reads, to revenue by category and region: Parquet under
 * `revenue/region=…/`, which any reader of Hive-style folders takes. Sums are exact: amounts are whole cents.
 */
import { ColumnWriter, type Field } from "@headrace/parquet"
import { ObjectSource, ObjectStore } from "@headrace/s3"
import { Effect, Schema, Stream } from "effect"

const Order = Schema.Struct({
  category: Schema.String,
  region: Schema.String,
  total: ObjectSource.decimal(2),
  status: Schema.String
})
const schema: ReadonlyArray<Field.Field> = [
  { name: "category", type: { kind: "string" }, required: true },
  { name: "revenue", type: { kind: "decimal", precision: 18, scale: 2 }, required: true },
  { name: "order_count", type: { kind: "long" }, required: true }
]

interface Group {
  revenue: number
  orders: number
}

export const revenueByRegion = Effect.gen(function* () {
  const store = yield* ObjectStore
  const regions = new Map<string, Map<string, Group>>()
  yield* ObjectSource.columns({ prefix: "orders/date=2026-03-25/", schema: Order }).pipe(
    Stream.runForEach(({ batch: { columns, count } }) =>
      Effect.sync(() => {
        const { category, region, status, total } = columns as Record<string, ReadonlyArray<never>>
        for (let i = 0; i < count; i++) {
          if (status![i] !== "completed") continue
          const groups = regions.get(region![i]!) ?? new Map<string, Group>()
          const group = groups.get(category![i]!) ?? { revenue: 0, orders: 0 }
          group.revenue += total![i]!
          group.orders++
          regions.set(region![i]!, groups.set(category![i]!, group))
        }
      })
    )
  )
  for (const [region, groups] of regions) {
    const chunks: Array<Uint8Array> = []
    const writer = yield* ColumnWriter.make({ schema, sink: (chunk) => void chunks.push(chunk) })
    const rows = [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1))
    const values = {
      category: rows.map(([category]) => category),
      revenue: rows.map(([, { revenue }]) => revenue),
      order_count: rows.map(([, { orders }]) => orders)
    }
    yield* writer.writeRowGroup(values, rows.length)
    yield* writer.finish()
    yield* store.putStream(`revenue/region=${region}/part-0.parquet`, Stream.fromIterable(chunks))
  }
})
