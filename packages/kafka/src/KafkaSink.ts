/**
 * Records into a topic: partitioned by key as Kafka's Java client does, gathered into batches by bytes and time, and sent by an idempotent
 * producer, or inside a transaction.
 *
 * While one request with what every partition has gathered is under way, the next is gathered; then writing waits. `flush` ends when all
 * that was written is acknowledged by all in-sync replicas. A record that is larger than the topic takes fails with `RecordTooLarge`, which
 * names it; what was written before it can still be flushed.
 */
import { keyOf, type ProducerBatch } from "@headrace/core/Batch"
import * as Partitioner from "@headrace/core/Partitioner"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import {
  type Appended,
  type Compression,
  KafkaDriver,
  type Producer,
  type SendItem,
  type TransactionalProducer
} from "./Driver.ts"
import { RecordBuffer } from "./internal/RecordBuffer.ts"
import { KafkaError, RecordTooLarge } from "./KafkaError.ts"

export interface Options {
  readonly topic: string
  /** Default `none`. */
  readonly compression?: Compression
  /** A partition's batch is sent at this many bytes of keys and values. Default 512 KiB, at most the topic's `max.message.bytes`. */
  readonly batchBytes?: number
  /** What is gathered is sent after this time at the latest. Default 5. */
  readonly lingerMillis?: number
  /** The partition of a record, by its key. Default: murmur2 of the key; keyless records go to one partition a batch, in turn. */
  readonly partition?: (key: Uint8Array | null, partitions: number) => number
}

/** Next offset by partition, of what was sent. */
export type Sent = ReadonlyMap<number, number>

export interface Writer {
  /** Takes the records over, and waits while too much is under way. They may not be acknowledged when it ends. */
  readonly write: (records: ProducerBatch) => Effect.Effect<void, KafkaError>
  /** Ends when all that was written is acknowledged. */
  readonly flush: Effect.Effect<Sent, KafkaError>
}

interface Target extends Options {
  readonly partitions: number
  /** Bytes of a batch. */
  readonly limit: number
}

/** Gathers records by partition, in two sets of buffers: one is filled while what the other holds is sent. */
class Gather {
  readonly #options: Target
  #filling: ReadonlyArray<RecordBuffer>
  #sending: ReadonlyArray<RecordBuffer>
  #turn = 0

  constructor(options: Target) {
    const buffers = () => Array.from({ length: options.partitions }, () => new RecordBuffer())
    this.#options = options
    this.#filling = buffers()
    this.#sending = buffers()
  }

  get isEmpty(): boolean {
    return this.#filling.every(({ count }) => count === 0)
  }

  /** Takes records from `first` on, until a partition is full; gives the index of the first that wasn't taken. */
  add(records: ProducerBatch, first: number): number | RecordTooLarge {
    const { limit, partition: choose } = this.#options
    const partitions = this.#filling.length
    const { bytes } = records
    const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let i = first; i < records.count; i++) {
      let partition = 0
      if (choose !== undefined) partition = choose(keyOf(records, i), partitions)
      else if (records.keys[2 * i]! < 0) partition = this.#turn % partitions
      else if (partitions > 1) partition = Partitioner.partitionOf(keyOf(records, i)!, partitions)
      const buffer = this.#filling[partition]!
      const size = RecordBuffer.sizeOf(records, i)
      if (RecordBuffer.overhead + size > limit)
        return new RecordTooLarge({ topic: this.#options.topic, partition, size, limit })
      if (buffer.size + size > limit) return i
      buffer.add(records, i, from)
    }
    return records.count
  }

  /** Forgets what was gathered. */
  clear(): void {
    for (const buffer of this.#filling) buffer.clear()
  }

  /** What was gathered, as views that are valid until the next but one call. */
  take(): ReadonlyArray<SendItem> {
    const { topic } = this.#options
    const items: Array<SendItem> = []
    for (let partition = 0; partition < this.#filling.length; partition++) {
      const buffer = this.#filling[partition]!
      if (buffer.count > 0) items.push({ topic, partition, records: buffer.view() })
    }
    const filled = this.#filling
    this.#filling = this.#sending
    this.#sending = filled
    this.clear()
    this.#turn++
    return items
  }
}

const defaultBatchBytes = 512 << 10

/** The topic as it is now: partitions that are added later get no records. */
const target = (options: Options): Effect.Effect<Target, KafkaError, KafkaDriver> =>
  Effect.gen(function* () {
    const { batchBytes = defaultBatchBytes, topic } = options
    const { admin } = yield* KafkaDriver
    const { partitions } = yield* admin.describeTopic(topic)
    const largest = Number((yield* admin.topicConfigs(topic))["max.message.bytes"] ?? defaultBatchBytes)
    return { ...options, partitions, limit: Math.min(batchBytes, largest) }
  })

/** A writer over a way to send. */
const writer = (
  send: Producer["send"],
  gather: Gather,
  { lingerMillis = 5 }: Options
): Effect.Effect<Writer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const lock = yield* Semaphore.make(1)
    const sent = new Map<number, number>()
    let underway: Fiber.Fiber<ReadonlyArray<Appended>, KafkaError> | undefined

    /** Waits for the request that is under way; its failure is the writer's for good. */
    const settle = Effect.suspend(() => {
      if (underway === undefined) return Effect.void
      return Effect.map(Fiber.join(underway), (appended) => {
        for (const { next, partition } of appended) sent.set(partition, next)
        underway = undefined
      })
    })
    const launch = Effect.andThen(
      settle,
      Effect.uninterruptible(
        Effect.suspend(() =>
          gather.isEmpty
            ? Effect.void
            : Effect.map(Effect.forkIn(Effect.interruptible(send(gather.take())), scope), (fiber) => {
                underway = fiber
              })
        )
      )
    )

    const write: Writer["write"] = (records) =>
      lock.withPermit(
        Effect.gen(function* () {
          for (let i = 0; i < records.count;) {
            const next = gather.add(records, i)
            if (typeof next !== "number") return yield* new KafkaError({ reason: next })
            i = next
            if (i < records.count) yield* launch
          }
        })
      )
    const flush: Writer["flush"] = lock.withPermit(
      Effect.andThen(
        launch,
        Effect.map(settle, () => new Map(sent))
      )
    )
    // A failure shows at the next write or flush.
    const linger = Effect.forever(
      Effect.andThen(
        Effect.sleep(lingerMillis),
        Effect.suspend(() => (gather.isEmpty ? Effect.void : Effect.ignore(lock.withPermit(launch))))
      )
    )
    yield* Effect.forkScoped(linger)
    return { write, flush }
  })

