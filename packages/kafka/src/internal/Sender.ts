/**
 * Sends batches so that each is appended once, in the order of the calls: at most one batch a partition is under way, and it keeps its
 * producer id, epoch and sequence however often it is sent. A partition's sequence begins anew with a new identity.
 */
import type { ProducerBatch } from "@headrace/core/Batch"
import * as LogInput from "@headrace/core/LogInput"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { Appended, Compression, SendItem } from "../Driver.ts"
import {
  InvalidInput,
  KafkaError,
  OutcomeUnknown,
  PartitionNotFound,
  type Reason,
  RecordTooLarge
} from "../KafkaError.ts"
import { type Address, addressText } from "../KafkaOptions.ts"
import * as AdminApi from "./AdminApi.ts"
import * as Api from "./Api.ts"
import type * as TransactionApi from "./TransactionApi.ts"
import { Again, type Cluster, type Links, retrying } from "./Cluster.ts"
import { type About, Code, isPassing, reasonOf } from "./ErrorCodes.ts"
import * as RecordWriter from "./RecordWriter.ts"

/** Runs an effect to its end, even when the one who waits for it is interrupted. */
export const settled = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.uninterruptible(Effect.flatMap(Effect.forkDetach(Effect.interruptible(effect)), Fiber.join))

export interface Options {
  readonly cluster: Cluster
  readonly links: Links
  readonly compression: Compression
  /** `null` outside of transactions. */
  readonly transactionalId: string | null
  /** Who sends now; makes itself known to the broker first when it must. */
  readonly identity: Effect.Effect<TransactionApi.ProducerIdentity, KafkaError>
  /** Runs before the batches of a request are sent, under their locks. */
  readonly announce: (items: ReadonlyArray<SendItem>) => Effect.Effect<void, KafkaError>
  /** What a code means for the identity: `renew` sends the batch again under a new one. */
  readonly onRefused: (code: number, about: About, detail: string) => Effect.Effect<"renew" | KafkaError>
  /** Whether a batch was appended isn't known: the identity must not be used any more. */
  readonly onUnknown: Effect.Effect<void>
}

interface Partition {
  readonly lock: Semaphore.Semaphore
  identity: TransactionApi.ProducerIdentity | undefined
  sequence: number
}

interface Batch extends SendItem {
  readonly state: Partition
  readonly bytes: Uint8Array
  sealed: boolean
}

const keyOf = ({ partition, topic }: { readonly topic: string; readonly partition: number }) => `${topic} ${partition}`

const problemOf = (records: ProducerBatch): InvalidInput | undefined => {
  const malformed = LogInput.records(records)
  if (malformed !== undefined) return new InvalidInput({ detail: malformed.detail })
  if (records.count === 0) return new InvalidInput({ detail: "a batch to send has no record: leave it out" })
  for (let i = 0; i < records.count; i++)
    if (!Number.isSafeInteger(records.timestamps[i]))
      return new InvalidInput({
        detail: `the timestamp of record ${i} is no whole number of milliseconds: ${records.timestamps[i]}`
      })
  return undefined
}

/** A sequence number stays within 31 bits. */
const advance = (sequence: number, count: number): number => (sequence + count) % 2 ** 31

