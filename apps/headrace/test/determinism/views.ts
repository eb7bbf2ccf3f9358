/** The views of the determinism suite, each in several versions that declare the same. */
import { Aggregate, decimal, instant, Log, View, Window } from "@headrace/kappa"
import { Schema } from "effect"

const Order = Schema.Struct({
  order_id: Schema.String,
  user_id: Schema.String,
  category: Schema.String,
  region: Schema.optionalKey(Schema.NullOr(Schema.String)),
  total: decimal(2),
  status: Schema.String,
  ts: instant
})

/** All records move the event time; every aggregate; every column is kept of a late record. */
const everything = (version: number) =>
  View.aggregate("everything", Log.topic("orders", { value: Order, eventTime: "ts", outOfOrderness: "5 seconds" }), {
    version,
    by: { category: "category" },
    window: Window.tumbling("1 minute"),
    values: {
      revenue: Aggregate.sum("total"),
      orders: Aggregate.count,
      average: Aggregate.avg("total", { places: 6 }),
      cheapest: Aggregate.min("total"),
      dearest: Aggregate.max("total"),
      first: Aggregate.min("ts"),
      customers: Aggregate.countDistinct("user_id")
    }
  })

/** The event time stands after the filter; two keys, one of which may be null. */
const completed = (version: number) =>
  View.aggregate(
    "completed",
    Log.topic("orders", { value: Order }).pipe(
      Log.select("status", "category", "region", "user_id", "ts"),
      Log.where((o) => o.status === "completed"),
      Log.eventTime("ts", { outOfOrderness: 1 })
    ),
    {
      version,
      by: { region: "region", category: (o) => o.category },
      window: Window.tumbling("1 minute"),
      values: { orders: Aggregate.count, customers: Aggregate.countDistinct((o) => o.user_id) }
    }
  )

/** No windows: nothing is late. */
const forever = (version: number) =>
  View.aggregate(
    "forever",
    Log.topic("orders", { value: Order }).pipe(
      Log.select("category", "total", "user_id", "status", "ts"),
      Log.where((o) => o.status === "completed"),
      Log.eventTime("ts")
    ),
    {
      version,
      by: { category: "category" },
      values: {
        revenue: Aggregate.sum("total"),
        average: Aggregate.avg("total"),
        large: Aggregate.countIf((o) => o.total >= 250),
        customers: Aggregate.countDistinct("user_id")
      }
    }
  )

export const [everything1, everything2, everything3] = [everything(1), everything(2), everything(3)]
export const [completed1, completed2, completed3] = [completed(1), completed(2), completed(3)]
export const [forever1, forever2, forever3] = [forever(1), forever(2), forever(3)]
