/**
 * What every driver must do on a real broker. Run it with `suite("kafkajs", KafkaJs.layer)` in a test file; `brokers` are the bootstrap
 * addresses. Every test makes topics, groups and transactional ids of its own. Needs `@effect/vitest`.
 */
import { assert, layer } from "@effect/vitest"
import { BatchBuilder, type Header, keyOf, valueOf } from "@headrace/core/Batch"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import { type Compression, KafkaDriver } from "../Driver.ts"
import type { KafkaError } from "../KafkaError.ts"
import type { KafkaOptions } from "../KafkaOptions.ts"
import { at, item, newTopic, numbered, readAll, reasonOf, text, texts, unique } from "./Fixtures.ts"
import { groups } from "./Groups.ts"
import { transactions } from "./Transactions.ts"

const compressions: ReadonlyArray<Compression> = ["none", "gzip", "snappy", "lz4", "zstd"]

/** Registers the suite. */
export const suite = <E>(
  name: string,
  driver: (options: KafkaOptions) => Layer.Layer<KafkaDriver, E | KafkaError>,
  brokers: ReadonlyArray<string>
): void => {
  layer(driver({ brokers }), { timeout: "60 seconds", excludeTestServices: true })(`driver contract: ${name}`, (it) => {
    transactions(it)
    groups(it)

    it.effect("creates, describes, lists and deletes topics, each creation with an id of its own", () =>
      Effect.gen(function* () {
        const { admin } = yield* KafkaDriver
        const made = yield* newTopic({ partitions: 3, configs: { "max.message.bytes": "12345" } })
        assert.deepInclude(made, { partitions: 3, internal: false })
        assert.deepStrictEqual(yield* admin.describeTopic(made.name), made)
        assert.deepStrictEqual(
          (yield* admin.topics).find((topic) => topic.name === made.name),
          made
        )
        assert.strictEqual((yield* admin.topicConfigs(made.name))["max.message.bytes"], "12345")
        assert.deepStrictEqual(yield* admin.addPartitions(made.name, 5), { ...made, partitions: 5 })
        assert.strictEqual((yield* reasonOf(admin.addPartitions(made.name, 2)))._tag, "InvalidInput")
        const exists = yield* reasonOf(admin.createTopic(made.name, { partitions: 1 }))
        assert.deepInclude(exists, { _tag: "TopicExists", topic: made.name })
        yield* admin.deleteTopic(made.name)
        for (const call of [
          Effect.asVoid(admin.describeTopic(made.name)),
          admin.deleteTopic(made.name),
          Effect.asVoid(admin.offsets(made.name, "latest")),
          Effect.asVoid(admin.deleteRecords(made.name, 0, 0))
        ])
          assert.deepInclude(yield* reasonOf(call), { _tag: "TopicNotFound", topic: made.name })
        const again = yield* admin.createTopic(made.name, { partitions: 3 })
        assert.notStrictEqual(again.id, made.id)
        assert.strictEqual(
          (yield* reasonOf(admin.createTopic("no such name!", { partitions: 1 })))._tag,
          "InvalidInput"
        )
      })
    )

    it.effect("appends in order and reads back, from any offset", () =>
      Effect.gen(function* () {
        const kafka = yield* KafkaDriver
        const topic = yield* newTopic({ partitions: 2 })
        const producer = yield* kafka.producer()
        const consumer = yield* kafka.consumer()
        assert.deepStrictEqual(yield* producer.send([item(topic, numbered(0, 10)), item(topic, numbered(0, 1), 1)]), [
          { topic: topic.name, partition: 0, base: 0, next: 10 },
          { topic: topic.name, partition: 1, base: 0, next: 1 }
        ])
        assert.deepStrictEqual((yield* producer.send([item(topic, numbered(10, 25))]))[0]!.base, 10)
        assert.deepStrictEqual((yield* readAll(consumer, topic)).values, texts(0, 25))
        // The middle of a stored batch too.
        assert.deepStrictEqual((yield* readAll(consumer, topic, 13)).values, texts(13, 25))
        const [end] = yield* consumer.fetch([at(topic, 25)], { maxWaitMillis: 1 })
        assert.deepInclude(end!.batch, { base: 25, next: 25, count: 0 })
        assert.deepInclude(end, { begin: 0, end: 25 })
        const both = yield* consumer.fetch([at(topic, 0), at(topic, 0, 1)])
        assert.deepStrictEqual(both.map(({ batch }) => [batch.partition, batch.count]).sort(), [
          [0, 25],
          [1, 1]
        ])
      })
    )

    it.effect.each(compressions)("keeps keys, values, headers and timestamps as they are: %s", (compression) =>
      Effect.gen(function* () {
        const kafka = yield* KafkaDriver
        const topic = yield* newTopic()
        const producer = yield* kafka.producer({ compression })
        const consumer = yield* kafka.consumer()
        const all = Uint8Array.from({ length: 256 }, (_, i) => i)
        const empty = new Uint8Array()
        const headers: ReadonlyArray<Header> = [
          { key: "b", value: all },
          { key: "a", value: null },
          { key: "", value: empty },
          { key: "b", value: new TextEncoder().encode("again") },
          { key: "\ufeffŁódź 日本 😀", value: empty }
        ]
        const records: ReadonlyArray<readonly [Uint8Array | null, Uint8Array | null, number, ReadonlyArray<Header>]> = [
          [null, null, 0, []],
          [empty, empty, 1_700_000_000_000, []],
          [all, null, 1_600_000_000_001, headers],
          [null, all, 1, []],
          [all, new TextEncoder().encode("y".repeat(70_000)), 1_600_000_000_000, []],
          [null, null, 7, [{ key: "only", value: null }]]
        ]
        for (const cut of [0, 3]) {
          const builder = new BatchBuilder()
          for (const [key, value, timestamp, own] of records.slice(cut, cut + 3))
            builder.add(key, value, timestamp, own)
          yield* producer.send([item(topic, builder.take())])
        }
        const [found] = yield* consumer.fetch([at(topic, 0)])
        const { batch } = found!
        assert.strictEqual(batch.count, records.length)
        const plain = (bytes: Uint8Array | null) => (bytes === null ? null : Array.from(bytes))
        for (let i = 0; i < records.length; i++) {
          const [key, value, timestamp, own] = records[i]!
          assert.deepStrictEqual(plain(keyOf(batch, i)), plain(key), `key of ${i}`)
          assert.deepStrictEqual(plain(valueOf(batch, i)), plain(value), `value of ${i}`)
          assert.strictEqual(batch.timestamps[i], timestamp)
          assert.deepStrictEqual(
            (batch.headers?.[i] ?? []).map((header) => [header.key, plain(header.value)]),
            own.map((header) => [header.key, plain(header.value)])
          )
        }
      })
    )

    it.effect("reads what the broker compresses again by the topic's setting: zstd", () =>
      Effect.gen(function* () {
        const kafka = yield* KafkaDriver
        const topic = yield* newTopic({ configs: { "compression.type": "zstd" } })
        const producer = yield* kafka.producer()
        yield* producer.send([item(topic, numbered(0, 500))])
        yield* producer.send([item(topic, numbered(500, 501))])
        assert.deepStrictEqual((yield* readAll(yield* kafka.consumer(), topic)).values, texts(0, 501))
      })
    )

    it.effect("gives concurrent sends distinct offsets, and loses none", () =>
      Effect.gen(function* () {
        const kafka = yield* KafkaDriver
        const topic = yield* newTopic()
        const producer = yield* kafka.producer()
        const sent = yield* Effect.forEach(texts(0, 200), (_, i) => producer.send([item(topic, numbered(i, i + 1))]), {
          concurrency: "unbounded"
        })
        const bases = sent.map(([appended]) => appended!.base)
        assert.strictEqual(new Set(bases).size, 200)
        const { offsets, values } = yield* readAll(yield* kafka.consumer(), topic)
        assert.deepStrictEqual(
          offsets,
          Array.from({ length: 200 }, (_, i) => i)
        )
        // In the order of the calls, each where its answer says.
        assert.deepStrictEqual(values, texts(0, 200))
        assert.deepStrictEqual(bases, offsets)
      })
    )

    it.effect("keeps its order when a send is interrupted", () =>
      Effect.gen(function* () {
        const kafka = yield* KafkaDriver
        const topic = yield* newTopic()
        const producer = yield* kafka.producer()
        for (let i = 0; i < 20; i++) {
          const fiber = yield* Effect.forkChild(producer.send([item(topic, numbered(i, i + 1, "maybe"))]))
          yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          yield* producer.send([item(topic, numbered(i, i + 1, "sure"))])
        }
        const { values } = yield* readAll(yield* kafka.consumer(), topic)
        assert.deepStrictEqual(
          values.filter((value) => value!.startsWith("sure")),
          texts(0, 20, "sure")
        )
        assert.strictEqual(new Set(values).size, values.length, "nothing twice")
      })
    )

    it.effect("names the exact missing range of offsets that aren't there", () =>
      Effect.gen(function* () {
        const kafka = yield* KafkaDriver
        const topic = yield* newTopic()
        const producer = yield* kafka.producer()
        yield* producer.send([item(topic, numbered(0, 100))])
        assert.strictEqual(yield* kafka.admin.deleteRecords(topic.name, 0, 40), 40)
        const consumer = yield* kafka.consumer()
        const missing = (offset: number) =>
          Effect.map(reasonOf(consumer.fetch([at(topic, offset)])), (reason) =>
            reason._tag === "OffsetOutOfRange" ? reason.missing : reason._tag
          )
        assert.deepStrictEqual(yield* missing(0), [0, 40])
        assert.deepStrictEqual(yield* missing(39), [39, 40])
        assert.deepStrictEqual(yield* missing(107), [100, 107])
        assert.deepStrictEqual((yield* readAll(consumer, topic, 40)).values, texts(40, 100))
        const beyond = yield* reasonOf(kafka.admin.deleteRecords(topic.name, 0, 101))
        assert.deepInclude(beyond, { _tag: "OffsetOutOfRange", begin: 40, end: 100 })
      })
    )

    it.effect("finds offsets by name and time", () =>
      Effect.gen(function* () {
        const { admin, producer } = yield* KafkaDriver
        const topic = yield* newTopic({ partitions: 2 })
        yield* (yield* producer()).send([item(topic, numbered(0, 50))])
        assert.deepStrictEqual(yield* admin.offsets(topic.name, "earliest"), [0, 0])
        assert.deepStrictEqual(yield* admin.offsets(topic.name, "latest"), [50, 0])
        assert.deepStrictEqual(yield* admin.offsets(topic.name, { timestamp: 1_700_000_000_020 }), [20, 0])
        assert.deepStrictEqual(yield* admin.offsets(topic.name, { timestamp: 1_800_000_000_000 }), [50, 0])
      })
    )

    it.effect("tells a topic that was made anew, and one that is gone", () =>
      Effect.gen(function* () {
        const kafka = yield* KafkaDriver
        const topic = yield* newTopic()
        const consumer = yield* kafka.consumer()
        const producer = yield* kafka.producer()
        yield* producer.send([item(topic, numbered(0, 5))])
        yield* readAll(consumer, topic)
        yield* kafka.admin.deleteTopic(topic.name)
        assert.deepInclude(yield* reasonOf(consumer.fetch([at(topic, 5)])), {
          _tag: "TopicNotFound",
          topic: topic.name
        })
        const found = (yield* kafka.admin.createTopic(topic.name, { partitions: 1 })).id
        assert.deepInclude(yield* reasonOf(consumer.fetch([at(topic, 0)])), {
          _tag: "TopicRecreated",
          topic: topic.name,
          expected: topic.id,
          found
        })
        // The producer writes by name, and isn't confused by sequences of the former topic.
        assert.deepInclude((yield* producer.send([item(topic, numbered(0, 1))]))[0], { base: 0, next: 1 })
      })
    )

    it.effect("says which topic or partition isn't there", () =>
      Effect.gen(function* () {
        const kafka = yield* KafkaDriver
        const topic = yield* newTopic({ partitions: 2 })
        const missing = { ...topic, name: `${topic.name}.missing` }
        const producer = yield* kafka.producer()
        const consumer = yield* kafka.consumer()
        const tx = yield* kafka.transactional({ transactionalId: yield* unique("id") })
        yield* tx.begin
        for (const send of [producer.send, tx.send]) {
          const reason = yield* reasonOf(send([item(missing, numbered(0, 1))]))
          assert.deepInclude(reason, { _tag: "TopicNotFound", topic: missing.name })
          assert.include(reason.message, missing.name)
        }
        assert.deepInclude(yield* reasonOf(consumer.fetch([at(missing, 0)])), { _tag: "TopicNotFound" })
        for (const call of [producer.send([item(topic, numbered(0, 1), 2)]), consumer.fetch([at(topic, 0, 2)])])
          assert.deepInclude(yield* reasonOf<unknown, never>(call), {
            _tag: "PartitionNotFound",
            topic: topic.name,
            partition: 2,
            partitions: 2
          })
        assert.isFalse(
          (yield* kafka.admin.topics).some(({ name }) => name === missing.name),
          "none is made by the way"
        )
      })
    )

    it.effect(
      "takes large records where the topic allows them, and says which are too large, or of a refused time",
      () =>
        Effect.gen(function* () {
          const kafka = yield* KafkaDriver
          const topic = yield* newTopic({ configs: { "max.message.bytes": "4000000" } })
          const producer = yield* kafka.producer()
          const consumer = yield* kafka.consumer()
          const large = (size: number) => {
            const builder = new BatchBuilder(2, size)
            builder.add(null, "x".repeat(size), 1)
            return builder.take()
          }
          yield* producer.send([item(topic, large(3_500_000))])
          yield* producer.send([item(topic, numbered(1, 3))])
          const tooLarge = yield* reasonOf(producer.send([item(topic, large(4_100_000))]))
          assert.deepInclude(tooLarge, { _tag: "RecordTooLarge", topic: topic.name, partition: 0, limit: 4_000_000 })
          if (tooLarge._tag === "RecordTooLarge") assert.isAbove(tooLarge.size, 4_100_000)
          const future = new BatchBuilder()
          future.add(null, "x", 4_000_000_000_000)
          const refused = yield* reasonOf(producer.send([item(topic, future.take())]))
          assert.strictEqual(refused._tag, "InvalidInput")
          assert.include(refused.message, "message.timestamp.after.max.ms")
          yield* producer.send([item(topic, numbered(3, 5))])
          // However small the limits, the next batch comes.
          const [first] = yield* consumer.fetch([{ ...at(topic, 0), maxBytes: 100 }], { maxBytes: 100 })
          assert.deepInclude(first!.batch, { count: 1, next: 1 })
          assert.deepStrictEqual((yield* readAll(consumer, topic, 1)).values, texts(1, 5))
        })
    )

    it.effect("limits a fetch by what it decompresses to", () =>
      Effect.gen(function* () {
        const { consumer, producer } = yield* KafkaDriver
        const topic = yield* newTopic()
        const { send } = yield* producer({ compression: "zstd" })
        const [count, size] = [20, 100_000]
        for (let i = 0; i < count; i++) {
          const builder = new BatchBuilder(1, size)
          builder.add(null, `${i}${" ".repeat(size)}`, 1_700_000_000_000)
          yield* send([item(topic, builder.take())])
        }
        const { fetch } = yield* consumer()
        for (let offset = 0; offset < count;) {
          const [found] = yield* fetch([{ ...at(topic, offset), maxBytes: 5 * size }])
          assert.isAtMost(found!.batch.bytes.length, 5 * size)
          assert.strictEqual(found!.batch.count, 4)
          for (let i = 0; i < 4; i++) assert.strictEqual(text(valueOf(found!.batch, i))?.trim(), `${offset + i}`)
          offset = found!.batch.next
        }
        // A batch is the least, however large.
        const [one] = yield* fetch([{ ...at(topic, 3), maxBytes: 10 }])
        assert.deepInclude(one!.batch, { count: 1, next: 4 })
      })
    )

    it.effect("says that no broker answers, at once", () =>
      Effect.gen(function* () {
        const build = (addresses: ReadonlyArray<string>) =>
          Effect.provide(
            KafkaDriver.use(({ name }) => Effect.succeed(name)),
            driver({ brokers: addresses, connectTimeoutMillis: 2_000 })
          )
        const error = yield* Effect.flip(build(["127.0.0.1:1"]))
        assert.deepInclude(error, { _tag: "KafkaError", retryable: true })
        if (!("reason" in (error as KafkaError))) return assert.fail("it has a reason")
        assert.deepInclude((error as KafkaError).reason, { _tag: "BrokerUnavailable", address: "127.0.0.1:1" })
        assert.include((error as KafkaError).message, "127.0.0.1:1")
        // One good address is enough.
        assert.isString(yield* build(["127.0.0.1:1", ...brokers]))
        const invalid = yield* Effect.flip(build(["localhost"]))
        assert.include((invalid as KafkaError).message, "localhost")
      })
    )
  })
}
