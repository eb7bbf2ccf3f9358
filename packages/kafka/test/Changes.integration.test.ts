/** Change streams on Kafka: the contract, by both drivers, and what the progress topic must withstand. */
import { assert, layer } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { type Change, type ChangeSinkError, type ChangeStream } from "@headrace/core/ChangeSink"
import * as ChangeSinkContract from "@headrace/core/contract/ChangeSinkContract"
import { KafkaChanges, KafkaDriver } from "@headrace/kafka"
import { newTopic, unique } from "@headrace/kafka/contract/Fixtures"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Effect, Fiber, Layer, Stream } from "effect"
import { withBroker } from "./broker.ts"
import { committed } from "./changes.ts"

const read = (stream: ChangeStream): Effect.Effect<ReadonlyArray<Change>, never, KafkaDriver> => committed(stream.topic)

const progress = (next: number) => ({ declaration: "d", topicId: "t", next: [{ partition: 0, next }] })
const streamOf = Effect.map(unique("changes"), (topic): ChangeStream => ({ view: "v", version: 1, topic }))
const reasonOf = <A, R>(effect: Effect.Effect<A, ChangeSinkError, R>) =>
  Effect.map(Effect.flip(effect), (e) => e.reason)

const one = (key: string, value: string) => {
  const builder = new BatchBuilder(1)
  builder.add(key, value, 1)
  return builder.take()
}

withBroker((brokers) => {
  for (const [name, driver] of [
    ["@platformatic/kafka", Platformatic.layer],
    ["kafkajs", KafkaJs.layer]
  ] as const)
    ChangeSinkContract.suite(
      `Kafka by ${name}`,
      Layer.provideMerge(
        KafkaChanges.layer({ partitions: 3, progressTopic: "contract.progress" }),
        driver({ brokers })
      ),
      read
    )

  layer(Platformatic.layer({ brokers }), { timeout: "60 seconds", excludeTestServices: true })("KafkaChanges", (it) => {
    it.effect("waits for the progress that another stream's open transaction hides", () =>
      Effect.gen(function* () {
        const { transactional } = yield* KafkaDriver
        const stream = yield* streamOf
        const progressTopic = yield* unique("progress")
        const sink = yield* KafkaChanges.make({ progressTopic })
        const { publish } = yield* sink.open(stream)
        yield* publish(Stream.empty, progress(1))
        const other = yield* transactional({ transactionalId: yield* unique("other") })
        yield* other.begin
        yield* other.send([{ topic: progressTopic, partition: 0, records: one("other", "{}") }])
        yield* publish(Stream.empty, progress(2))
        const heir = yield* Effect.forkChild(sink.open(stream))
        yield* Effect.sleep(700)
        assert.isUndefined(heir.pollUnsafe())
        yield* other.abort
        assert.deepStrictEqual((yield* Fiber.join(heir)).progress, progress(2))
      })
    )

    it.effect("reads what its predecessor published until the very moment in which it was fenced", () =>
      Effect.gen(function* () {
        const driver = yield* KafkaDriver
        const stream = yield* streamOf
        const progressTopic = yield* unique("progress")
        const zombie = yield* (yield* KafkaChanges.make({ progressTopic })).open(stream)
        const late = KafkaDriver.of({
          ...driver,
          transactional: (options) =>
            Effect.andThen(Effect.orDie(zombie.publish(Stream.empty, progress(7))), driver.transactional(options))
        })
        const heir = yield* Effect.provideService(KafkaChanges.make({ progressTopic }), KafkaDriver, late)
        assert.deepStrictEqual((yield* heir.open(stream)).progress, progress(7))
      })
    )

    it.effect("refuses a progress topic that may forget, and progress that it can't read", () =>
      Effect.gen(function* () {
        const { producer } = yield* KafkaDriver
        const stream = yield* streamOf
        const forgetful = yield* newTopic({ configs: { "cleanup.policy": "delete" } })
        const refused = yield* reasonOf(
          Effect.flatMap(KafkaChanges.make({ progressTopic: forgetful.name }), (sink) => sink.open(stream))
        )
        assert.strictEqual(refused._tag, "ProgressUnreadable")
        assert.include(refused.message, "cleanup.policy=delete")
        const { name: progressTopic } = yield* newTopic({ configs: { "cleanup.policy": "compact" } })
        const sink = yield* KafkaChanges.make({ progressTopic })
        const { send } = yield* producer()
        const key = JSON.stringify({ view: "v", version: 1, topic: stream.topic })
        for (const [value, tag] of [
          ["no json", "ProgressUnreadable"],
          ['{"format":1,"next":[]}', "ProgressUnreadable"],
          ['{"format":2}', "NewerFormat"]
        ] as const) {
          yield* send([{ topic: progressTopic, partition: 0, records: one(key, value) }])
          assert.strictEqual((yield* reasonOf(sink.open(stream)))._tag, tag, value)
        }
      })
    )

    it.effect("makes the stream's topic compacted, and uses one that is there as it is", () =>
      Effect.gen(function* () {
        const { admin } = yield* KafkaDriver
        const stream = yield* streamOf
        const sink = yield* KafkaChanges.make({ partitions: 2, progressTopic: yield* unique("progress") })
        yield* sink.open(stream)
        assert.strictEqual((yield* admin.describeTopic(stream.topic)).partitions, 2)
        assert.strictEqual((yield* admin.topicConfigs(stream.topic))["cleanup.policy"], "compact")
        const { name: topic } = yield* newTopic({ partitions: 5 })
        yield* (yield* sink.open({ ...stream, topic })).publish(Stream.make({ key: "k", value: "v" }), progress(1))
        assert.strictEqual((yield* admin.describeTopic(topic)).partitions, 5)
        assert.deepStrictEqual(yield* committed(topic), [{ key: "k", value: "v" }])
      })
    )

    it.effect("says that a row is too large, and writes nothing of its publish", () =>
      Effect.gen(function* () {
        const stream = yield* streamOf
        const sink = yield* KafkaChanges.make({
          progressTopic: yield* unique("progress"),
          topicConfigs: { "max.message.bytes": "10000" }
        })
        const { publish } = yield* sink.open(stream)
        const large = Stream.make({ key: "a", value: "a" }, { key: "b", value: "b".repeat(20_000) })
        const reason = yield* reasonOf(publish(large, progress(1)))
        assert.strictEqual(reason._tag, "SinkFailed")
        assert.include(reason.message, "max.message.bytes")
        assert.isUndefined((yield* sink.open(stream)).progress)
        assert.deepStrictEqual(yield* committed(stream.topic), [])
      })
    )
  })
})
