/** The contract of a broker under test, for each way of running one that this machine has. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Kafka as Client, type Admin, type Producer, logLevel } from "kafkajs"
import { randomUUID } from "node:crypto"
import * as Kafka from "../src/Kafka.ts"
import * as KafkaProbe from "../src/KafkaProbe.ts"

interface Running {
  readonly broker: Kafka.Broker
  readonly client: Client
  readonly admin: Admin
  readonly producer: Producer
}

class Service extends Context.Service<Service, Running>()("test/Broker") {}

const connect = (bootstrap: string) =>
  new Client({
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1000,
    requestTimeout: 3000,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 40 }
  })

const brokerOf = (mode: Kafka.Mode) =>
  Layer.effect(
    Service,
    Effect.gen(function* () {
      const broker = yield* Kafka.start(mode)
      const client = connect(broker.bootstrap)
      const admin = client.admin()
      const producer = client.producer({ idempotent: true, maxInFlightRequests: 1 })
      yield* Effect.promise(() => Promise.all([admin.connect(), producer.connect()]))
      yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all([admin.disconnect(), producer.disconnect()])))
      return { broker, client, admin, producer }
    })
  )

const newTopic = (admin: Admin, config: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const topic = `t-${randomUUID()}`
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }] })
    return topic
  })

const values = (from: number, count: number) => Array.from({ length: count }, (_, i) => `v${from + i}`)

const send = (producer: Pick<Producer, "send">, topic: string, messages: ReadonlyArray<string>) =>
  Effect.promise(() => producer.send({ topic, acks: -1, messages: messages.map((value) => ({ value })) }))

/** The first `count` values of a topic, and those that follow within half a second. */
const read = (client: Client, topic: string, count: number) =>
  Effect.promise(async () => {
    const consumer = client.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 50 })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const found: Array<string> = []
    await new Promise<void>((resolve) => {
      void consumer.run({
        eachMessage: async ({ message }) => {
          found.push(message.value!.toString())
          if (found.length === count) setTimeout(resolve, 500)
        }
      })
    })
    await consumer.disconnect()
    return found
  })

const available = await Effect.runPromise(
  Effect.filter(Kafka.modes, (mode) =>
    Kafka.check(mode).pipe(
      Effect.as(true),
      Effect.orElseSucceed(() => false)
    )
  )
)

for (const mode of available) {
  layer(brokerOf(mode), { timeout: "300 seconds", excludeTestServices: true })(`a broker by ${mode}`, (it) => {
    it.effect("makes no topic by accident", () =>
      Effect.gen(function* () {
        const { admin, client } = yield* Service
        const strict = client.producer({ retry: { retries: 6, initialRetryTime: 100 }, allowAutoTopicCreation: true })
        yield* Effect.promise(() => strict.connect())
        const sent = yield* Effect.exit(
          Effect.tryPromise(() => strict.send({ topic: "nobody-made-me", messages: [{ value: "x" }] }))
        )
        yield* Effect.promise(() => strict.disconnect())
        assert.strictEqual(sent._tag, "Failure")
        assert.notInclude(yield* Effect.promise(() => admin.listTopics()), "nobody-made-me")
      })
    )

    it.effect("compresses with every codec when a topic says so", () =>
      Effect.gen(function* () {
        const { admin, producer } = yield* Service
        for (const codec of ["gzip", "snappy", "lz4", "zstd"]) {
          const topic = yield* newTopic(admin, { "compression.type": codec })
          yield* send(producer, topic, values(0, 100))
          const [end] = yield* Effect.promise(() => admin.fetchTopicOffsets(topic))
          assert.strictEqual(end?.high, "100", codec)
        }
      })
    )

    it.effect("commits transactions, and shows nothing of an aborted one", () =>
      Effect.gen(function* () {
        const { admin, client } = yield* Service
        const topic = yield* newTopic(admin)
        const producer = client.producer({ transactionalId: randomUUID(), idempotent: true, maxInFlightRequests: 1 })
        yield* Effect.promise(() => producer.connect())
        for (const end of ["commit", "abort", "commit"] as const) {
          const transaction = yield* Effect.promise(() => producer.transaction())
          yield* send(transaction, topic, [`${end} 1`, `${end} 2`])
          yield* Effect.promise(() => transaction[end]())
        }
        yield* Effect.promise(() => producer.disconnect())
        assert.deepStrictEqual(yield* read(client, topic, 4), ["commit 1", "commit 2", "commit 1", "commit 2"])
      })
    )

    it.effect("deletes what is past retention soon", () =>
      Effect.gen(function* () {
        const { admin, producer } = yield* Service
        const topic = yield* newTopic(admin, { "retention.ms": "1", "segment.ms": "1" })
        yield* send(producer, topic, values(0, 10))
        const low = Effect.promise(async () => (await admin.fetchTopicOffsets(topic))[0]!.low)
        while ((yield* low) !== "10") yield* Effect.sleep("100 millis")
      }).pipe(Effect.timeout("30 seconds"))
    )

    it.effect("keeps its port and its records over a restart", () =>
      Effect.gen(function* () {
        const { admin, broker, client, producer } = yield* Service
        const topic = yield* newTopic(admin)
        const before = broker.bootstrap
        yield* send(producer, topic, values(0, 50))
        yield* broker.restart
        assert.strictEqual(broker.bootstrap, before)
        yield* send(producer, topic, values(50, 50))
        assert.deepStrictEqual(yield* read(client, topic, 100), values(0, 100))
      })
    )

    it.effect("keeps acknowledged records over kill -9", () =>
      Effect.gen(function* () {
        const { admin, broker, client, producer } = yield* Service
        const topic = yield* newTopic(admin)
        yield* send(producer, topic, values(0, 500))
        yield* broker.kill9
        assert.isFalse(yield* KafkaProbe.answers(Number(broker.bootstrap.split(":")[1])))
        yield* broker.start
        yield* send(producer, topic, values(500, 10))
        assert.deepStrictEqual(yield* read(client, topic, 510), values(0, 510))
      })
    )

    it.effect("answers nothing while frozen, and goes on", () =>
      Effect.gen(function* () {
        const { admin, broker, client, producer } = yield* Service
        const topic = yield* newTopic(admin)
        yield* send(producer, topic, values(0, 10))
        yield* broker.pause
        assert.isFalse(yield* KafkaProbe.answers(Number(broker.bootstrap.split(":")[1])))
        yield* broker.resume
        yield* send(producer, topic, values(10, 10))
        assert.deepStrictEqual(yield* read(client, topic, 20), values(0, 20))
      })
    )

    it.effect("moves to another port with its records", () =>
      Effect.gen(function* () {
        const { admin, broker, producer } = yield* Service
        const topic = yield* newTopic(admin)
        yield* send(producer, topic, values(0, 20))
        const before = broker.bootstrap
        yield* broker.move
        assert.notStrictEqual(broker.bootstrap, before)
        assert.isFalse(yield* KafkaProbe.answers(Number(before.split(":")[1])))
        assert.deepStrictEqual(yield* read(connect(broker.bootstrap), topic, 20), values(0, 20))
      })
    )
  })

  describe(`a broker by ${mode} that can't start`, () => {
    it.live("says why with its log", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Kafka.start(mode, { settings: { "message.max.bytes": "plenty" } }))
        assert.strictEqual(error._tag, "BrokerError")
        assert.include(error.message, "message.max.bytes")
      }).pipe(Effect.scoped)
    )
  })
}
