/** A topic that is deleted under a source and a sink: both end with an error that names it, and go on where they can when it is there again. */
import { assert, layer } from "@effect/vitest"
import { BatchBuilder, type ProducerBatch } from "@headrace/core/Batch"
import { KafkaDriver, KafkaSink, KafkaSource } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Effect, Fiber, Random, Stream } from "effect"
import { withBroker } from "./broker.ts"

const numbered = (from: number, to: number): ProducerBatch => {
  const builder = new BatchBuilder()
  for (let i = from; i < to; i++) builder.add(`k${i}`, `${i}`, 1_700_000_000_000 + i)
  return builder.take()
}

withBroker((brokers) => {
  for (const [name, driver] of [
    ["@platformatic/kafka", Platformatic.layer],
    ["kafkajs", KafkaJs.layer]
  ] as const)
    layer(driver({ brokers }), { timeout: "60 seconds", excludeTestServices: true })(
      `a deleted topic: ${name}`,
      (it) => {
        it.effect("ends its source and its sink, which name it; its heir of the same name is told from it", () =>
          Effect.gen(function* () {
            const { admin } = yield* KafkaDriver
            const topic = `deleted.${(yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)}`
            const options = { partitions: 2, configs: { "retention.ms": "-1" } }
            const { id } = yield* admin.createTopic(topic, options)
            const { flush, write } = yield* KafkaSink.make({ topic })
            yield* write(numbered(0, 100))
            yield* flush
            const next = new Map<number, number>()
            const reading = yield* Effect.forkChild(
              Stream.runForEach(KafkaSource.stream({ topic, maxWaitMillis: 50 }), (batch) =>
                Effect.sync(() => void next.set(batch.partition, batch.next))
              )
            )
            const read = () => [...next.values()].reduce((sum, offset) => sum + offset, 0)
            while (read() < 100) yield* Effect.sleep(10)

            yield* admin.deleteTopic(topic)
            const gone = yield* Effect.flip(Fiber.join(reading))
            assert.deepInclude(gone.reason, { _tag: "TopicNotFound", topic })
            const refused = yield* Effect.flip(Effect.andThen(write(numbered(100, 200)), flush))
            assert.deepInclude(refused.reason, { _tag: "TopicNotFound", topic })
            for (const { message } of [gone, refused]) assert.match(message, new RegExp(`"${topic}" .+: .+`))

            yield* admin.createTopic(topic, options)
            const resumed = KafkaSource.stream({ topic, topicId: id, start: next, until: "now" })
            const { reason } = yield* Effect.flip(Stream.runDrain(resumed))
            assert.deepInclude(reason, { _tag: "TopicRecreated", topic, expected: id })
            assert.include(reason.message, "start from its beginning with a new state")
            const anew = yield* Stream.run(Stream.make(numbered(100, 200)), KafkaSink.sink({ topic }))
            assert.strictEqual(
              [...anew.values()].reduce((sum, offset) => sum + offset, 0),
              100
            )
          }).pipe(Effect.scoped)
        )
      }
    )
})