/** A writer over an idempotent producer of its own, closed with the scope; flush it first. */
export const make = (options: Options): Effect.Effect<Writer, KafkaError, KafkaDriver | Scope.Scope> =>
  Effect.gen(function* () {
    const driver = yield* KafkaDriver
    const { compression } = options
    const { send } = yield* driver.producer(compression === undefined ? {} : { compression })
    return yield* writer(send, new Gather(yield* target(options)), options)
  })

/** A sink for batches of records, flushed at the end of its input; gives the next offset of each partition that got any. */
export const sink = (options: Options): Sink.Sink<Sent, ProducerBatch, never, KafkaError, KafkaDriver> =>
  Sink.make<ProducerBatch>()((input) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { flush, write } = yield* make(options)
        yield* Stream.runForEach(input, write)
        return yield* flush
      })
    )
  )

export interface TransactionalOptions extends Options {
  readonly transactionalId: string
  /** Default 60,000. */
  readonly transactionTimeoutMillis?: number
}

/** What a transaction may do. */
export interface Transaction extends Writer {
  /** Appends to any topic within the transaction, past what is gathered. */
  readonly send: Producer["send"]
  /** Commits offsets of a group with the transaction, as {@link TransactionalProducer}'s. */
  readonly sendOffsets: TransactionalProducer["sendOffsets"]
}

export interface Transactional {
  /**
   * Runs `work` inside a transaction, flushes what it wrote, and commits. When `work` fails or is interrupted the transaction is aborted, and
   * nothing of it is ever seen. One at a time.
   */
  readonly transaction: <A, E, R>(
    work: (transaction: Transaction) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | KafkaError, R>
}

/** Transactions on a topic. Taking the transactional id fences who had it before. */
export const transactional = (
  options: TransactionalOptions
): Effect.Effect<Transactional, KafkaError, KafkaDriver | Scope.Scope> =>
  Effect.gen(function* () {
    const driver = yield* KafkaDriver
    const { compression, transactionTimeoutMillis, transactionalId } = options
    const producer = yield* driver.transactional({
      transactionalId,
      ...(compression === undefined ? {} : { compression }),
      ...(transactionTimeoutMillis === undefined ? {} : { transactionTimeoutMillis })
    })
    const gather = new Gather(yield* target(options))
    const lock = yield* Semaphore.make(1)

    const transaction: Transactional["transaction"] = (work) =>
      lock.withPermit(
        Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            yield* producer.begin
            // Closed before the transaction ends: nothing is under way any more then.
            const scope = yield* Scope.make()
            const body = Effect.gen(function* () {
              const { flush, write } = yield* Effect.provideService(
                writer(producer.send, gather, options),
                Scope.Scope,
                scope
              )
              const result = yield* work({ flush, write, send: producer.send, sendOffsets: producer.sendOffsets })
              yield* flush
              return result
            })
            const exit = yield* Effect.exit(restore(body))
            yield* Scope.close(scope, exit)
            gather.clear()
            if (Exit.isSuccess(exit)) {
              yield* Effect.tapError(producer.commit, ({ reason }) =>
                reason._tag === "Fenced" || reason._tag === "OutcomeUnknown"
                  ? Effect.void
                  : Effect.ignore(producer.abort)
              )
              return exit.value
            }
            // A fenced producer has nothing to abort; the failure of `work` says more than that of the abort.
            yield* Effect.catch(producer.abort, (error) => Effect.logDebug(`abort: ${error.message}`))
            return yield* exit
          })
        )
      )
    return { transaction }
  })
