/**
 * A topic as a stream of batches.
 *
 * Each batch belongs to one partition, and those of a partition chain: the first begins at its start offset, each further one where the one
 * before ended, over transaction markers, aborted records and compacted ones. So the `next` of the last batch of each partition is the vector
 * to start from again; nothing is read from or written to a consumer group. Between partitions there is no order.
 *
 * Reading ahead is bounded in bytes, decompressed, per partition and in all, but for one Kafka batch a partition; a full partition isn't fetched until its batches are taken. What passes is
 * tried again for `retryMillis`; what doesn't fails the stream: `OffsetOutOfRange` names the range that retention has removed, `TopicRecreated`
 * a topic that isn't the one of `topicId`.
 */
import type { RecordBatch } from "@headrace/core/Batch"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Admin, type ConsumerOptions, KafkaDriver, type OffsetAt, type TopicInfo } from "./Driver.ts"
import * as Elapsed from "./internal/Elapsed.ts"
import { SourcePlan } from "./internal/SourcePlan.ts"
import { InvalidInput, KafkaError, PartitionNotFound, TopicRecreated } from "./KafkaError.ts"

/** Where each partition begins or ends: by partition. */
export type OffsetVector = ReadonlyMap<number, number>

export interface Options extends ConsumerOptions {
  readonly topic: string
  /** The id that the topic had when the start offsets were written down; another one fails with `TopicRecreated`. */
  readonly topicId?: string
  /** Default: all, and those that are added while the stream runs, from their first record. */
  readonly partitions?: ReadonlyArray<number>
  /** An offset vector may leave partitions out: these begin at their earliest offset. Default `earliest`. */
  readonly start?: OffsetAt | OffsetVector
  /**
   * Ends before these offsets, before the first record at or after a time, or at `now`: what the topic holds when the stream starts. A time is
   * looked up when the stream starts. Default: never ends.
   */
  readonly until?: "now" | { readonly timestamp: number } | OffsetVector
  /** Bytes that are read ahead, per partition. Default 8 MiB. */
  readonly partitionBytes?: number
  /** Bytes that are read ahead in all. Default 64 MiB. */
  readonly totalBytes?: number
  /** How long a quiet topic's fetch waits at the broker. Default 500. */
  readonly maxWaitMillis?: number
  /** How long to try again while brokers can't be reached. Default 300,000. */
  readonly retryMillis?: number
  /** How often to look for added partitions. Default 30,000. */
  readonly partitionsMillis?: number
}

const refuse = (detail: string) => new KafkaError({ reason: new InvalidInput({ detail }) })

const problemOf = (options: Options): string | undefined => {
  const { maxWaitMillis = 500, partitionBytes = 1, start, totalBytes = 1, until } = options
  for (const [name, value] of Object.entries({ partitionBytes, totalBytes, maxWaitMillis }))
    if (!Number.isSafeInteger(value) || value < 1) return `${name} is a whole number of 1 or more, not ${value}`
  for (const vector of [start, until])
    if (vector instanceof Map)
      for (const [partition, offset] of vector)
        if (!Number.isSafeInteger(offset) || offset < 0)
          return `the offset of partition ${partition} is a whole number from 0 and below 2^53, not ${offset}`
  return undefined
}

const isVector = (at: OffsetAt | OffsetVector): at is OffsetVector => at instanceof Map

/** Where each partition begins. */
const starts = (admin: Admin, topic: string, start: OffsetAt | OffsetVector) =>
  Effect.gen(function* () {
    if (!isVector(start)) return yield* admin.offsets(topic, start)
    const earliest = yield* admin.offsets(topic, "earliest")
    return earliest.map((offset, partition) => start.get(partition) ?? offset)
  })

/** Where each partition ends, `Infinity` for never. */
const ends = (admin: Admin, topic: string, count: number, until: Options["until"]) =>
  Effect.gen(function* () {
    if (until === undefined) return Array.from({ length: count }, () => Infinity)
    if (until === "now") return yield* admin.offsets(topic, "latest")
    if ("timestamp" in until) return yield* admin.offsets(topic, until)
    const latest = yield* admin.offsets(topic, "latest")
    return latest.map((offset, partition) => until.get(partition) ?? offset)
  })

/** A larger answer is in memory several times while the client library puts it together, and no faster. */
const answerBytes = 16 << 20

