/**
 * The retained log on Kafka: the port `EventLog` over a driver, so that what reads and writes a log does so on Kafka unchanged.
 *
 * An `append` is one Kafka batch, which the broker takes whole or not at all; so its size, compressed, is limited by the topic's
 * `max.message.bytes`. Topics that are made here get 16 MiB, and keep their records for good, whatever the records' times say. A transaction
 * would lift the limit, at the price of a coordinator's round trips for each append and of offsets that aren't contiguous.
 *
 * Only records of committed transactions are read, and `end` is where they end: another program's open transaction holds it back. Of the
 * topics, Kafka's own are left out. The id is Kafka's topic id. Needs Kafka 3.1 or newer.
 *
 * **Requests.** To describe a topic takes three (metadata, where partitions begin, where they end), and once in half a minute a fourth, for its
 * `cleanup.policy`. A read that names the topic's id and lies within what was described before asks nothing but fetches: the broker itself
 * refuses an id that is gone, and an offset that retention took meanwhile.
 */
import { type RecordBatch, slice } from "@headrace/core/Batch"
import * as Core from "@headrace/core/EventLog"
import * as LogInput from "@headrace/core/LogInput"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Compression, type Consumer, KafkaDriver, type TopicInfo } from "./Driver.ts"
import * as Elapsed from "./internal/Elapsed.ts"
import type { KafkaError } from "./KafkaError.ts"

export interface Options {
  /** Of what `append` writes. Default `none`. */
  readonly compression?: Compression
  /** For topics that are made here. Default: the broker's. */
  readonly replicationFactor?: number
  /** Settings of topics that are made here, by Kafka's names. */
  readonly topicConfigs?: Readonly<Record<string, string>>
}

/** Records stay, and their times are the events' own, whatever the broker's clock says. */
const defaultConfigs = {
  "retention.ms": "-1",
  "retention.bytes": "-1",
  "message.timestamp.after.max.ms": "9223372036854775807",
  "max.message.bytes": `${16 << 20}`
} as const

/** Of a fetch: enough to be worth its round trip. */
const fetchBytes = 8 << 20
const describeConcurrency = 8
/** A topic's settings are asked for again after this time. The broker compacts later than that after it was told to. */
const policyMillis = 30_000

/** A Kafka failure as the log port has it. */
const toLogError = (error: KafkaError): Core.EventLogError => {
  const { reason } = error
  const failed = (kind: Core.StorageFailed["kind"]) =>
    new Core.StorageFailed({ path: "Kafka", kind, detail: error.message, cause: error })
  switch (reason._tag) {
    case "TopicNotFound":
    case "TopicExists":
    case "PartitionNotFound":
    case "OffsetOutOfRange":
      return new Core.EventLogError({ reason })
    // The topic that was meant is gone.
    case "TopicRecreated":
      return new Core.EventLogError({ reason: new Core.TopicNotFound({ topic: reason.topic }) })
    case "InvalidInput":
    case "RecordTooLarge":
      return new Core.EventLogError({ reason: new Core.InvalidInput({ detail: error.message }) })
    case "NotAuthorized":
    case "AuthenticationFailed":
      return new Core.EventLogError({ reason: failed("no-rights") })
    case "CorruptBatch":
      return new Core.EventLogError({ reason: failed("corrupt") })
    default:
      return new Core.EventLogError({ reason: failed(error.retryable ? "busy" : "other") })
  }
}

const kafka = <A, R>(effect: Effect.Effect<A, KafkaError, R>): Effect.Effect<A, Core.EventLogError, R> =>
  Effect.mapError(effect, toLogError)

const refuse = (reason: Core.EventLogError["reason"] | undefined): Effect.Effect<void, Core.EventLogError> =>
  reason === undefined ? Effect.void : Effect.fail(new Core.EventLogError({ reason }))

