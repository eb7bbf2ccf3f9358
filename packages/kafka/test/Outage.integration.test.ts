/**
 * Numbered records through the sink and the source while their broker is frozen, killed, stopped, and comes back on another port: nothing is lost,
 * nothing is there twice, and each partition is in order. It prints how long the first acknowledgement and the first read take from when
 * the broker can be reached again. `HEADRACE_OUTAGE_RECORDS` is how many there are at least.
 *
 * A client follows a broker to another port when its list holds that address too: the only way there is with one broker.
 */
import { assert, it } from "@effect/vitest"
import { BatchBuilder, type ProducerBatch, type RecordBatch } from "@headrace/core/Batch"
import { KafkaDriver, KafkaSink, KafkaSource } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Clock, Effect, References, Stream } from "effect"
import * as Kafka from "../../../testcontainers/src/Kafka.ts"
import { withBroker } from "./broker.ts"

const total = Number(process.env["HEADRACE_OUTAGE_RECORDS"] ?? 60_000)
const partitions = 4
const chunk = 500

/** Where a run stands, and when it last got further: what the outages are timed by. */
interface State {
  readonly how: How
  readonly topic: string
  acknowledged: number
  acknowledgedAt: number
  read: number
  readAt: number
  /** Whether all outages are over: the writer goes on until then. */
  over: boolean
  /** How often the writer began again from what was committed. */
  restarts: number
}

const partitionOf = (key: Uint8Array | null): number => Number(new TextDecoder().decode(key!)) % partitions

/** The time is now: a broker that restarts forgets the sequences of a producer of records that are older than a day. */
const numbered = (from: number, to: number) =>
  Effect.map(Clock.currentTimeMillis, (now): ProducerBatch => {
    const builder = new BatchBuilder()
    for (let i = from; i < to; i++) builder.add(`${i}`, `record ${i} of a run with outages`, now)
    return builder.take()
  })

const acknowledged = (state: State, next: number) =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    state.acknowledged = next
    state.acknowledgedAt = now
  })

const writers = {
  "idempotent sends": Effect.fnUntraced(function* (state: State) {
    const { flush, write } = yield* KafkaSink.make({ topic: state.topic, partition: partitionOf })
    for (let next = 0; next < total || !state.over;) {
      for (let i = 0; i < 4; i++) yield* write(yield* numbered(next, (next += chunk)))
      yield* flush
      yield* acknowledged(state, next)
    }
  }),
  transactions: Effect.fnUntraced(function* (state: State) {
    const { topic } = state
    const { admin } = yield* KafkaDriver
    const options = { topic, transactionalId: topic, partition: partitionOf }
    const { transaction } = yield* KafkaSink.transactional(options)
    while (state.acknowledged < total || !state.over) {
      const to = state.acknowledged + 2 * chunk
      const records = yield* numbered(state.acknowledged, to)
      yield* transaction((own) =>
        Effect.andThen(own.write(records), own.sendOffsets({ group: topic }, [{ topic, partition: 0, offset: to }]))
      ).pipe(
        Effect.as(to),
        // What was committed is known from the offset that went with it.
        Effect.catchReasons("KafkaError", {
          TransactionAborted: () => resumed(state),
          OutcomeUnknown: () => resumed(state)
        }),
        Effect.flatMap((committed) => acknowledged(state, committed))
      )
    }
    function resumed(of: State) {
      of.restarts++
      return Effect.map(admin.groupOffsets(topic, topic), (offsets) => offsets.get(0) ?? 0)
    }
  })
} as const
type How = keyof typeof writers

/** Checks that the batches of a partition hold its numbers one after the other. Counts what it saw. */
const inOrder = () => {
  const seen = Array.from({ length: partitions }, () => 0)
  const text = new TextDecoder()
  return (batch: RecordBatch): number => {
    const { bytes, count, keys, partition } = batch
    for (let i = 0; i < count; i++) {
      const found = Number(text.decode(bytes.subarray(keys[2 * i], keys[2 * i + 1])))
      const expected = partition + partitions * seen[partition]!++
      if (found !== expected)
        assert.fail(`partition ${partition} holds ${found} at offset ${batch.offsets[i]}, where ${expected} comes next`)
    }
    return count
  }
}

/** Waits until a condition that the writer or reader brings about. */
const until = (condition: () => boolean) =>
  Effect.gen(function* () {
    while (!condition()) yield* Effect.sleep(5)
  })

interface Outage {
  readonly name: string
  readonly begin: (broker: Kafka.Broker) => Effect.Effect<void, unknown>
  readonly millis: number
  readonly end: (broker: Kafka.Broker) => Effect.Effect<void, unknown>
}

