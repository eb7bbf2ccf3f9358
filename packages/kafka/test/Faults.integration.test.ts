/** What the protocol layer does when connections break and answers are lost: the transport below is a real one that loses some. */
import { assert, it } from "@effect/vitest"
import { BatchBuilder, type ProducerBatch, type RecordBatch, valueOf } from "@headrace/core/Batch"
import { KafkaDriver, KafkaSource, type Service } from "@headrace/kafka"
import { Clock, Effect, Random, Stream } from "effect"
import * as Client from "../src/internal/Client.ts"
import * as KafkaJsTransport from "../src/internal/kafkaJsTransport.ts"
import * as PlatformaticTransport from "../src/internal/platformaticTransport.ts"
import { withBroker } from "./broker.ts"
import { type Fault, faulty } from "./faults.ts"

const produce = 0
const endTxn = 26

const numbered = (from: number, to: number): ProducerBatch => {
  const builder = new BatchBuilder()
  for (let i = from; i < to; i++) builder.add(null, `${i}`, 1_700_000_000_000 + i)
  return builder.take()
}

const valuesOf = (batch: RecordBatch) =>
  Array.from({ length: batch.count }, (_, i) => Number(new TextDecoder().decode(valueOf(batch, i)!)))

const newTopic = ({ admin }: Service) =>
  Effect.gen(function* () {
    const name = `faults.${(yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)}`
    return yield* admin.createTopic(name, { partitions: 1, configs: { "retention.ms": "-1" } })
  })

const readAll = ({ consumer }: Service, topic: { readonly name: string; readonly id: string }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { fetch } = yield* consumer()
      const values: Array<number> = []
      for (let offset = 0; ;) {
        const [found] = yield* fetch([{ topic: topic.name, topicId: topic.id, partition: 0, offset }], {
          maxWaitMillis: 300
        })
        if (found === undefined) continue
        values.push(...valuesOf(found.batch))
        if (found.batch.next === offset) return values
        offset = found.batch.next
      }
    })
  )

const hour = 3_600_000

/** A wall clock that somebody sets an hour forward, then back two, at each look; time itself passes as ever. */
const jumping = Effect.clockWith((clock) => {
  let looks = 0
  const offset = () => (looks++ % 2 === 0 ? hour : -hour)
  const currentTimeMillisUnsafe = () => clock.currentTimeMillisUnsafe() + offset()
  const currentTimeNanosUnsafe = () => clock.currentTimeNanosUnsafe() + BigInt(offset()) * 1_000_000n
  return Effect.succeed<Clock.Clock>({
    sleep: (duration) => clock.sleep(duration),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    currentTimeMillisUnsafe,
    currentTimeMillis: Effect.sync(currentTimeMillisUnsafe),
    currentTimeNanosUnsafe,
    currentTimeNanos: Effect.sync(currentTimeNanosUnsafe)
  })
})