export const make = (options: Options) => {
  const { announce, cluster, compression, identity, links, onRefused, onUnknown, transactionalId } = options
  const partitions = new Map<string, Partition>()

  const stateOf = (item: SendItem): Partition => {
    const key = keyOf(item)
    let state = partitions.get(key)
    if (state === undefined)
      partitions.set(key, (state = { lock: Semaphore.makeUnsafe(1), identity: undefined, sequence: 0 }))
    return state
  }

  const encode = (items: ReadonlyArray<SendItem>): ReadonlyArray<Batch> | Reason => {
    const seen = new Set<string>()
    const batches: Array<Batch> = []
    for (const item of items) {
      const { partition, records, topic } = item
      const problem = problemOf(records)
      if (problem !== undefined) return problem
      if (seen.has(keyOf(item)))
        return new InvalidInput({ detail: `topic "${topic}" partition ${partition} stands twice in one send` })
      seen.add(keyOf(item))
      const bytes = RecordWriter.encode(records, compression)
      const limit = cluster.settings.maxRequestBytes
      if (bytes.length > limit) return new RecordTooLarge({ topic, partition, size: bytes.length, limit })
      batches.push({ ...item, state: stateOf(item), bytes, sealed: false })
    }
    return batches
  }

  const sealAll = (batches: ReadonlyArray<Batch>) =>
    Effect.gen(function* () {
      const now = yield* identity
      for (const batch of batches) {
        if (batch.sealed) continue
        const { bytes, state } = batch
        if (state.identity !== now) {
          state.identity = now
          state.sequence = 0
        }
        RecordWriter.seal(bytes, { ...now, sequence: state.sequence, transactional: transactionalId !== null })
        batch.sealed = true
      }
    })

  const tooLarge = (topic: string, partition: number, size: number) =>
    cluster.callAny(links, AdminApi.describeConfigs, { topic }).pipe(
      Effect.match({ onFailure: () => 0, onSuccess: ({ configs }) => Number(configs["max.message.bytes"] ?? 0) }),
      Effect.map((limit) => new KafkaError({ reason: new RecordTooLarge({ topic, partition, size, limit }) }))
    )

  /** Sends what isn't appended yet; each round's answers go into `appended`. */
  const round = (batches: ReadonlyArray<Batch>, appended: Map<string, Appended>) =>
    Effect.gen(function* () {
      const open = batches.filter((batch) => !appended.has(keyOf(batch)))
      const requests = new Map<string, { readonly address: Address; readonly batches: Array<Batch> }>()
      for (const batch of open) {
        const { partition, topic } = batch
        const { leaders } = yield* cluster.topic(links, topic)
        if (partition < 0 || partition >= leaders.length)
          return yield* new KafkaError({
            reason: new PartitionNotFound({ topic, partition, partitions: leaders.length })
          })
        const address = yield* cluster.leader(links, topic, partition)
        const request = requests.get(addressText(address))
        if (request === undefined) requests.set(addressText(address), { address, batches: [batch] })
        else request.batches.push(batch)
      }
      yield* sealAll(open)
      yield* announce(open)
      const results = yield* Effect.forEach(
        requests.values(),
        (request) => Effect.result(one(request.address, request.batches, appended)),
        { concurrency: "unbounded" }
      )
      // A definite failure first: it says more than one that may pass.
      const failures = results.filter(Result.isFailure).map(({ failure }) => failure)
      const failure = failures.find((failure) => !(failure instanceof Again)) ?? failures[0]
      if (failure !== undefined) return yield* failure
    })

  const one = (address: Address, batches: ReadonlyArray<Batch>, appended: Map<string, Appended>) =>
    Effect.gen(function* () {
      const api = transactionalId !== null && cluster.transactionsV2 ? Api.produceV12 : Api.produce
      const topics = batches.map(({ topic }) => topic)
      const timeoutMillis = cluster.settings.requestTimeoutMillis
      const answers = yield* cluster.callLeader(links, address, topics, api, {
        transactionalId,
        timeoutMillis,
        batches
      })
      let failure: KafkaError | Again | undefined
      for (const { base, code, detail, partition, topic } of answers) {
        const batch = batches.find((batch) => batch.topic === topic && batch.partition === partition)
        if (batch === undefined) continue
        const { bytes, records, state } = batch
        if (code === Code.none) {
          state.sequence = advance(state.sequence, records.count)
          appended.set(keyOf(batch), { topic, partition, base, next: base + records.count })
          continue
        }
        const about = {
          operation: "produce",
          topic,
          partition,
          transactionalId: transactionalId ?? "",
          millis: cluster.settings.deliveryTimeoutMillis
        }
        if (isPassing(code)) {
          if (code !== Code.concurrentTransactions) cluster.forget(topic)
          failure ??= new Again({ reason: reasonOf(code, about, detail) })
        } else if (code === Code.unknownTopicOrPartition) {
          // Fails with `TopicNotFound` when it is gone; else its leader hasn't heard of it yet.
          yield* cluster.refresh(links, topic)
          failure ??= new Again({ reason: reasonOf(code, about, detail) })
        } else if (code === Code.messageTooLarge || code === Code.recordListTooLarge) {
          failure = yield* tooLarge(topic, partition, bytes.length)
        } else if (code === Code.duplicateSequence) {
          state.sequence = advance(state.sequence, records.count)
          failure = new KafkaError({
            reason: new OutcomeUnknown({
              operation: `sending ${records.count} records to topic "${topic}" partition ${partition}`,
              detail: "they are there, but the broker no longer knows at which offset"
            })
          })
        } else {
          const meaning = yield* onRefused(code, about, detail)
          if (meaning === "renew") {
            // The broker refused the batch, so that it isn't there under the former identity.
            batch.sealed = false
            failure ??= new Again({ reason: reasonOf(code, about, detail) })
          } else failure = meaning
        }
      }
      if (failure !== undefined) return yield* failure
    })

  const locked = <A, E>(batches: ReadonlyArray<Batch>, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    // Always in the same order, so that two sends never wait for each other.
    [...batches]
      .sort((a, b) => (keyOf(a) < keyOf(b) ? 1 : -1))
      .reduce((inner, { state }) => state.lock.withPermit(inner), effect)

  return (items: ReadonlyArray<SendItem>): Effect.Effect<ReadonlyArray<Appended>, KafkaError> =>
    Effect.suspend(() => {
      const batches = encode(items)
      if (!Array.isArray(batches)) return Effect.fail(new KafkaError({ reason: batches as Reason }))
      return deliver(batches as ReadonlyArray<Batch>)
    })

  function deliver(batches: ReadonlyArray<Batch>): Effect.Effect<ReadonlyArray<Appended>, KafkaError> {
    const appended = new Map<string, Appended>()
    const work = retrying(cluster.settings.deliveryTimeoutMillis, round(batches, appended)).pipe(
      Effect.catch((error) => {
        const open = batches.filter((batch) => !appended.has(keyOf(batch)))
        // What was never sent, or was refused, isn't there.
        if (!error.retryable || !open.some(({ sealed }) => sealed)) return Effect.fail(error)
        const { partition, records, topic } = open[0]!
        return Effect.andThen(
          onUnknown,
          Effect.fail(
            new KafkaError({
              reason: new OutcomeUnknown({
                operation: `sending ${records.count} records to topic "${topic}" partition ${partition}`,
                detail: error.message
              })
            })
          )
        )
      }),
      Effect.map(() => batches.map((batch) => appended.get(keyOf(batch))!))
    )
    return locked(batches, settled(Effect.suspend(() => work)))
  }
}