const outages: ReadonlyArray<Outage> = [
  // Longer than a request's time-out: answers are lost, and requests repeated.
  { name: "frozen for 5 s", begin: (broker) => broker.pause, millis: 5_000, end: (broker) => broker.resume },
  { name: "SIGKILL and start", begin: (broker) => broker.kill9, millis: 0, end: (broker) => broker.start },
  { name: "SIGTERM and start", begin: (broker) => broker.stop, millis: 0, end: (broker) => broker.start },
  { name: "another port", begin: (broker) => broker.stop, millis: 0, end: (broker) => broker.move }
]

/** One outage, and how long writers and readers take to go on. */
const suffer = (broker: Kafka.Broker, states: ReadonlyArray<State>, { begin, end, millis, name }: Outage) =>
  Effect.gen(function* () {
    const began = yield* Clock.currentTimeMillis
    yield* begin(broker)
    // What was answered before may take a moment to be noted.
    yield* Effect.sleep(200)
    const before = states.map((state) => ({ ...state }))
    yield* Effect.sleep(millis)
    yield* end(broker)
    const back = yield* Clock.currentTimeMillis
    const recovered = yield* Effect.forEach(
      states,
      (state, i) =>
        Effect.gen(function* () {
          const { acknowledged, read } = before[i]!
          yield* until(() => state.acknowledged > acknowledged)
          const acknowledgedAfter = Math.max(0, state.acknowledgedAt - back)
          yield* until(() => state.read > Math.max(read, acknowledged))
          const readAfter = Math.max(0, state.readAt - back)
          yield* until(() => state.acknowledged > acknowledged + 10 * chunk)
          return `${state.how}: acknowledged after ${acknowledgedAfter} ms, read after ${readAfter} ms`
        }),
      { concurrency: "unbounded" }
    )
    return [`${name}, away for ${back - began} ms`, ...recovered].join("; ")
  }).pipe(Effect.timeout("60 seconds"))

/** A writer and a reader of a topic of their own. Each ends only by failing, until all is over and read. */
const drive = (state: State) =>
  Effect.gen(function* () {
    const { topic } = state
    const check = inOrder()
    const reading = Stream.runForEach(KafkaSource.stream({ topic, maxWaitMillis: 100 }), (batch) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        state.read += check(batch)
        state.readAt = now
      })
    )
    const writing = Effect.andThen(
      writers[state.how](state),
      Effect.suspend(() => until(() => state.read >= state.acknowledged))
    )
    yield* Effect.raceFirst(writing, Effect.andThen(reading, Effect.never))

    const again = inOrder()
    let count = 0
    yield* Stream.runForEach(KafkaSource.stream({ topic, until: "now" }), (batch) =>
      Effect.sync(() => void (count += again(batch)))
    )
    assert.isAtLeast(count, total)
    assert.deepStrictEqual([count, state.read], [state.acknowledged, state.acknowledged])
    return `${state.how}: ${count} records, begun again ${state.restarts} times`
  })

withBroker(() => {
  for (const [driver, layer] of [
    ["@platformatic/kafka", Platformatic.layer],
    ["kafkajs", KafkaJs.layer]
  ] as const)
    it.live(
      `${driver}: over outages of the broker nothing is lost, and nothing there twice`,
      () =>
        Effect.gen(function* () {
          const broker = yield* Kafka.startAny()
          const states = Object.keys(writers).map((how, i): State => {
            const at = { acknowledgedAt: 0, readAt: 0 }
            return { how: how as How, topic: `outage.${i}`, acknowledged: 0, read: 0, over: false, restarts: 0, ...at }
          })
          const create = KafkaDriver.use(({ admin }) =>
            Effect.forEach(states, ({ topic }) => admin.createTopic(topic, { partitions }))
          )
          yield* Effect.provide(create, layer({ brokers: [broker.bootstrap] }))
          const suffering = Effect.gen(function* () {
            yield* until(() => states.every((state) => state.acknowledged > 10 * chunk && state.read > 0))
            const lines: Array<string> = []
            for (const outage of outages) lines.push(yield* suffer(broker, states, outage))
            for (const state of states) state.over = true
            return lines
          })
          const [lines, ...counts] = yield* Effect.all([suffering, ...states.map(drive)], {
            concurrency: "unbounded"
          }).pipe(
            Effect.provide(
              layer({
                brokers: [broker.bootstrap, broker.next],
                requestTimeoutMillis: 3_000,
                connectTimeoutMillis: 3_000
              })
            )
          )
          console.log([`${driver}, broker by ${broker.mode}`, ...counts, ...lines].join("\n  "))
        }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error")),
      600_000
    )
})
