/** The suite's views as the reference fold describes them. */
import { Decimal } from "@headrace/core"
import type { OrderRow, Topic } from "../reference/Records.ts"
import * as Reference from "../reference/ReferenceFold.ts"

export const shapes = ["everything", "completed", "forever"] as const
export type Shape = (typeof shapes)[number]

/** As a late record keeps it: a decimal is its exact text. */
type Row = Omit<OrderRow, "total"> & { readonly total: string; readonly scaled: number }

const minute = 60_000

export const describe = (shape: Shape, topic: Topic): Reference.Description<Row> => {
  const decode = (text: string): Reference.Decoded<Row> => {
    const decoded = topic.decode(text)
    if (!decoded.ok) return decoded
    return { ok: true, row: { ...decoded.row, total: Decimal.format(decoded.row.total, 2), scaled: decoded.row.total } }
  }
  const common = { decode, eventTime: (o: Row) => o.ts }
  switch (shape) {
    case "everything":
      return {
        ...common,
        outOfOrderness: 5_000,
        eventTimeAfterFilter: false,
        keys: [["category", (o) => o.category]],
        windowSize: minute,
        aggregates: [
          { name: "revenue", kind: "sum", value: (o) => o.scaled },
          { name: "orders", kind: "count" },
          { name: "average", kind: "avg", value: (o) => o.scaled },
          { name: "cheapest", kind: "min", value: (o) => o.scaled },
          { name: "dearest", kind: "max", value: (o) => o.scaled },
          { name: "first", kind: "min", value: (o) => o.ts },
          { name: "customers", kind: "countDistinct", value: (o) => o.user_id }
        ],
        lateColumns: ["order_id", "user_id", "category", "region", "total", "status", "ts"]
      }
    case "completed":
      return {
        ...common,
        where: (o) => o.status === "completed",
        outOfOrderness: 1,
        eventTimeAfterFilter: true,
        keys: [
          ["region", (o) => o.region],
          ["category", (o) => o.category]
        ],
        windowSize: minute,
        aggregates: [
          { name: "orders", kind: "count" },
          { name: "customers", kind: "countDistinct", value: (o) => o.user_id }
        ],
        lateColumns: ["status", "category", "region", "user_id", "ts"]
      }
    case "forever":
      return {
        ...common,
        where: (o) => o.status === "completed",
        outOfOrderness: 0,
        eventTimeAfterFilter: true,
        keys: [["category", (o) => o.category]],
        windowSize: undefined,
        aggregates: [
          { name: "revenue", kind: "sum", value: (o) => o.scaled },
          { name: "average", kind: "avg", value: (o) => o.scaled },
          { name: "large", kind: "sum", value: (o) => (o.scaled >= 25_000 ? 1 : 0) },
          { name: "customers", kind: "countDistinct", value: (o) => o.user_id }
        ],
        lateColumns: []
      }
  }
}
