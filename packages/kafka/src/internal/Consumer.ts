/** Fetches from the partitions' leaders, and turns each part of their answers into a batch that covers up to the next position. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Consumer, ConsumerOptions, Fetched, FetchOptions, Position } from "../Driver.ts"
import {
  CorruptBatch,
  InvalidInput,
  KafkaError,
  OffsetOutOfRange,
  PartitionNotFound,
  TopicRecreated
} from "../KafkaError.ts"
import { type Address, addressText } from "../KafkaOptions.ts"
import * as Api from "./Api.ts"
import { Again, type Cluster, type Links, retrying } from "./Cluster.ts"
import { Code, isPassing, reasonOf } from "./ErrorCodes.ts"
import * as Offsets from "./Offsets.ts"
import * as RecordSet from "./RecordSet.ts"

const defaults = { maxBytes: 16 << 20, partitionMaxBytes: 1 << 20, maxWaitMillis: 500, minBytes: 1 } as const

/** By topic id: bytes of records for a byte that is fetched, 1 where nothing is compressed. What the next fetch asks for goes by it. */
type Expansion = Map<string, number>

/** One consumer's. */
interface Context {
  readonly cluster: Cluster
  readonly links: Links
  readonly options: ConsumerOptions
  readonly expansion: Expansion
}

interface Request {
  readonly address: Address
  readonly positions: Array<Position>
}

const problemOf = (positions: ReadonlyArray<Position>): InvalidInput | undefined => {
  const seen = new Set<string>()
  for (const { offset, partition, topic } of positions) {
    if (!Number.isSafeInteger(offset) || offset < 0)
      return new InvalidInput({ detail: `an offset is a whole number from 0 and below 2^53, not ${offset}` })
    const key = `${topic} ${partition}`
    if (seen.has(key))
      return new InvalidInput({ detail: `topic "${topic}" partition ${partition} stands twice in one fetch` })
    seen.add(key)
  }
  return undefined
}

/** A partition's part of an answer as a batch. A view on the answer where the answer has little else in it: a batch keeps its buffer alive. */
const decode = (
  position: Position,
  found: Api.FetchPartition,
  answerBytes: number,
  { expansion, options: { checkCrcs = true, isolation = "committed" } }: Context
): Fetched | KafkaError => {
  const { maxBytes = defaults.partitionMaxBytes, offset, partition, topic, topicId } = position
  const bytes = 2 * found.records.length < answerBytes ? found.records.slice() : found.records
  const aborted = isolation === "committed" ? found.aborted : []
  try {
    const { batch, covered } = RecordSet.decode({ topic, partition, offset, bytes, aborted, checkCrcs, maxBytes })
    if (batch.count > 0)
      expansion.set(topicId, Math.max(1, batch.bytes.length / covered, 0.9 * (expansion.get(topicId) ?? 1)))
    return { batch, begin: found.begin, end: isolation === "committed" ? found.stableEnd : found.end }
  } catch (cause) {
    if (!(cause instanceof RecordSet.DamagedBatch || cause instanceof RangeError)) throw cause
    const at = cause instanceof RecordSet.DamagedBatch ? cause.offset : offset
    return new KafkaError({ reason: new CorruptBatch({ topic, partition, offset: at, detail: cause.message }) })
  }
}

export const make = (cluster: Cluster, options: ConsumerOptions = {}): Effect.Effect<Consumer, never, Scope.Scope> =>
  Effect.map(cluster.links, (links) => {
    const context = { cluster, links, options, expansion: new Map<string, number>() }
    return {
      fetch: (positions, fetchOptions = {}) =>
        Effect.suspend(() => {
          const problem = problemOf(positions)
          if (problem !== undefined) return Effect.fail(new KafkaError({ reason: problem }))
          if (positions.length === 0) return Effect.succeed([])
          return retrying(cluster.settings.requestTimeoutMillis, round(context, fetchOptions, positions))
        })
    }
  })

