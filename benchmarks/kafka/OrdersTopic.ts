/** Golden orders as a topic of a broker: order `i` in partition `i % partitions`. */
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { KafkaDriver } from "@headrace/kafka/Driver"
import { Effect } from "effect"
import * as Orders from "example-orders/Orders"
import { partitions } from "../Projects.ts"

/** Of a batch in the topic. */
const batchRecords = 1_000

/** Writes orders to the topic `orders`; gives how many are completed, and the bytes of all keys and values. */
export const prepare = (rows: number) =>
  Effect.gen(function* () {
    const log = yield* EventLog
    yield* log.createTopic("orders", { partitions })
    const { send } = yield* (yield* KafkaDriver).producer()
    const builders = Array.from({ length: partitions }, () => new BatchBuilder(batchRecords, batchRecords * 200))
    const cursor = new Orders.Cursor({ rows })
    let [completed, bytes] = [0, 0]
    for (let more = true; more;) {
      more = false
      for (let n = 0; n < partitions * batchRecords && cursor.next(); n++) {
        more = true
        const { order } = cursor
        if (order.status === "completed") completed++
        builders[order.index % partitions]!.add(Orders.orderId(order.index), Orders.json(order), order.ts)
      }
      for (const builder of builders) bytes += builder.size
      const items = builders.flatMap((builder, partition) =>
        builder.count === 0 ? [] : [{ topic: "orders", partition, records: builder.take() }]
      )
      if (items.length > 0) yield* send(items)
    }
    return { completed, bytes }
  }).pipe(Effect.scoped)
