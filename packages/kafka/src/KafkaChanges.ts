/**
 * Change streams on Kafka: the port `ChangeSink` over a driver. A publish is one transaction that holds the changes, by key in the stream's
 * topic, and the progress, by stream in a topic of all streams' progress.
 *
 * The stream's topic is made compacted, so that the latest record of each key stays, which is what the stream sums to; one that is there
 * already is used as it is. The progress topic has one partition and must be compacted, lest retention forgets how far a stream has come.
 * Readers need `isolation.level=read_committed`.
 *
 * `open` takes the transactional id over, which belongs to the stream's topic: the broker ends the predecessor's transaction before it
 * answers. The progress is then read up to the end of the log as it is, not as committed records show it: another stream's open transaction
 * hides what was committed after its beginning, and is waited for (its time-out bounds that). `progress` looks at what readers see now: it
 * waits for nothing and may be told of less.
 *
 * | the process dies | then |
 * | --- | --- |
 * | before the transaction, or within it | the next `open` aborts it; readers never see it |
 * | while the commit is under way | the broker has decided or not; the next `open` waits for its markers and reads what holds |
 * | after the commit | the next `open` reads this progress |
 * | it doesn't die, and wakes after its heir has opened | its epoch is old: `SinkFenced`, and nothing of it is seen |
 */
import { BatchBuilder, keyOf, type ProducerBatch, valueOf } from "@headrace/core/Batch"
import {
  ChangeSink,
  ChangeSinkError,
  type ChangeStream,
  type Progress,
  ProgressUnreadable,
  type Service,
  SinkFailed,
  SinkFenced,
  SinkOutcomeUnknown
} from "@headrace/core/ChangeSink"
import { NewerFormat } from "@headrace/core/EventLog"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import {
  type Compression,
  type CreateTopicOptions,
  KafkaDriver,
  type Service as Driver,
  type TopicInfo
} from "./Driver.ts"
import { KafkaError } from "./KafkaError.ts"
import * as KafkaSink from "./KafkaSink.ts"

export interface Options {
  /** Where the progress of all streams is kept. Default `headrace.progress`. */
  readonly progressTopic?: string
  /** Of a stream's topic when it is made here. Default 1. */
  readonly partitions?: number
  /** Of topics that are made here. Default: the broker's. */
  readonly replicationFactor?: number
  /** Settings of a stream's topic when it is made here, by Kafka's names; over `cleanup.policy=compact`. */
  readonly topicConfigs?: Readonly<Record<string, string>>
  /** Of changes. Default `none`. */
  readonly compression?: Compression
  /** The broker aborts a transaction that takes longer; the first of a large table is the longest. Default 60,000. */
  readonly transactionTimeoutMillis?: number
}

const defaultProgressTopic = "headrace.progress"
const format = 1

const ProgressJson = Schema.fromJsonString(
  Schema.Struct({
    format: Schema.Literal(format),
    declaration: Schema.String,
    topicId: Schema.String,
    next: Schema.Array(Schema.Struct({ partition: Schema.Int, next: Schema.Int }))
  })
)
const AnyFormat = Schema.fromJsonString(Schema.Struct({ format: Schema.Int }))
const decodeFormat = Schema.decodeUnknownResult(AnyFormat)
const decodeProgress = Schema.decodeUnknownResult(ProgressJson)

/** The key of a stream's progress. */
const keyOfStream = ({ topic, version, view }: ChangeStream): string => JSON.stringify({ view, version, topic })

/** A progress as it was written, or why it can't be read. */
const parse = (text: string, progressTopic: string, topic: string): Result.Result<Progress, ChangeSinkError> => {
  const refused = (reason: ChangeSinkError["reason"]) => Result.fail(new ChangeSinkError({ reason }))
  const found = decodeFormat(text)
  if (Result.isSuccess(found) && found.success.format > format)
    return refused(new NewerFormat({ path: progressTopic, found: found.success.format, supported: format }))
  const decoded = decodeProgress(text)
  if (Result.isFailure(decoded)) {
    const detail = `the progress topic "${progressTopic}" holds ${JSON.stringify(text.slice(0, 200))} for it (${decoded.failure.message}): something else writes to that topic; name another progress topic, or write to another topic`
    return refused(new ProgressUnreadable({ topic, detail }))
  }
  const { declaration, next, topicId } = decoded.success
  return Result.succeed({ declaration, topicId, next })
}

const print = ({ declaration, next, topicId }: Progress): string =>
  JSON.stringify({ format, declaration, topicId, next })

const oneRecord = (key: string, value: string, timestamp: number): ProducerBatch => {
  const builder = new BatchBuilder(1, key.length + value.length)
  builder.add(key, value, timestamp)
  return builder.take()
}

/** A failure of Kafka as the port has it. */
const toSinkError =
  (topic: string) =>
  (error: KafkaError): ChangeSinkError => {
    const { reason } = error
    const detail = error.message
    switch (reason._tag) {
      case "Fenced":
        return new ChangeSinkError({ reason: new SinkFenced({ topic, detail: reason.detail }) })
      case "OutcomeUnknown":
        return new ChangeSinkError({ reason: new SinkOutcomeUnknown({ topic, detail }) })
      default:
        return new ChangeSinkError({ reason: new SinkFailed({ topic, detail, cause: error }) })
    }
  }