/** One request to each leader. What some of them gave is an answer; the rest is asked again by the next fetch. */
const round = (
  context: Context,
  fetchOptions: FetchOptions,
  positions: ReadonlyArray<Position>
): Effect.Effect<ReadonlyArray<Fetched>, KafkaError | Again> =>
  Effect.gen(function* () {
    const { cluster, links } = context
    const requests = new Map<string, Request>()
    let again: Again | undefined
    for (const position of positions) {
      const { partition, topic } = position
      const known = yield* cluster.topic(links, topic)
      if (known.id !== position.topicId)
        return yield* new KafkaError({
          reason: new TopicRecreated({ topic, expected: position.topicId, found: known.id })
        })
      if (partition < 0 || partition >= known.leaders.length)
        return yield* new KafkaError({
          reason: new PartitionNotFound({ topic, partition, partitions: known.leaders.length })
        })
      // A partition without a leader doesn't keep the others waiting.
      const led = yield* Effect.result(cluster.leader(links, topic, partition))
      if (Result.isFailure(led)) {
        if (!(led.failure instanceof Again)) return yield* led.failure
        again ??= led.failure
        continue
      }
      const address = led.success
      const request = requests.get(addressText(address))
      if (request === undefined) requests.set(addressText(address), { address, positions: [position] })
      else request.positions.push(position)
    }
    const results = yield* Effect.forEach(
      requests.values(),
      (request) => Effect.result(one(context, fetchOptions, request)),
      { concurrency: "unbounded" }
    )
    const fetched: Array<Fetched> = []
    for (const result of results) {
      if (Result.isSuccess(result)) {
        fetched.push(...result.success.fetched)
        again ??= result.success.again
      } else if (result.failure instanceof Again) again ??= result.failure
      else return yield* result.failure
    }
    return fetched.length === 0 && again !== undefined ? yield* again : fetched
  })

const one = (context: Context, fetchOptions: FetchOptions, { address, positions }: Request) =>
  Effect.gen(function* () {
    const { cluster, expansion, links, options } = context
    const {
      maxBytes = defaults.maxBytes,
      maxWaitMillis = defaults.maxWaitMillis,
      minBytes = defaults.minBytes
    } = fetchOptions
    const topics = Api.byTopic(positions).map(([, own]) => ({
      id: own[0]!.topicId,
      partitions: own.map(({ maxBytes = defaults.partitionMaxBytes, offset, partition }) => ({
        partition,
        offset,
        maxBytes: Math.ceil(maxBytes / (expansion.get(own[0]!.topicId) ?? 1))
      }))
    }))
    const committed = options.isolation !== "uncommitted"
    const input = { maxWaitMillis, minBytes, maxBytes, committed, topics }
    const answer = yield* cluster.callLeader(
      links,
      address,
      positions.map(({ topic }) => topic),
      Api.fetch,
      input,
      maxWaitMillis
    )
    const answerBytes = answer.topics.reduce(
      (sum, { partitions }) => partitions.reduce((sum, { records }) => sum + records.length, sum),
      0
    )
    const fetched: Array<Fetched> = []
    let again: Again | undefined
    for (const { id, partitions } of answer.topics) {
      for (const found of partitions) {
        const position = positions.find((p) => p.topicId === id && p.partition === found.partition)
        if (position === undefined) continue
        if (found.code === Code.none) {
          const result = decode(position, found, answerBytes, context)
          if (result instanceof KafkaError) return yield* result
          fetched.push(result)
        } else again = yield* refused(cluster, links, position, found.code)
      }
    }
    if (answer.code !== Code.none) again = yield* refused(cluster, links, positions[0]!, answer.code)
    return { fetched, again }
  })

/** Why a partition gave nothing: it fails, or it may be asked again. */
const refused = (
  cluster: Cluster,
  links: Links,
  position: Position,
  code: number
): Effect.Effect<Again, KafkaError | Again> =>
  Effect.gen(function* () {
    const { offset, partition, topic } = position
    const about = { operation: "fetch", topic, partition, millis: cluster.settings.requestTimeoutMillis }
    const again = new Again({ reason: reasonOf(code, about) })
    if (code === Code.offsetOutOfRange) {
      const [begin] = yield* Offsets.ofPartitions(cluster, links, topic, [partition], "earliest")
      const [end] = yield* Offsets.ofPartitions(cluster, links, topic, [partition], "latest")
      // Retention may have moved on since.
      if (begin! <= offset && offset <= end!) return again
      return yield* new KafkaError({
        reason: new OffsetOutOfRange({ topic, partition, requested: offset, begin: begin!, end: end! })
      })
    }
    cluster.forget(topic)
    const isId = code === Code.unknownTopicId || code === Code.inconsistentTopicId
    if (isId || code === Code.unknownTopicOrPartition) {
      // Fails when the topic is gone, or when its id is another now.
      const now = yield* cluster.refresh(links, topic)
      if (now.id === position.topicId) return again
      return yield* new KafkaError({
        reason: new TopicRecreated({ topic, expected: position.topicId, found: now.id })
      })
    }
    return isPassing(code) ? again : yield* new KafkaError({ reason: again.reason })
  })
