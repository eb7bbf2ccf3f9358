/** The golden orders as a topic: order `i` goes to partition `i % partitions`, its key is its id, its record timestamp its event time. */
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { Effect } from "effect"
import * as Orders from "./Orders.ts"

type Options = Orders.Options & { readonly partitions: number }

/** Creates the topic and appends the orders. */
export const append = (topic: string, options: Options) =>
  Effect.andThen(
    EventLog.use((log) => log.createTopic(topic, options)),
    fill(topic, options)
  )

/** Appends the orders to a topic of so many partitions. */
export const fill = (topic: string, options: Options) =>
  Effect.gen(function* () {
    const log = yield* EventLog
    const builders = Array.from({ length: options.partitions }, () => new BatchBuilder(16_384))
    const cursor = new Orders.Cursor(options)
    const flush = Effect.suspend(() =>
      Effect.forEach(
        builders,
        (builder, partition) => (builder.count === 0 ? Effect.void : log.append(topic, partition, builder.take())),
        { discard: true }
      )
    )
    for (let more = true; more;) {
      more = false
      for (let n = 0; n < 65_536 && cursor.next(); n++) {
        more = true
        const { order } = cursor
        builders[order.index % options.partitions]!.add(Orders.orderId(order.index), Orders.json(order), order.ts)
      }
      yield* flush
    }
  })