/** The topic, made if it isn't there; another process may make it at the same time. */
const ensure = ({ admin }: Driver, topic: string, options: CreateTopicOptions): Effect.Effect<TopicInfo, KafkaError> =>
  admin.describeTopic(topic).pipe(
    Effect.catchReason("KafkaError", "TopicNotFound", () => admin.createTopic(topic, options)),
    Effect.catchReason("KafkaError", "TopicExists", () => admin.describeTopic(topic))
  )

/**
 * The latest committed value of a key in a topic's first partition: as readers see it now, or once all transactions on it that are open now
 * have ended.
 */
const latest = (
  driver: Driver,
  { id, name }: TopicInfo,
  key: string,
  asOf: "now" | "all ended"
): Effect.Effect<string | undefined, KafkaError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const at = (offset: number) => [{ topic: name, topicId: id, partition: 0, offset }]
      const from = (yield* driver.admin.offsets(name, "earliest"))[0]!
      let until = asOf === "now" ? (yield* driver.admin.offsets(name, "latest"))[0] : undefined
      if (until === undefined) {
        const uncommitted = yield* driver.consumer({ isolation: "uncommitted" })
        while (until === undefined) until = (yield* uncommitted.fetch(at(from), { maxWaitMillis: 1 }))[0]?.end
      }
      const committed = yield* driver.consumer()
      const text = new TextDecoder()
      let found: string | undefined
      for (let offset = from; offset < until;) {
        const [fetched] = yield* committed.fetch(at(offset))
        if (fetched === undefined) continue
        const { batch } = fetched
        for (let i = 0; i < batch.count; i++) {
          const [own, value] = [keyOf(batch, i), valueOf(batch, i)]
          if (own !== null && text.decode(own) === key) found = value === null ? undefined : text.decode(value)
        }
        offset = batch.next
      }
      return found
    })
  )

/** Change streams on the driver's cluster. */
export const make = (options: Options = {}): Effect.Effect<Service, never, KafkaDriver> =>
  Effect.gen(function* () {
    const driver = yield* KafkaDriver
    const {
      compression,
      partitions = 1,
      progressTopic = defaultProgressTopic,
      replicationFactor,
      topicConfigs,
      transactionTimeoutMillis
    } = options
    const replicated = replicationFactor === undefined ? {} : { replicationFactor }
    const compacted = { "cleanup.policy": "compact" }

    const read = (stream: ChangeStream, info: TopicInfo, asOf: "now" | "all ended") =>
      Effect.gen(function* () {
        const { topic } = stream
        const text = yield* Effect.mapError(latest(driver, info, keyOfStream(stream), asOf), toSinkError(topic))
        return text === undefined ? undefined : yield* Effect.fromResult(parse(text, progressTopic, topic))
      })

    const progress: Service["progress"] = (stream) =>
      Effect.gen(function* () {
        const info = yield* driver.admin.describeTopic(progressTopic).pipe(
          Effect.catchReason("KafkaError", "TopicNotFound", () => Effect.undefined),
          Effect.mapError(toSinkError(stream.topic))
        )
        return info === undefined ? undefined : yield* read(stream, info, "now")
      })

    const open = (stream: ChangeStream) =>
      Effect.gen(function* () {
        const { topic } = stream
        const key = keyOfStream(stream)
        const kafka = <A, R>(effect: Effect.Effect<A, KafkaError, R>) => Effect.mapError(effect, toSinkError(topic))
        yield* kafka(ensure(driver, topic, { partitions, configs: { ...compacted, ...topicConfigs }, ...replicated }))
        const progressInfo = yield* kafka(
          ensure(driver, progressTopic, { partitions: 1, configs: compacted, ...replicated })
        )
        const policy = (yield* kafka(driver.admin.topicConfigs(progressTopic)))["cleanup.policy"]
        if (policy !== "compact") {
          const detail = `the progress topic "${progressTopic}" has cleanup.policy=${policy ?? "unknown"}, so its records may be lost: set it to compact, or name another`
          return yield* new ChangeSinkError({ reason: new ProgressUnreadable({ topic, detail }) })
        }
        const { transaction } = yield* kafka(
          KafkaSink.transactional({
            topic,
            transactionalId: `headrace.changes.${topic}`,
            ...(compression === undefined ? {} : { compression }),
            ...(transactionTimeoutMillis === undefined ? {} : { transactionTimeoutMillis })
          })
        )
        const progress = yield* read(stream, progressInfo, "all ended")

        const publish = <E, R>(
          changes: Stream.Stream<{ readonly key: string; readonly value: string | null }, E, R>,
          next: Progress
        ): Effect.Effect<void, ChangeSinkError | E, R> =>
          transaction(({ flush, send, write }) =>
            Effect.gen(function* () {
              const now = yield* Clock.currentTimeMillis
              const builder = new BatchBuilder()
              yield* Stream.runForEachArray(changes, (some) => {
                for (const change of some) builder.add(change.key, change.value, now)
                return kafka(write(builder.take()))
              })
              yield* kafka(flush)
              yield* kafka(send([{ topic: progressTopic, partition: 0, records: oneRecord(key, print(next), now) }]))
            })
          ).pipe(Effect.mapError((error) => (error instanceof KafkaError ? toSinkError(topic)(error) : error)))
        return { progress, publish }
      }).pipe(Effect.provideService(KafkaDriver, driver))
    return { open, progress }
  })

/** Change streams on the driver's cluster. */
export const layer = (options: Options = {}): Layer.Layer<ChangeSink, never, KafkaDriver> =>
  Layer.effect(ChangeSink, make(options))
