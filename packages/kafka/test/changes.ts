/** Reads what a topic holds for readers of committed records, once all transactions on it have ended. */
import { type RecordBatch, keyOf, valueOf } from "@headrace/core/Batch"
import type { Change } from "@headrace/core/ChangeSink"
import { KafkaDriver, KafkaSource } from "@headrace/kafka"
import { Effect, Stream } from "effect"

const text = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes))

const recordsOf = (batch: RecordBatch): ReadonlyArray<Change> =>
  Array.from({ length: batch.count }, (_, i) => ({ key: text(keyOf(batch, i)) ?? "", value: text(valueOf(batch, i)) }))

/** Keys and values, those of a partition in order. */
export const committed = (topic: string): Effect.Effect<ReadonlyArray<Change>, never, KafkaDriver> =>
  Effect.gen(function* () {
    const { admin, consumer } = yield* KafkaDriver
    const { id, partitions } = yield* admin.describeTopic(topic)
    const uncommitted = yield* consumer({ isolation: "uncommitted" })
    const earliest = yield* admin.offsets(topic, "earliest")
    const positions = earliest.map((offset, partition) => ({ topic, topicId: id, partition, offset }))
    const until = new Map<number, number>()
    while (until.size < partitions)
      for (const { batch, end } of yield* uncommitted.fetch(positions, { maxWaitMillis: 1 }))
        until.set(batch.partition, end)
    const batches = yield* Stream.runCollect(KafkaSource.stream({ topic, until }))
    return Array.from(batches).flatMap(recordsOf)
  }).pipe(Effect.scoped, Effect.orDie)
