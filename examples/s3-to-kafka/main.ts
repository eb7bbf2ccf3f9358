/**
 * A folder of old NDJSON back into a topic, each row once and in order, however often the process dies.
 *
 *   node main.ts [--from ./lake | s3://bucket/prefix] [--prefix orders/] [--key order_id] [--topic orders] [--brokers localhost:9092]
 *
 * Rows are sent in transactions that hold the source's checkpoint too, in a topic of its own, `<topic>.backfill`: start it again and it goes on
 * behind the last of them. A row's key is a field of it, so rows with one key keep their order; a row without it goes to partition 0, as it is.
 * How S3 is reached comes from `S3_…` (`S3ObjectStore.accessConfig`) or the SDK's own settings.
 */
import { parseArgs } from "node:util"
import { BatchBuilder, type ProducerBatch, valueOf } from "@headrace/core/Batch"
import * as Partitioner from "@headrace/core/Partitioner"
import { KafkaDriver, KafkaSink, KafkaSource } from "@headrace/kafka"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { ObjectSource, StoreLocation } from "@headrace/s3"
import { Clock, Effect, Layer, Schema, Stream } from "effect"

const { values } = parseArgs({
  options: {
    from: { type: "string", default: "lake" },
    prefix: { type: "string", default: "orders/" },
    key: { type: "string", default: "order_id" },
    topic: { type: "string", default: "orders" },
    brokers: { type: "string", default: "localhost:9092" }
  }
})
const { key, prefix, topic } = values
const progressTopic = `${topic}.backfill`

const Progress = Schema.fromJsonString(Schema.Struct({ resume: ObjectSource.Checkpoint, keyless: Schema.Int }))
const readProgress = Schema.decodeUnknownEffect(Progress)
const text = new TextDecoder()

/** The key of a row, or null when it has none. */
const keyOfRow = (value: string): string | null => {
  try {
    const row: unknown = JSON.parse(value)
    const found = typeof row === "object" && row !== null ? (row as Readonly<Record<string, unknown>>)[key] : undefined
    return typeof found === "string" || typeof found === "number" ? String(found) : null
  } catch {
    return null
  }
}

const withKeys = (batch: ProducerBatch) => {
  const builder = new BatchBuilder(batch.count, batch.bytes.length)
  let keyless = 0
  for (let i = 0; i < batch.count; i++) {
    const value = valueOf(batch, i)
    const found = value === null ? null : keyOfRow(text.decode(value))
    if (found === null) keyless++
    builder.add(found, value, batch.timestamps[i]!)
  }
  return { keyless, records: builder.take() }
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

const program = Effect.gen(function* () {
  const { admin } = yield* KafkaDriver
  const topics = new Set((yield* admin.topics).map(({ name }) => name))
  if (!topics.has(progressTopic))
    yield* admin.createTopic(progressTopic, { partitions: 1, configs: { "cleanup.policy": "compact" } })
  // Taking the transactional id over ends what a predecessor left open; what is committed then holds.
  const sink = yield* KafkaSink.transactional({
    topic,
    transactionalId: progressTopic,
    compression: "zstd",
    partition: (found, partitions) => (found === null ? 0 : Partitioner.partitionOf(found, partitions))
  })
  const last = yield* KafkaSource.stream({ topic: progressTopic, until: "now" }).pipe(
    Stream.runFold(
      (): string | undefined => undefined,
      (before, batch) => (batch.count === 0 ? before : text.decode(valueOf(batch, batch.count - 1)!))
    )
  )
  const start = last === undefined ? undefined : yield* readProgress(last)
  let { keyless, read } = { keyless: start?.keyless ?? 0, read: start?.resume.offset ?? 0 }

  const tell = yield* meter
  yield* ObjectSource.records({ prefix, from: start?.resume, maxRows: 20_000 }).pipe(
    Stream.runForEach(({ batch, object, resume }) =>
      Effect.gen(function* () {
        const rows = withKeys(batch)
        const progress = new BatchBuilder(1)
        progress.add(prefix, JSON.stringify({ resume, keyless: keyless + rows.keyless }), 0)
        yield* sink.transaction((transaction) =>
          Effect.andThen(
            transaction.write(rows.records),
            transaction.send([{ topic: progressTopic, partition: 0, records: progress.take() }])
          )
        )
        keyless += rows.keyless
        read = resume.offset
        yield* tell(`${object}: sent up to ${read}`, batch.count)
      })
    )
  )
  console.log(`read ${read} = with a key ${read - keyless} + without ${keyless}`)
})

const store = StoreLocation.layer(values.from)
const kafka = Platformatic.layer({ brokers: values.brokers.split(",") })
await Effect.runPromise(Effect.provide(Effect.scoped(program), Layer.merge(store, kafka)))
