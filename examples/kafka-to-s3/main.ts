/**
 * A topic of orders into Parquet files by date and region, each order once, however often the process dies.
 *
 *   node main.ts [--topic orders] [--to ./lake | s3://bucket/prefix] [--brokers localhost:9092] [--file-bytes 134217728] [--follow]
 *
 * It copies what the topic holds when it starts, or with `--follow` goes on for ever. Offsets are committed with the files; start it again and it
 * goes on where they end. What isn't an order is kept beside, as NDJSON. How S3 is reached comes from `S3_…` (`S3ObjectStore.accessConfig`) or
 * the SDK's own settings.
 */
import { parseArgs } from "node:util"
import * as JsonCodec from "@headrace/core/JsonCodec"
import * as TopicSchema from "@headrace/core/TopicSchema"
import { KafkaSource } from "@headrace/kafka"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { ObjectSink, StoreLocation } from "@headrace/s3"
import { Clock, Effect, Layer, Schema, Stream } from "effect"

const { values } = parseArgs({
  options: {
    topic: { type: "string", default: "orders" },
    to: { type: "string", default: "lake" },
    brokers: { type: "string", default: "localhost:9092" },
    "file-bytes": { type: "string", default: "134217728" },
    follow: { type: "boolean", default: false }
  }
})

const Order = TopicSchema.make(
  Schema.Struct({
    order_id: Schema.String,
    region: Schema.String,
    status: Schema.Literals(["completed", "pending", "cancelled"]),
    total: TopicSchema.decimal(2),
    ts: TopicSchema.instant,
    coupon: Schema.optionalKey(Schema.String)
  })
)
const codec = JsonCodec.make(Order)
const columns = Order.columns.map(({ name }) => name)

const options: ObjectSink.Options = {
  name: values.topic.toLowerCase().replaceAll(/[^a-z0-9-]/g, "-"),
  prefix: "orders",
  schema: Order,
  format: { kind: "parquet" },
  path: "date={ts:yyyy-MM-dd}/region={region}",
  roll: { bytes: Number(values["file-bytes"]), age: "10 minutes" },
  late: { column: "ts", after: "5 minutes", age: "1 day" }
}

/** Tells on stderr how far it is, and how fast. */
const meter = Effect.map(Clock.currentTimeMillis, (began) => {
  let rows = 0
  return (where: string, more: number) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      rows += more
      console.error(`${where}; ${rows} rows, ${Math.round((1000 * rows) / Math.max(1, now - began))} a second`)
    })
})

const source = (start: ObjectSink.ObjectSink["start"]) =>
  Stream.unwrap(
    Effect.map(meter, (tell) =>
      KafkaSource.stream({
        topic: values.topic,
        partitionBytes: 1 << 20,
        start: new Map([...start].map(([partition, { next }]) => [partition, next])),
        ...(values.follow ? {} : { until: "now" })
      }).pipe(
        Stream.mapEffect((records) => Effect.map(codec.decode(records, columns), (batch) => ({ batch }))),
        Stream.tap(({ batch }) => tell(`partition ${batch.partition}: read up to ${batch.next}`, batch.count))
      )
    )
  )

const program = Effect.gen(function* () {
  const { bytes, files, partitions } = yield* ObjectSink.run(options, source)
  for (const [partition, { bad, next, read, tombstones, written }] of partitions)
    console.log(
      `partition ${partition}: next ${next}, read ${read} = written ${written} + bad ${bad} + tombstones ${tombstones}`
    )
  console.log(`${files} files, ${bytes} bytes`)
})

const store = StoreLocation.layer(values.to)
const kafka = Platformatic.layer({ brokers: values.brokers.split(",") })
await Effect.runPromise(Effect.provide(program, Layer.merge(store, kafka)))