const firstPause = 100
const longestPause = 1_000

/** Runs an effect again while what fails may pass, for at most `millis`. */
const patiently = <A>(
  what: string,
  millis: number,
  effect: Effect.Effect<A, KafkaError>
): Effect.Effect<A, KafkaError> =>
  Effect.gen(function* () {
    const start = yield* Elapsed.millis
    for (let pause = firstPause; ; pause = Math.min(2 * pause, longestPause)) {
      const result = yield* Effect.result(effect)
      if (Result.isSuccess(result)) return result.success
      const error = result.failure
      if (!error.retryable || (yield* Elapsed.millis) - start + pause > millis) return yield* error
      yield* Effect.logWarning(`${what} can't be read now, trying again: ${error.message}`)
      yield* Effect.sleep(pause)
    }
  })

const open = (options: Options) =>
  Effect.gen(function* () {
    const problem = problemOf(options)
    if (problem !== undefined) return yield* refuse(problem)
    const driver = yield* KafkaDriver
    const {
      maxWaitMillis = 500,
      partitionBytes = 8 << 20,
      partitionsMillis = 30_000,
      retryMillis = 300_000,
      start = "earliest",
      topic,
      totalBytes = 64 << 20,
      until
    } = options
    const patient = <A>(effect: Effect.Effect<A, KafkaError>) => patiently(`topic "${topic}"`, retryMillis, effect)

    const describe = Effect.gen(function* () {
      const info = yield* driver.admin.describeTopic(topic)
      const expected = options.topicId ?? info.id
      if (info.id !== expected)
        return yield* new KafkaError({ reason: new TopicRecreated({ topic, expected, found: info.id }) })
      return info
    })
    const info: TopicInfo = yield* patient(describe)
    const plan = new SourcePlan(topic, info.id, { partitionBytes, totalBytes })
    const from = yield* patient(starts(driver.admin, topic, start))
    const to = yield* patient(ends(driver.admin, topic, info.partitions, until))
    for (const partition of options.partitions ?? from.keys()) {
      if (from[partition] === undefined)
        return yield* new KafkaError({
          reason: new PartitionNotFound({ topic, partition, partitions: info.partitions })
        })
      plan.add(partition, from[partition], to[partition])
    }

    const consumer = yield* driver.consumer(options)
    const queue = yield* Queue.unbounded<RecordBatch, KafkaError | Cause.Done>()
    const room = yield* Latch.make(true)

    /** Partitions that were added to the topic; their records are all new, so they are read from the first. */
    const grow = Effect.gen(function* () {
      const { id, partitions } = yield* describe
      if (id !== info.id)
        return yield* new KafkaError({ reason: new TopicRecreated({ topic, expected: info.id, found: id }) })
      for (let partition = plan.count; partition < partitions; partition++) plan.add(partition, 0)
    })

    const fetching = Effect.gen(function* () {
      let looked = yield* Elapsed.millis
      while (!plan.done) {
        const now = yield* Elapsed.millis
        if (options.partitions === undefined && until === undefined && now - looked >= partitionsMillis) {
          looked = now
          yield* patient(grow)
        }
        room.closeUnsafe()
        const positions = plan.positions()
        if (positions.length === 0) {
          yield* room.await
          continue
        }
        const fetched = yield* patient(
          consumer.fetch(positions, { maxBytes: Math.min(totalBytes, answerBytes), maxWaitMillis })
        )
        for (const { batch } of fetched) {
          const own = plan.fetched(batch)
          if (own !== undefined) Queue.offerUnsafe(queue, own)
        }
      }
      yield* Queue.end(queue)
    }).pipe(Effect.catchCause((cause) => Queue.failCause(queue, cause)))
    yield* Effect.forkScoped(fetching)

    // One batch a pull: what is taken is the reader's.
    return Effect.map(Queue.take(queue), (batch) => {
      plan.taken(batch)
      room.openUnsafe()
      return [batch] as const
    })
  })

/** The topic's records from the start offsets on. */
export const stream = (options: Options): Stream.Stream<RecordBatch, KafkaError, KafkaDriver> =>
  Stream.fromPull<RecordBatch, KafkaError | Cause.Done, never, KafkaError, KafkaDriver | Scope.Scope>(
    open(options)
  ).pipe(Stream.scoped)