withBroker((brokers) => {
  for (const [name, transport] of [
    ["@platformatic/kafka", PlatformaticTransport.transport],
    ["kafkajs", KafkaJsTransport.transport]
  ] as const) {
    it.live(`${name}: sends each batch once and in order, whatever is lost on the way`, () =>
      Effect.gen(function* () {
        let n = 0
        const faults: ReadonlyArray<Fault> = ["none", "response", "request", "break", "none", "response", "response"]
        const kafka = yield* Client.make(
          { brokers },
          faulty(transport, (apiKey) => (apiKey === produce ? faults[n++ % faults.length]! : "none"))
        )
        const topic = yield* newTopic(kafka)
        const { send } = yield* kafka.producer()
        const bases = yield* Effect.forEach(
          Array.from({ length: 60 }, (_, i) => i),
          (i) => send([{ topic: topic.name, partition: 0, records: numbered(3 * i, 3 * i + 3) }]),
          { concurrency: 8 }
        )
        assert.isAbove(n, 100, "there were faults")
        assert.deepStrictEqual(
          yield* readAll(kafka, topic),
          Array.from({ length: 180 }, (_, i) => i)
        )
        assert.deepStrictEqual(
          bases.map(([appended]) => appended!.base),
          Array.from({ length: 60 }, (_, i) => 3 * i)
        )
      })
    )

    it.live(`${name}: says that an outcome is unknown, and goes on in order`, () =>
      Effect.gen(function* () {
        let broken = false
        const kafka = yield* Client.make(
          { brokers, requestTimeoutMillis: 500, deliveryTimeoutMillis: 500 },
          faulty(transport, (apiKey) => (broken && apiKey === produce ? "response" : "none"))
        )
        const topic = yield* newTopic(kafka)
        const { send } = yield* kafka.producer()
        const write = (from: number, to: number) =>
          send([{ topic: topic.name, partition: 0, records: numbered(from, to) }])
        yield* write(0, 5)
        broken = true
        const { reason } = yield* Effect.flip(write(5, 8))
        assert.strictEqual(reason._tag, "OutcomeUnknown")
        assert.include(reason.message, topic.name)
        broken = false
        // As large as the one that is in doubt: under its sequence it would pass for a repetition.
        yield* write(8, 11)
        yield* write(11, 12)
        // Here it was the answers that were lost, each time.
        assert.deepStrictEqual(
          yield* readAll(kafka, topic),
          Array.from({ length: 12 }, (_, i) => i)
        )
      })
    )

    it.live(`${name}: commits a transaction once when answers to the commit are lost`, () =>
      Effect.gen(function* () {
        let left = 0
        const kafka = yield* Client.make(
          { brokers },
          faulty(transport, (apiKey) => (apiKey === endTxn && left-- > 0 ? "response" : "none"))
        )
        const topic = yield* newTopic(kafka)
        const tx = yield* kafka.transactional({ transactionalId: topic.name })
        for (let i = 0; i < 6; i++) {
          left = i % 3
          yield* tx.begin
          yield* tx.send([{ topic: topic.name, partition: 0, records: numbered(i, i + 1) }])
          yield* i === 3 ? tx.abort : tx.commit
        }
        assert.deepStrictEqual(yield* readAll(kafka, topic), [0, 1, 2, 4, 5])
      })
    )

    it.live(`${name}: ends a transaction whose commit got no answer at all by taking the id over`, () =>
      Effect.gen(function* () {
        let broken = false
        const kafka = yield* Client.make(
          { brokers, requestTimeoutMillis: 500, deliveryTimeoutMillis: 3_000 },
          faulty(transport, (apiKey) => (broken && apiKey === endTxn ? "request" : "none"))
        )
        const topic = yield* newTopic(kafka)
        const tx = yield* kafka.transactional({ transactionalId: topic.name })
        yield* tx.begin
        yield* tx.send([{ topic: topic.name, partition: 0, records: numbered(0, 1) }])
        broken = true
        assert.strictEqual((yield* Effect.flip(tx.commit)).reason._tag, "OutcomeUnknown")
        broken = false
        yield* tx.begin
        yield* tx.send([{ topic: topic.name, partition: 0, records: numbered(1, 2) }])
        yield* tx.commit
        assert.deepStrictEqual(yield* readAll(kafka, topic), [1])
      })
    )

    it.live(`${name}: waits neither shorter nor longer when the clock jumps`, () =>
      Effect.gen(function* () {
        let [n, broken] = [0, false]
        const kafka = yield* Client.make(
          { brokers, deliveryTimeoutMillis: 3_000 },
          faulty(transport, (apiKey) => {
            if (broken) return "request"
            return [0, 1, 26].includes(apiKey) && n++ % 3 !== 0 ? "request" : "none"
          })
        )
        const topic = yield* newTopic(kafka)
        const { send } = yield* kafka.producer()
        const tx = yield* kafka.transactional({ transactionalId: topic.name })
        for (let i = 0; i < 10; i += 2) {
          yield* send([{ topic: topic.name, partition: 0, records: numbered(i, i + 1) }])
          yield* tx.begin
          yield* tx.send([{ topic: topic.name, partition: 0, records: numbered(i + 1, i + 2) }])
          yield* tx.commit
        }
        const read: Array<number> = []
        yield* KafkaSource.stream({ topic: topic.name, until: new Map([[0, 15]]), partitionsMillis: 1 }).pipe(
          Stream.runForEach((batch) => Effect.sync(() => void read.push(...valuesOf(batch)))),
          Effect.provideService(KafkaDriver, kafka)
        )
        assert.deepStrictEqual(read, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        assert.isAbove(n, 40, "there were faults")

        broken = true
        const began = performance.now()
        const { reason } = yield* Effect.flip(send([{ topic: topic.name, partition: 0, records: numbered(10, 11) }]))
        assert.strictEqual(reason._tag, "OutcomeUnknown")
        assert.isAbove(performance.now() - began, 2_000)
        assert.isBelow(performance.now() - began, 20_000)
        broken = false
        yield* send([{ topic: topic.name, partition: 0, records: numbered(11, 12) }])
      }).pipe(Effect.scoped, (effect) =>
        Effect.flatMap(jumping, (clock) => Effect.provideService(effect, Clock.Clock, clock))
      )
    )

    it.live(`${name}: reads on over broken connections`, () =>
      Effect.gen(function* () {
        let n = 0
        const kafka = yield* Client.make(
          { brokers },
          faulty(transport, (apiKey) => (apiKey === 1 && n++ % 2 === 0 ? "break" : "none"))
        )
        const topic = yield* newTopic(kafka)
        const { send } = yield* kafka.producer()
        for (let i = 0; i < 5; i++) yield* send([{ topic: topic.name, partition: 0, records: numbered(i, i + 1) }])
        assert.deepStrictEqual(yield* readAll(kafka, topic), [0, 1, 2, 3, 4])
      })
    )
  }
})
