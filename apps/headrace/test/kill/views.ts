/** The view of the kill suite in two versions: revenue by hour and category; the second one counts customers too. */
import { Aggregate, Log, View, Window } from "@headrace/kappa"
import { Order } from "../../../../examples/orders/src/views.ts"

const completed = Log.topic("orders", { value: Order }).pipe(
  Log.select("category", "total", "status", "user_id", "ts"),
  Log.where((o) => o.status === "completed"),
  Log.eventTime("ts", { outOfOrderness: "5 seconds" })
)

const common = {
  by: { category: "category" },
  window: Window.tumbling("1 hour"),
  values: { revenue: Aggregate.sum("total"), orders: Aggregate.count }
} as const

export const first = View.aggregate("revenue", completed, { version: 1, ...common })
export const second = View.aggregate("revenue", completed, {
  version: 2,
  ...common,
  values: { ...common.values, customers: Aggregate.countDistinct("user_id") }
})