/** The log on the driver's cluster; its connections live in the scope. */
export const make = (options: Options = {}): Effect.Effect<Core.Service, KafkaError, KafkaDriver | Scope.Scope> =>
  Effect.gen(function* () {
    const driver = yield* KafkaDriver
    const { admin } = driver
    const scope = yield* Effect.scope
    const producer = yield* driver.producer(
      options.compression === undefined ? {} : { compression: options.compression }
    )

    /** Readers take a consumer for their time: a connection serves one fetch after the other. */
    const idle: Array<Consumer> = []
    const consumer = Effect.acquireRelease(
      Effect.suspend(() => {
        const own = idle.pop()
        return own === undefined ? Effect.provideService(driver.consumer(), Scope.Scope, scope) : Effect.succeed(own)
      }),
      (own) =>
        Effect.sync(() => {
          idle.push(own)
        })
    )

    const rangesOf = (topic: TopicInfo): Effect.Effect<Core.TopicDescription, KafkaError> =>
      Effect.gen(function* () {
        const [begins, ends] = yield* Effect.all(
          [
            admin.offsets(topic.name, "earliest", topic.partitions),
            admin.offsets(topic.name, "latest", topic.partitions)
          ],
          { concurrency: 2 }
        )
        const partitions = begins.map((begin, partition) => ({
          partition,
          begin,
          // Retention may have passed the end of what is stable meanwhile.
          end: Math.max(begin, ends[partition] ?? begin)
        }))
        return { name: topic.name, id: topic.id, partitions }
      })

    const policies = new Map<string, { readonly compacted: boolean; readonly asked: number }>()
    const isCompacted = ({ id, name }: TopicInfo): Effect.Effect<boolean, KafkaError> =>
      Effect.gen(function* () {
        const now = yield* Elapsed.millis
        const known = policies.get(id)
        if (known !== undefined && now - known.asked < policyMillis) return known.compacted
        const policy = (yield* admin.topicConfigs(name))["cleanup.policy"] ?? ""
        const compacted = policy.split(",").some((own) => own.trim() === "compact")
        policies.set(id, { compacted, asked: now })
        return compacted
      })

    /** As of the last time, by topic. */
    const described = new Map<string, Core.TopicDescription>()
    const describe = (topic: string) =>
      Effect.gen(function* () {
        described.delete(topic)
        const info = yield* admin.describeTopic(topic)
        const [ranges, compacted] = yield* Effect.all([rangesOf(info), isCompacted(info)], { concurrency: 2 })
        const description = compacted ? { ...ranges, compacted } : ranges
        described.set(topic, description)
        return description
      }).pipe(kafka)

    /** Where a partition is to be read, without a question if what is known of the topic is enough. */
    const placeOf = ({ from, partition, topic, topicId, until }: Core.ReadOptions) =>
      Effect.suspend(() => {
        const own = topicId === undefined || until === undefined ? undefined : described.get(topic)
        const range = own?.partitions[partition]
        return own !== undefined &&
          own.id === topicId &&
          range !== undefined &&
          range.begin <= from &&
          until! <= range.end
          ? Effect.succeed({ id: own.id, range })
          : locate(topic, partition)
      })

    const locate = (topic: string, partition: number) =>
      Effect.gen(function* () {
        yield* refuse(LogInput.offset("partition", partition))
        const description = yield* kafka(Effect.flatMap(admin.describeTopic(topic), rangesOf))
        const range = description.partitions[partition]
        if (range !== undefined) return { id: description.id, range }
        const partitions = description.partitions.length
        return yield* new Core.EventLogError({ reason: new Core.PartitionNotFound({ topic, partition, partitions }) })
      })

    const topics: Core.Service["topics"] = kafka(
      Effect.gen(function* () {
        const own = (yield* admin.topics).filter(({ internal }) => !internal)
        const described = yield* Effect.forEach(
          own,
          (topic) =>
            // One that was deleted meanwhile isn't there.
            Effect.catchReason(rangesOf(topic), "KafkaError", "TopicNotFound", () => Effect.undefined),
          { concurrency: describeConcurrency }
        )
        return described.filter((topic) => topic !== undefined)
      })
    )

    const createTopic: Core.Service["createTopic"] = (topic, { partitions }) =>
      Effect.gen(function* () {
        yield* refuse(LogInput.newTopic(topic, partitions))
        const { replicationFactor, topicConfigs } = options
        yield* kafka(
          admin.createTopic(topic, {
            partitions,
            configs: { ...defaultConfigs, ...topicConfigs },
            ...(replicationFactor === undefined ? {} : { replicationFactor })
          })
        )
        return yield* describe(topic)
      })

    const append: Core.Service["append"] = (topic, partition, records) =>
      Effect.gen(function* () {
        yield* refuse(LogInput.records(records))
        yield* refuse(LogInput.offset("partition", partition))
        if (records.count === 0) {
          const { end } = (yield* locate(topic, partition)).range
          return { base: end, next: end }
        }
        const appended = yield* kafka(producer.send([{ topic, partition, records }]))
        return appended[0]!
      })

    const deleteBefore: Core.Service["deleteBefore"] = (topic, partition, offset) =>
      Effect.gen(function* () {
        yield* refuse(LogInput.offset("partition", partition))
        yield* refuse(LogInput.offset("offset", offset))
        yield* kafka(admin.deleteRecords(topic, partition, Math.max(offset, 0)))
      })

    const read: Core.Service["read"] = (readOptions) =>
      Stream.unwrap(
        Effect.gen(function* () {
          yield* refuse(LogInput.readOptions(readOptions))
          const { from, maxRecords = LogInput.defaultMaxRecords, partition, topic, topicId } = readOptions
          const { id, range } = yield* placeOf(readOptions)
          if (topicId !== undefined && topicId !== id)
            return yield* new Core.EventLogError({ reason: new Core.TopicNotFound({ topic }) })
          const until = LogInput.bounds(readOptions, range)
          if (typeof until !== "number") return yield* new Core.EventLogError({ reason: until })
          const own = yield* kafka(consumer)
          let fetched: RecordBatch | undefined
          /** Whether the topic may have been deleted since the last fetch. */
          let stale = false
          const next = (at: number): Effect.Effect<RecordBatch, KafkaError> => {
            if (fetched !== undefined && at < fetched.next) {
              stale = at > fetched.base
              return Effect.succeed(slice(fetched, at, until, maxRecords))
            }
            const position = { topic, topicId: id, partition, offset: at, maxBytes: fetchBytes }
            return Effect.flatMap(own.fetch([position], { maxBytes: fetchBytes }), ([found]) => {
              fetched = found?.batch
              // Nothing yet: the partition's leader is behind what another broker said.
              return next(at)
            })
          }
          const checkThere = Effect.gen(function* () {
            if (stale && (yield* kafka(admin.describeTopic(topic))).id !== id)
              return yield* new Core.EventLogError({ reason: new Core.TopicNotFound({ topic }) })
          })
          return Stream.unfold(from, (at) =>
            at >= until
              ? Effect.as(checkThere, undefined)
              : Effect.map(kafka(next(at)), (batch) => [batch, batch.next] as const)
          )
        })
      ).pipe(Stream.scoped)

    return {
      topics,
      describe,
      createTopic,
      deleteTopic: (topic) => kafka(admin.deleteTopic(topic)),
      append,
      read,
      deleteBefore
    }
  })

/** The log on the driver's cluster. */
export const layer = (options: Options = {}): Layer.Layer<Core.EventLog, KafkaError, KafkaDriver> =>
  Layer.effect(Core.EventLog, make(options))

/** As {@link layer}, with `KAFKA_COMPRESSION` and `KAFKA_REPLICATION_FACTOR`. */
export const layerConfig: Layer.Layer<Core.EventLog, KafkaError | Config.ConfigError, KafkaDriver> = Layer.unwrap(
  Effect.gen(function* () {
    const compressions = ["none", "gzip", "snappy", "lz4", "zstd"] as const
    const compression = yield* Config.Literals(compressions, "COMPRESSION").pipe(
      Config.withDefault("none" as const),
      Config.nested("KAFKA")
    )
    const replicationFactor = yield* Config.Int("REPLICATION_FACTOR").pipe(
      Config.withDefault(-1),
      Config.nested("KAFKA")
    )
    return layer({ compression, replicationFactor })
  })
)
