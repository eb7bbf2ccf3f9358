/**
 * A topic as a stream of batches: {@link stream} reads fixed partitions, {@link group} those that a consumer group assigns.
 *
 * Each batch belongs to one partition, and those of a partition chain: the first begins at its start offset, each further one where the one
 * before ended, over transaction markers, aborted records and compacted ones. So the `next` of the last batch of each partition is the vector
 * to start from again; `stream` neither reads from nor writes to a consumer group. Between partitions there is no order.
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
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  type Admin,
  type ConsumerOptions,
  KafkaDriver,
  type MemberOptions,
  type OffsetAt,
  type TopicInfo
} from "./Driver.ts"
import * as Elapsed from "./internal/Elapsed.ts"
import * as GroupSource from "./internal/GroupSource.ts"
import { patiently } from "./internal/Patience.ts"
import { answerBytes, SourcePlan } from "./internal/SourcePlan.ts"
import { InvalidInput, KafkaError, PartitionNotFound, TopicRecreated } from "./KafkaError.ts"
import type { Transaction, Transactional } from "./KafkaSink.ts"

/** Where each partition begins or ends: by partition. */
export type OffsetVector = ReadonlyMap<number, number>

/** How much is read ahead, and how. */
export interface ReadOptions extends ConsumerOptions {
  /** Bytes that are read ahead, per partition. Default 8 MiB. */
  readonly partitionBytes?: number
  /** Bytes that are read ahead in all. Default 64 MiB. */
  readonly totalBytes?: number
  /** How long a quiet topic's fetch waits at the broker. Default 500. */
  readonly maxWaitMillis?: number
  /** How long to try again while brokers can't be reached. Default 300,000. */
  readonly retryMillis?: number
}

export interface Options extends ReadOptions {
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
  /** How often to look for added partitions. Default 30,000. */
  readonly partitionsMillis?: number
}

const refuse = (detail: string) => new KafkaError({ reason: new InvalidInput({ detail }) })

const problemOf = ({ start, until, ...options }: Options): string | undefined => {
  for (const vector of [start, until])
    if (vector instanceof Map)
      for (const [partition, offset] of vector)
        if (!Number.isSafeInteger(offset) || offset < 0)
          return `the offset of partition ${partition} is a whole number from 0 and below 2^53, not ${offset}`
  return GroupSource.problemOf(options)
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
    const plan = new SourcePlan({ partitionBytes, totalBytes })
    const from = yield* patient(starts(driver.admin, topic, start))
    const to = yield* patient(ends(driver.admin, topic, info.partitions, until))
    for (const partition of options.partitions ?? from.keys()) {
      if (from[partition] === undefined)
        return yield* new KafkaError({
          reason: new PartitionNotFound({ topic, partition, partitions: info.partitions })
        })
      plan.add({ topic, topicId: info.id, partition }, from[partition], to[partition])
    }

    const consumer = yield* driver.consumer(options)
    const queue = yield* Queue.unbounded<RecordBatch, KafkaError | Cause.Done>()
    const room = yield* Latch.make(true)

    /** Partitions that were added to the topic; their records are all new, so they are read from the first. */
    const grow = Effect.gen(function* () {
      const { id, partitions } = yield* describe
      if (id !== info.id)
        return yield* new KafkaError({ reason: new TopicRecreated({ topic, expected: info.id, found: id }) })
      for (let partition = plan.count; partition < partitions; partition++)
        plan.add({ topic, topicId: id, partition }, 0)
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

export interface GroupOptions extends ReadOptions, Omit<MemberOptions, "onAssigned" | "onRevoked"> {
  /** Where a partition begins that the group has committed no offset of; that offset is committed at once. Default `earliest`. */
  readonly start?: OffsetAt
  /** How long a partition that is to go waits for its deliveries' commits. Default: half of the rebalance time-out. */
  readonly finishMillis?: number
}

/** A batch of a partition that is the group's member's, and how to say that it is handled. */
export interface Delivery {
  /** Has at least one record. */
  readonly batch: RecordBatch
  /**
   * The batch is handled: commits the partition's offsets up to the first batch that isn't yet, so never beyond one that is still at work. At
   * least once: what was handled but isn't committed when the process dies comes again.
   */
  readonly commit: Effect.Effect<void, KafkaError>
  /**
   * Exactly once: runs `work` in a transaction and commits the offsets with what it wrote, or neither. A partition's deliveries go in their
   * order: one before an earlier one is refused with `InvalidInput`.
   */
  readonly commitWith: <A, E, R>(
    sink: Transactional,
    work: (transaction: Transaction) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | KafkaError, R>
}

/**
 * The records of the partitions that a consumer group assigns to this member, while it has them; the stream's end leaves the group.
 *
 * Commit every delivery, one way or the other. A partition that is to go hands nothing more out, waits for the commits of what it has handed
 * out, for `finishMillis` at most, and then goes. After that, and at once when the group has given the member up, both commits of its
 * deliveries fail with `MemberLost`: drop the delivery, whoever has the partition now gets it again. So the stream itself goes on.
 */
export const group = (options: GroupOptions): Stream.Stream<Delivery, KafkaError, KafkaDriver> =>
  Stream.fromPull<Delivery, KafkaError, never, KafkaError, KafkaDriver | Scope.Scope>(GroupSource.open(options)).pipe(
    Stream.scoped
  )
