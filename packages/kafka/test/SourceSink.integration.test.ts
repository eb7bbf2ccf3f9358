import { assert, layer } from "@effect/vitest"
import { BatchBuilder, type ProducerBatch, type RecordBatch, valueOf } from "@headrace/core/Batch"
import * as Partitioner from "@headrace/core/Partitioner"
import { KafkaDriver, type KafkaError, KafkaSink, KafkaSource } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Effect, Fiber, Random, Stream } from "effect"
import { withBroker } from "./broker.ts"

const unique = Effect.map(Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER), (n) => `sourcesink.${n.toString(36)}`)

const newTopic = (partitions: number, configs: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const { admin } = yield* KafkaDriver
    return yield* admin.createTopic(yield* unique, { partitions, configs: { "retention.ms": "-1", ...configs } })
  })

const numbered = (from: number, to: number, size = 0): ProducerBatch => {
  const builder = new BatchBuilder()
  for (let i = from; i < to; i++) builder.add(`k${i}`, `${i}${" ".repeat(size)}`, 1_700_000_000_000 + i)
  return builder.take()
}

const valuesOf = (batch: RecordBatch) =>
  Array.from({ length: batch.count }, (_, i) => Number(new TextDecoder().decode(valueOf(batch, i)!)))

/** All that a source gives: values by partition. Fails the test when batches don't chain. */
const collect = (options: KafkaSource.Options) =>
  Effect.gen(function* () {
    const values = new Map<number, Array<number>>()
    const next = new Map<number, number>()
    yield* Stream.runForEach(KafkaSource.stream(options), (batch) =>
      Effect.sync(() => {
        assert.strictEqual(batch.base, next.get(batch.partition) ?? batch.base)
        next.set(batch.partition, batch.next)
        values.set(batch.partition, [...(values.get(batch.partition) ?? []), ...valuesOf(batch)])
      })
    )
    return { values, next }
  })

const sorted = (values: ReadonlyMap<number, ReadonlyArray<number>>) => [...values.values()].flat().sort((a, b) => a - b)

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

