/** Topics, their settings and offsets, and groups' offsets. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Admin, TopicInfo } from "../Driver.ts"
import {
  InvalidInput,
  KafkaError,
  OffsetOutOfRange,
  OutcomeUnknown,
  PartitionNotFound,
  Unknown
} from "../KafkaError.ts"
import * as AdminApi from "./AdminApi.ts"
import * as Api from "./Api.ts"
import { Again, type Cluster, isLost, retrying } from "./Cluster.ts"
import { type About, Code, errorOf, isPassing, reasonOf } from "./ErrorCodes.ts"
import * as Offsets from "./Offsets.ts"

/** `Again` for what passes, else the error. */
const failure = (code: number, about: About, detail = ""): KafkaError | Again =>
  isPassing(code) ? new Again({ reason: reasonOf(code, about, detail) }) : errorOf(code, about, detail)

const whole = (partitions: number) => Array.from({ length: partitions }, (_, partition) => partition)

export const make = (cluster: Cluster): Effect.Effect<Admin, never, Scope.Scope> =>
  Effect.map(cluster.links, (links) => {
    const timeoutMillis = cluster.settings.requestTimeoutMillis
    const again = <A>(attempt: Effect.Effect<A, KafkaError | Again>) => retrying(timeoutMillis, attempt)

    const describe = (name: string) =>
      Effect.map(cluster.refresh(links, name), ({ id, internal, leaders }): TopicInfo => ({
        name,
        id,
        internal,
        partitions: leaders.length
      }))

    const topics: Admin["topics"] = again(
      Effect.gen(function* () {
        const { topics } = yield* cluster.callAny(links, Api.metadata, undefined)
        return topics
          .filter(({ code }) => code === Code.none)
          .map(({ id, internal, name, partitions }) => ({ name, id, internal, partitions: partitions.length }))
          .sort((a, b) => (a.name < b.name ? -1 : 1))
      })
    )

    /** A change that isn't the same when it is made twice: sent once, and what its answer says, or `OutcomeUnknown`. */
    const once = <A>(operation: string, attempt: Effect.Effect<A, KafkaError | Again>) =>
      again(
        Effect.mapError(attempt, (error) =>
          error instanceof Again && isLost(error)
            ? new KafkaError({ reason: new OutcomeUnknown({ operation, detail: error.reason.message }) })
            : error
        )
      )

    /** A topic that was just made is missing only for now: brokers hear of it one after the other. */
    const waiting = <A>(attempt: Effect.Effect<A, KafkaError | Again>) =>
      Effect.mapError(attempt, (error) =>
        error._tag === "KafkaError" && error.reason._tag === "TopicNotFound"
          ? new Again({ reason: error.reason })
          : error
      )

    /** Waits until every partition has a leader that knows of it. */
    const ready = (name: string, partitions: number) =>
      again(
        Effect.gen(function* () {
          const { id, internal, leaders } = yield* waiting(cluster.refresh(links, name))
          if (leaders.length < partitions)
            return yield* new Again({
              reason: new PartitionNotFound({ topic: name, partition: partitions - 1, partitions: leaders.length })
            })
          yield* waiting(Offsets.ofPartitions(cluster, links, name, whole(leaders.length), "latest"))
          return { name, id, internal, partitions: leaders.length }
        })
      )

    const createTopic: Admin["createTopic"] = (name, { configs = {}, partitions, replicationFactor = -1 }) =>
      Effect.gen(function* () {
        const operation = `create topic "${name}"`
        yield* once(
          operation,
          Effect.gen(function* () {
            const input = { name, partitions, replicationFactor, configs, timeoutMillis }
            const { code, detail } = yield* cluster.callAny(links, AdminApi.createTopic, input)
            if (code !== Code.none) return yield* failure(code, { operation, topic: name }, detail)
          })
        )
        return yield* ready(name, partitions)
      })

    const addPartitions: Admin["addPartitions"] = (name, partitions) =>
      Effect.gen(function* () {
        const operation = `add partitions to topic "${name}"`
        yield* once(
          operation,
          Effect.gen(function* () {
            const input = { name, partitions, timeoutMillis }
            const { code, detail } = yield* cluster.callAny(links, AdminApi.createPartitions, input)
            if (code !== Code.none) return yield* failure(code, { operation, topic: name }, detail)
          })
        )
        return yield* ready(name, partitions)
      })

    const deleteTopic: Admin["deleteTopic"] = (name) =>
      Effect.gen(function* () {
        const operation = `delete topic "${name}"`
        yield* once(
          operation,
          Effect.gen(function* () {
            const { code, detail } = yield* cluster.callAny(links, AdminApi.deleteTopic, { name, timeoutMillis })
            if (code !== Code.none) return yield* failure(code, { operation, topic: name }, detail)
          })
        )
        yield* again(
          Effect.gen(function* () {
            const { topics } = yield* cluster.callAny(links, Api.metadata, [name])
            cluster.forget(name)
            if (topics[0]?.code !== Code.unknownTopicOrPartition)
              return yield* new Again({
                reason: new Unknown({ operation, code: "a time-out", detail: "the topic is still there" })
              })
          })
        )
      })

    const topicConfigs: Admin["topicConfigs"] = (topic) =>
      again(
        Effect.gen(function* () {
          const { code, configs, detail } = yield* cluster.callAny(links, AdminApi.describeConfigs, { topic })
          if (code !== Code.none) return yield* failure(code, { operation: "describe configs", topic }, detail)
          return configs
        })
      )

    const offsets: Admin["offsets"] = (topic, at, known) =>
      again(
        Effect.gen(function* () {
          const partitions = known ?? (yield* describe(topic)).partitions
          return yield* Offsets.ofPartitions(cluster, links, topic, whole(partitions), at)
        })
      )

    const deleteRecords: Admin["deleteRecords"] = (topic, partition, before) =>
      again(
        Effect.gen(function* () {
          if (!Number.isSafeInteger(before) || before < 0)
            return yield* new KafkaError({
              reason: new InvalidInput({ detail: `an offset is a whole number from 0 and below 2^53, not ${before}` })
            })
          const { partitions } = yield* describe(topic)
          if (partition < 0 || partition >= partitions)
            return yield* new KafkaError({ reason: new PartitionNotFound({ topic, partition, partitions }) })
          const address = yield* cluster.leader(links, topic, partition)
          const input = { topic, partition, before, timeoutMillis }
          const { begin, code } = yield* cluster.callLeader(links, address, [topic], AdminApi.deleteRecords, input)
          if (code === Code.none) return begin
          cluster.forget(topic)
          if (code === Code.offsetOutOfRange) {
            const [first] = yield* Offsets.ofPartitions(cluster, links, topic, [partition], "earliest")
            const [end] = yield* Offsets.ofPartitions(cluster, links, topic, [partition], "latest")
            return yield* new KafkaError({
              reason: new OffsetOutOfRange({ topic, partition, requested: before, begin: first!, end: end! })
            })
          }
          return yield* failure(code, { operation: "delete records", topic, partition })
        })
      )

    const groupOffsets: Admin["groupOffsets"] = (group, topic) =>
      again(
        Effect.gen(function* () {
          const { partitions } = yield* describe(topic)
          const about = { operation: "read offsets", group, topic }
          const answer = yield* cluster.callCoordinator(links, "group", group, AdminApi.offsetFetch, {
            group,
            topic,
            partitions: whole(partitions)
          })
          const bad = [answer, ...answer.partitions].find(({ code }) => code !== Code.none)
          if (bad !== undefined) {
            cluster.forgetCoordinator("group", group)
            return yield* failure(bad.code, about)
          }
          return new Map(
            answer.partitions.filter(({ offset }) => offset >= 0).map(({ offset, partition }) => [partition, offset])
          )
        })
      )

    return {
      topics,
      describeTopic: (topic) => again(describe(topic)),
      createTopic,
      addPartitions,
      deleteTopic,
      topicConfigs,
      offsets,
      deleteRecords,
      groupOffsets
    }
  })
