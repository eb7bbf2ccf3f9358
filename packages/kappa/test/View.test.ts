import { assert, describe, it } from "@effect/vitest"
import { decimal, instant } from "@headrace/core/TopicSchema"
import { Aggregate, Log, View, Window } from "@headrace/kappa"
import { Schema } from "effect"

class Order extends Schema.Class<Order>("Order")({
  order_id: Schema.String,
  user_id: Schema.String,
  category: Schema.String,
  total: decimal(2),
  weight: Schema.Finite,
  status: Schema.Literals(["completed", "cancelled"]),
  note: Schema.NullOr(Schema.String),
  ts: instant
}) {}

const orders = Log.topic("orders", { value: Order, eventTime: "ts", outOfOrderness: "5 seconds" })

const revenue = View.aggregate(
  "revenue",
  orders.pipe(
    Log.select("category", "total", "status", "user_id", "ts"),
    Log.where((o) => o.status === "completed")
  ),
  {
    version: 1,
    by: {
      category: (o) => o.category,
      status: "status",
      hour: { of: (o) => Math.floor(o.ts / 3_600_000), type: { kind: "integer" } }
    },
    window: Window.tumbling("1 minute"),
    values: {
      revenue: Aggregate.sum("total"),
      orders: Aggregate.count,
      large: Aggregate.countIf((o) => o.total > 100),
      average: Aggregate.avg("total", { places: 2 }),
      customers: Aggregate.countDistinct("user_id")
    }
  }
)

describe("View", () => {
  it("resolves columns to their types", () => {
    assert.deepStrictEqual(View.spec(revenue, "").aggregates, [
      { name: "revenue", kind: "sum", type: { kind: "decimal", scale: 2 } },
      { name: "orders", kind: "count" },
      { name: "large", kind: "count" },
      { name: "average", kind: "avg", type: { kind: "decimal", scale: 2 }, places: 2 },
      { name: "customers", kind: "countDistinct", type: { kind: "string" } }
    ])
    assert.deepStrictEqual(
      revenue.keys.map((k) => k.type.kind),
      ["string", "string", "integer"]
    )
  })

  it("refuses what it can't keep exact or name, and says what", () => {
    const of = (change: object) => () => View.aggregate("v", orders, { version: 1, by: {}, values: {}, ...change })
    assert.throws(of({ values: { w: Aggregate.sum("weight") } }), /floating-point column "weight"/)
    assert.throws(of({ values: { w: Aggregate.sum("category") } }), /needs integers or decimals/)
    assert.throws(of({ values: { "a b": Aggregate.count } }), /"a b" can't be a name/)
    assert.throws(of({ by: { x: "category" }, values: { X: Aggregate.count } }), /used twice/)
    assert.throws(of({ version: 0 }), /whole number from 1/)
    assert.throws(of({ by: { x: "nowhere" } }), /isn't selected/)
    assert.throws(() => Log.topic("t", { value: Order }).pipe(Log.eventTime("total")), /must be an instant/)
    assert.throws(() => orders.pipe(Log.select("category")), /must include its event time/)
    assert.throws(
      () =>
        View.aggregate("v", Log.topic("t", { value: Order }), {
          version: 1,
          by: {},
          values: {},
          window: Window.tumbling(1)
        }),
      /needs an event time/
    )
    assert.throws(
      () => Log.topic("t", { value: Schema.Struct({ a: Schema.Array(Schema.String) }) }),
      /field "a" can't be a column/
    )
  })
})
