/** The four golden questions as views. */
import { Aggregate, decimal, instant, Log, View, Window } from "@headrace/kappa"
import { Schema } from "effect"

export class Order extends Schema.Class<Order>("Order")({
  order_id: Schema.String,
  user_id: Schema.String,
  category: Schema.String,
  region: Schema.String,
  total: decimal(2),
  status: Schema.String,
  ts: instant
}) {}

const orders = Log.topic("orders", { value: Order })

/** Completed orders by category and region. */
export const byRegion = View.aggregate(
  "revenue_by_region",
  orders.pipe(
    Log.select("category", "region", "total", "status"),
    Log.where((o) => o.status === "completed")
  ),
  {
    version: 1,
    by: { category: "category", region: "region" },
    values: {
      revenue: Aggregate.sum("total"),
      order_count: Aggregate.count,
      avg_order_value: Aggregate.avg("total", { places: 2 })
    }
  }
)

/** Completed orders by day, region and category. */
export const byDay = View.aggregate(
  "revenue_by_day",
  orders.pipe(
    Log.select("category", "region", "total", "status", "user_id", "ts"),
    Log.where((o) => o.status === "completed")
  ),
  {
    version: 1,
    by: {
      order_date: { of: (o) => Math.floor(o.ts / 86_400_000), type: { kind: "date" } },
      region: "region",
      category: "category"
    },
    values: {
      order_count: Aggregate.count,
      revenue: Aggregate.sum("total"),
      avg_order_value_exact6: Aggregate.avg("total", { places: 6 }),
      distinct_users: Aggregate.countDistinct("user_id")
    }
  }
)

/** All orders by minute and category, 5 s out of order: what Flink answered. */
export const perMinute = View.aggregate(
  "revenue_per_minute",
  orders.pipe(Log.select("category", "total", "ts"), Log.eventTime("ts", { outOfOrderness: "5 seconds" })),
  {
    version: 1,
    by: { category: "category" },
    window: Window.tumbling("1 minute"),
    values: {
      revenue: Aggregate.sum("total"),
      order_count: Aggregate.count,
      avg_order_value: Aggregate.avg("total", { places: 6 })
    }
  }
)

/** Completed orders by minute and category; event time stands after the filter, without grace: what Kafka Streams answered. */
export const completedPerMinute = View.aggregate(
  "completed_per_minute",
  orders.pipe(
    Log.select("category", "status", "ts"),
    Log.where((o) => o.status === "completed"),
    Log.eventTime("ts", { outOfOrderness: "1 millis" })
  ),
  {
    version: 1,
    by: { category: "category" },
    window: Window.tumbling("1 minute"),
    values: { count: Aggregate.count }
  }
)
