/** What the suite's parts share. */
import { assert } from "@effect/vitest"
import { BatchBuilder, type ProducerBatch, valueOf } from "@headrace/core/Batch"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import {
  type Consumer,
  type CreateTopicOptions,
  type Fetched,
  KafkaDriver,
  type Position,
  type TopicInfo
} from "../Driver.ts"
import type { KafkaError } from "../KafkaError.ts"

export const unique = (kind: string) =>
  Effect.map(Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER), (n) => `contract.${kind}.${n.toString(36)}`)

export const newTopic = (options: Partial<CreateTopicOptions> = {}) =>
  Effect.gen(function* () {
    const { admin } = yield* KafkaDriver
    const configs = { "retention.ms": "-1", ...options.configs }
    return yield* admin.createTopic(yield* unique("topic"), { partitions: 1, ...options, configs })
  })

export const text = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes))

/** Records `[from, to)`, with their numbers as values. */
export const numbered = (from: number, to: number, prefix = ""): ProducerBatch => {
  const builder = new BatchBuilder(16, 64)
  for (let i = from; i < to; i++) builder.add(`k${i % 7}`, `${prefix}${i}`, 1_700_000_000_000 + i)
  return builder.take()
}

export const at = (topic: TopicInfo, offset: number, partition = 0): Position => ({
  topic: topic.name,
  topicId: topic.id,
  partition,
  offset
})

export const item = (topic: TopicInfo, records: ProducerBatch, partition = 0) => ({
  topic: topic.name,
  partition,
  records
})

const valuesOf = ({ batch }: Fetched) => Array.from({ length: batch.count }, (_, i) => text(valueOf(batch, i)))

/** Waits until the markers of ended transactions are written: readers of committed records see all that there is. */
const stable = (topic: TopicInfo, partition = 0) =>
  Effect.scoped(
    Effect.gen(function* () {
      const kafka = yield* KafkaDriver
      const uncommitted = yield* kafka.consumer({ isolation: "uncommitted" })
      const position = at(topic, (yield* kafka.admin.offsets(topic.name, "earliest"))[partition]!, partition)
      const [all] = yield* uncommitted.fetch([position], { maxWaitMillis: 1 })
      while ((yield* kafka.admin.offsets(topic.name, "latest"))[partition]! < all!.end) yield* Effect.sleep(5)
    })
  )

/** Everything from an offset to the end: values by offset, and where each fetch ended. Fails the test when batches don't chain. */
export const readAll = (consumer: Consumer, topic: TopicInfo, from = 0, partition = 0) =>
  Effect.gen(function* () {
    yield* stable(topic, partition)
    const values: Array<string | null> = []
    const offsets: Array<number> = []
    const nexts: Array<number> = []
    for (let offset = from; ;) {
      const [found] = yield* consumer.fetch([at(topic, offset, partition)], { maxWaitMillis: 200 })
      const { batch, end } = found!
      assert.strictEqual(batch.base, offset)
      assert.strictEqual(batch.offsets.length, batch.count)
      for (const own of batch.offsets) assert.isTrue(own >= batch.base && own < batch.next, `${own} in its batch`)
      values.push(...valuesOf(found!))
      offsets.push(...batch.offsets)
      nexts.push(batch.next)
      if (batch.next >= end) return { values, offsets, nexts, end }
      assert.isAbove(batch.next, offset, "a fetch before the end goes on")
      offset = batch.next
    }
  })

export const texts = (from: number, to: number, prefix = "") =>
  Array.from({ length: to - from }, (_, i) => `${prefix}${from + i}`)

export const reasonOf = <A, R>(effect: Effect.Effect<A, KafkaError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)