const reasonOf = <A, R>(effect: Effect.Effect<A, KafkaError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

withBroker((brokers) => {
  for (const [name, driver] of [
    ["@platformatic/kafka", Platformatic.layer],
    ["kafkajs", KafkaJs.layer]
  ] as const)
    layer(driver({ brokers }), { timeout: "60 seconds", excludeTestServices: true })(
      `source and sink: ${name}`,
      (it) => {
        it.effect("puts each record into its key's partition, in order, and gives all back", () =>
          Effect.gen(function* () {
            const { name: topic } = yield* newTopic(4)
            const input = Stream.fromArray(range(0, 20).map((i) => numbered(i * 500, (i + 1) * 500)))
            const sent = yield* Stream.run(input, KafkaSink.sink({ topic, batchBytes: 20_000, compression: "lz4" }))
            const { next, values } = yield* collect({ topic, until: "now" })
            assert.deepStrictEqual(next, sent)
            assert.deepStrictEqual(sorted(values), range(0, 10_000))
            for (const [partition, own] of values) {
              assert.deepStrictEqual(
                own,
                own.toSorted((a, b) => a - b),
                "in order"
              )
              for (const i of own)
                assert.strictEqual(Partitioner.partitionOf(new TextEncoder().encode(`k${i}`), 4), partition)
            }
          })
        )

        it.effect("begins at a time, an offset vector, or the end, and ends where it is told", () =>
          Effect.gen(function* () {
            const { name: topic } = yield* newTopic(2)
            const write = (records: ProducerBatch) =>
              Stream.run(Stream.make(records), KafkaSink.sink({ topic, partition: (key) => key!.at(-1)! % 2 }))
            yield* write(numbered(0, 100))
            const read = (options: Partial<KafkaSource.Options>) =>
              Effect.map(collect({ topic, until: "now", ...options }), ({ values }) => sorted(values))
            assert.deepStrictEqual(yield* read({}), range(0, 100))
            assert.deepStrictEqual(yield* read({ start: { timestamp: 1_700_000_000_060 } }), range(60, 100))
            assert.deepStrictEqual(yield* read({ until: { timestamp: 1_700_000_000_060 } }), range(0, 60))
            assert.deepStrictEqual(
              yield* read({
                start: new Map([
                  [0, 40],
                  [1, 45]
                ])
              }),
              [...range(80, 90).filter((i) => i % 2 === 0), ...range(90, 100)]
            )
            assert.deepStrictEqual(
              yield* read({ start: new Map([[0, 50]]) }),
              range(0, 100).filter((i) => i % 2 === 1)
            )
            assert.deepStrictEqual(
              yield* read({
                until: new Map([
                  [0, 10],
                  [1, 0]
                ])
              }),
              range(0, 20).filter((i) => i % 2 === 0)
            )
            assert.deepStrictEqual(
              yield* read({ partitions: [1] }),
              range(0, 100).filter((i) => i % 2 === 1)
            )
            assert.deepStrictEqual(yield* read({ start: "latest" }), [])
            // An end that isn't there yet is waited for.
            const later = yield* Effect.forkChild(
              read({
                start: "latest",
                until: new Map([
                  [0, 55],
                  [1, 55]
                ])
              })
            )
            yield* Effect.sleep(300)
            yield* write(numbered(100, 120))
            assert.deepStrictEqual(yield* Fiber.join(later), range(100, 110))
          })
        )

        it.effect("reads on endlessly, and picks up partitions that are added, from their first record", () =>
          Effect.gen(function* () {
            const { admin, producer } = yield* KafkaDriver
            const topic = yield* newTopic(1)
            const { send } = yield* producer()
            const reading = yield* KafkaSource.stream({
              topic: topic.name,
              start: "latest",
              partitionsMillis: 50,
              maxWaitMillis: 20
            }).pipe(
              Stream.filter(({ count }) => count > 0),
              Stream.take(3),
              Stream.runCollect,
              Effect.forkChild
            )
            yield* Effect.sleep(200)
            yield* send([{ topic: topic.name, partition: 0, records: numbered(0, 1) }])
            yield* Effect.sleep(200)
            assert.strictEqual((yield* admin.addPartitions(topic.name, 2)).partitions, 2)
            yield* send([{ topic: topic.name, partition: 1, records: numbered(1, 2) }])
            yield* Effect.sleep(200)
            yield* send([{ topic: topic.name, partition: 0, records: numbered(2, 3) }])
            assert.deepStrictEqual([...(yield* Fiber.join(reading))].flatMap(valuesOf), [0, 1, 2])
          })
        )

        it.effect("holds back: it reads ahead no more than its limits", () =>
          Effect.gen(function* () {
            const { name: topic } = yield* newTopic(2)
            yield* Stream.run(
              Stream.fromArray(range(0, 40).map((i) => numbered(i * 100, (i + 1) * 100, 1_000))),
              KafkaSink.sink({ topic, batchBytes: 30_000 })
            )
            // 4 MB; the first batch is held for a while, in which the rest must not be fetched.
            let before = 0
            let total = 0
            const options = { topic, until: "now", partitionBytes: 200_000, totalBytes: 300_000 } as const
            yield* Stream.runForEach(KafkaSource.stream(options), (batch) =>
              Effect.gen(function* () {
                if (total === 0) {
                  before = process.memoryUsage().arrayBuffers
                  yield* Effect.sleep(300)
                  assert.isBelow(process.memoryUsage().arrayBuffers - before, 3_000_000)
                }
                total += batch.count
              })
            )
            assert.strictEqual(total, 4_000)
          })
        )

        it.effect("fails with the exact range that retention has removed, and for a topic made anew", () =>
          Effect.gen(function* () {
            const { admin } = yield* KafkaDriver
            const topic = yield* newTopic(1)
            yield* Stream.run(Stream.make(numbered(0, 100)), KafkaSink.sink({ topic: topic.name }))
            yield* admin.deleteRecords(topic.name, 0, 30)
            const start = new Map([[0, 10]])
            const gone = yield* reasonOf(collect({ topic: topic.name, start, until: "now" }))
            assert.deepInclude(gone, { _tag: "OffsetOutOfRange", topic: topic.name, partition: 0 })
            if (gone._tag === "OffsetOutOfRange") assert.deepStrictEqual(gone.missing, [10, 30])
            const other = "00000000-0000-4000-8000-000000000000"
            const recreated = yield* reasonOf(collect({ topic: topic.name, topicId: other, until: "now" }))
            assert.deepInclude(recreated, { _tag: "TopicRecreated", expected: other, found: topic.id })
            const missing = yield* reasonOf(collect({ topic: `${topic.name}.missing` }))
            assert.strictEqual(missing._tag, "TopicNotFound")
            const partition = yield* reasonOf(collect({ topic: topic.name, partitions: [7] }))
            assert.deepInclude(partition, { _tag: "PartitionNotFound", partition: 7 })
          })
        )

        it.effect("names a record that is too large, and sends what came before", () =>
          Effect.gen(function* () {
            const topic = yield* newTopic(1, { "max.message.bytes": "10000" })
            const { flush, write } = yield* KafkaSink.make({ topic: topic.name })
            yield* write(numbered(0, 50, 500))
            const builder = new BatchBuilder()
            builder.add("key", "x".repeat(10_000), 1)
            const reason = yield* reasonOf(write(builder.take()))
            assert.deepInclude(reason, { _tag: "RecordTooLarge", topic: topic.name, partition: 0, limit: 10_000 })
            assert.deepStrictEqual(yield* flush, new Map([[0, 50]]))
          })
        )

        it.effect("sends what is gathered after the linger time", () =>
          Effect.gen(function* () {
            const { name: topic } = yield* newTopic(1)
            const { write } = yield* KafkaSink.make({ topic, lingerMillis: 20 })
            yield* write(numbered(0, 3))
            const { values } = yield* collect({ topic, until: new Map([[0, 3]]) })
            assert.deepStrictEqual(values.get(0), [0, 1, 2])
          })
        )

        it.effect("commits a transaction with its offsets, or leaves no trace", () =>
          Effect.gen(function* () {
            const { admin, consumer } = yield* KafkaDriver
            const { id, name: topic } = yield* newTopic(3)
            const { transaction } = yield* KafkaSink.transactional({ topic, transactionalId: topic, batchBytes: 5_000 })
            const work = (from: number, to: number) => (own: KafkaSink.Transaction) =>
              Effect.andThen(
                own.write(numbered(from, to)),
                own.sendOffsets({ group: topic }, [{ topic, partition: 0, offset: to }])
              )
            yield* transaction(work(0, 1_000))
            const failed = yield* Effect.flip(
              transaction((own) => Effect.andThen(work(1_000, 2_000)(own), Effect.fail("no")))
            )
            assert.strictEqual(failed, "no")
            const hanging = yield* Effect.forkChild(
              transaction((own) => Effect.andThen(work(2_000, 3_000)(own), Effect.never))
            )
            yield* Effect.sleep(100)
            yield* Fiber.interrupt(hanging)
            yield* transaction(work(3_000, 3_500))
            // Up to the last marker, which the broker writes some time after the commit.
            const all = yield* consumer({ isolation: "uncommitted" })
            const positions = [0, 1, 2].map((partition) => ({ topic, topicId: id, partition, offset: 0 }))
            const ends = yield* all.fetch(positions, { maxWaitMillis: 1 })
            const until = new Map(ends.map(({ batch, end }) => [batch.partition, end]))
            const { values } = yield* collect({ topic, until })
            assert.deepStrictEqual(sorted(values), [...range(0, 1_000), ...range(3_000, 3_500)])
            assert.deepStrictEqual(yield* admin.groupOffsets(topic, topic), new Map([[0, 3_500]]))
          })
        )
      }
    )
})
