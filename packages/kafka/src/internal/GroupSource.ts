/**
 * The reading side of a consumer group: partitions come and go with the member's assignment, each from its committed offset.
 *
 * | when | what holds |
 * |---|---|
 * | a partition is assigned | it is read from the group's offset; if there is none, from the start that is committed first, so that whoever has the partition next begins there too |
 * | it is to be revoked | what waits is dropped, nothing is handed out; it goes when all that was handed out is committed, or after `finishMillis` |
 * | it is gone, or the member is lost | commits are refused here, and by the broker: the generation isn't the group's any more |
 * | the process dies in a transaction | its offsets are pending; whoever has the partition next waits until the broker or the transactional id's next user has ended it |
 * | the stream ends | what is handed out isn't waited for: its handlers are gone |
 */
import type { RecordBatch } from "@headrace/core/Batch"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { KafkaDriver, type Member, type MemberOptions, type TopicPartition } from "../Driver.ts"
import { InvalidInput, KafkaError, MemberLost } from "../KafkaError.ts"
import type { Delivery, GroupOptions, ReadOptions } from "../KafkaSource.ts"
import { byTopic } from "./Api.ts"
import { patiently } from "./Patience.ts"
import { answerBytes, partitionKey, SourcePlan } from "./SourcePlan.ts"
import { Tenancy } from "./Tenancy.ts"

/** A partition while this member has it. */
interface Held {
  readonly partition: TopicPartition
  /** Once it is known where it begins. */
  tenancy: Tenancy | undefined
  /** `leaving`: nothing more is handed out, commits still go. */
  state: "open" | "leaving" | "gone"
  readonly settled: Latch.Latch
  readonly committing: Semaphore.Semaphore
}

export const problemOf = ({ maxWaitMillis = 500, partitionBytes = 1, totalBytes = 1 }: ReadOptions) => {
  for (const [name, value] of Object.entries({ partitionBytes, totalBytes, maxWaitMillis }))
    if (!Number.isSafeInteger(value) || value < 1) return `${name} is a whole number of 1 or more, not ${value}`
  return undefined
}

const isGone = ({ reason }: KafkaError) => reason._tag === "MemberLost"

export const open = (
  options: GroupOptions
): Effect.Effect<Pull.Pull<readonly [Delivery], KafkaError>, KafkaError, KafkaDriver | Scope.Scope> =>
  Effect.gen(function* () {
    const problem = problemOf(options)
    if (problem !== undefined) return yield* new KafkaError({ reason: new InvalidInput({ detail: problem }) })
    const driver = yield* KafkaDriver
    const {
      group,
      maxWaitMillis = 500,
      partitionBytes = 8 << 20,
      rebalanceTimeoutMillis = 60_000,
      retryMillis = 300_000,
      start = "earliest",
      totalBytes = 64 << 20
    } = options
    const { finishMillis = Math.floor(rebalanceTimeoutMillis / 2) } = options
    const patient = <A>(effect: Effect.Effect<A, KafkaError>) => patiently(`group "${group}"`, retryMillis, effect)

    const scope = yield* Effect.scope
    const consumer = yield* driver.consumer(options)
    // A commit or a transaction a batch: a reader that is slower than small fetches are would fall behind ever more.
    const plan = new SourcePlan({ partitionBytes, totalBytes, oneAhead: true })
    const room = yield* Latch.make(true)
    const some = yield* Latch.make(false)
    const joined = yield* Deferred.make<Member>()
    const held = new Map<string, Held>()
    let waiting: Array<{ readonly own: Held; readonly batch: RecordBatch }> = []
    let failure: Cause.Cause<KafkaError> | undefined
    let closing = false

    const fail = (cause: Cause.Cause<KafkaError>) =>
      Effect.sync(() => {
        failure ??= cause
        some.openUnsafe()
      })

    /** Nothing more of these is handed out. */
    const stop = (owns: ReadonlyArray<Held>, state: "leaving" | "gone") => {
      for (const own of owns) {
        plan.remove(own.partition)
        own.state = state
        if (state === "leaving") continue
        const key = partitionKey(own.partition)
        if (held.get(key) === own) held.delete(key)
        own.settled.openUnsafe()
      }
      waiting = waiting.filter(({ own }) => own.state === "open")
      room.openUnsafe()
    }

    /** Reads these from where the group is. */
    const begin = (owns: ReadonlyArray<Held>) =>
      Effect.gen(function* () {
        const member = yield* Deferred.await(joined)
        for (const [topic, all] of byTopic(owns.map((own) => ({ ...own.partition, own })))) {
          const topicId = (yield* driver.admin.describeTopic(topic)).id
          // Waits for transactions that change them.
          const committed = yield* driver.admin.groupOffsets(group, topic)
          const fresh = all.filter(({ own, partition }) => own.state === "open" && !committed.has(partition))
          const starts = fresh.length === 0 ? [] : yield* driver.admin.offsets(topic, start)
          const first = fresh.map(({ partition }) => ({ topic, partition, offset: starts[partition]! }))
          if (first.length > 0) yield* member.commit(first)
          for (const { own, partition } of all) {
            if (own.state !== "open" || own.tenancy !== undefined) continue
            const from = committed.get(partition) ?? starts[partition]!
            own.tenancy = new Tenancy(from)
            plan.add({ topic, topicId, partition }, from)
          }
        }
        room.openUnsafe()
      })

    const onAssigned: MemberOptions["onAssigned"] = (partitions) =>
      Effect.gen(function* () {
        const owns: Array<Held> = []
        for (const partition of partitions) {
          const settled = yield* Latch.make(true)
          const committing = yield* Semaphore.make(1)
          const own: Held = { partition, tenancy: undefined, state: "open", settled, committing }
          owns.push(own)
          held.set(partitionKey(partition), own)
        }
        // What is still here: a commit of what went meanwhile is refused.
        const beginning: Effect.Effect<void, KafkaError> = Effect.suspend(() => {
          const rest = owns.filter(({ state, tenancy }) => state === "open" && tenancy === undefined)
          if (rest.length === 0) return Effect.void
          return Effect.catchIf(patient(begin(rest)), isGone, () => Effect.andThen(Effect.sleep(50), beginning))
        })
        yield* Effect.forkIn(Effect.catchCause(beginning, fail), scope)
      })

    const onRevoked: MemberOptions["onRevoked"] = (partitions, how) =>
      Effect.gen(function* () {
        const owns = partitions.flatMap((partition) => held.get(partitionKey(partition)) ?? [])
        stop(owns, how === "lost" ? "gone" : "leaving")
        if (how === "lost") return
        if (!closing)
          yield* Effect.timeoutOption(
            Effect.forEach(owns, ({ settled }) => settled.await, { discard: true }),
            finishMillis
          )
        const offsets = owns.flatMap(({ partition, state, tenancy }) => {
          const offset = state === "gone" ? undefined : tenancy?.due
          return offset === undefined ? [] : [{ ...partition, offset }]
        })
        if (offsets.length > 0) {
          const member = yield* Deferred.await(joined)
          yield* Effect.catch(member.commit(offsets), (error) =>
            Effect.logWarning(
              `group "${group}": what was handled last comes again, its offsets were refused: ${error.message}`
            )
          )
        }
        for (const { partition, state, tenancy } of owns)
          if (!closing && state === "leaving" && tenancy?.isSettled === false)
            yield* Effect.logWarning(
              `group "${group}": topic "${partition.topic}" partition ${partition.partition} goes with offsets ${tenancy.handled} to ${tenancy.handed - 1} handed out but not committed within ${finishMillis} ms: they come again elsewhere`
            )
        stop(owns, "gone")
      })

    const { finishMillis: _finish, start: _start, ...memberOptions } = options
    const member = yield* driver.member({ ...memberOptions, onAssigned, onRevoked })
    yield* Deferred.succeed(joined, member)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closing = true
        for (const { settled } of held.values()) settled.openUnsafe()
      })
    )
    yield* Effect.forkScoped(Effect.catchCause(member.failed, fail))

    const fetching = Effect.gen(function* () {
      while (true) {
        room.closeUnsafe()
        const positions = plan.positions()
        if (positions.length === 0) {
          yield* room.await
          continue
        }
        const fetched = yield* patient(
          consumer.fetch(positions, { maxBytes: Math.min(totalBytes, answerBytes), maxWaitMillis })
        ).pipe(
          // The end of what this member doesn't have any more is another's business.
          Effect.catchReason("KafkaError", "OffsetOutOfRange", (reason) =>
            plan.has(reason) ? Effect.fail(new KafkaError({ reason })) : Effect.succeed([])
          )
        )
        for (const { batch } of fetched) {
          const own = held.get(partitionKey(batch))
          const fresh = plan.fetched(batch)
          if (own !== undefined && fresh !== undefined) waiting.push({ own, batch: fresh })
        }
        if (waiting.length > 0) some.openUnsafe()
      }
    })
    yield* Effect.forkScoped(Effect.catchCause(fetching, fail))

    const lost = ({ partition: { partition, topic } }: Held) =>
      new KafkaError({
        reason: new MemberLost({ group, detail: `topic "${topic}" partition ${partition} isn't its own any more` })
      })

    const delivery = (own: Held, tenancy: Tenancy, batch: RecordBatch): Delivery => {
      const settle = Effect.sync(() => {
        if (tenancy.isSettled) own.settled.openUnsafe()
      })
      const ours = Effect.suspend(() => (own.state === "gone" ? Effect.fail(lost(own)) : Effect.void))
      const upTo = (offset: number) => ({ ...own.partition, offset })
      return {
        batch,
        commit: Effect.gen(function* () {
          yield* ours
          tenancy.handle(batch)
          const commit = Effect.gen(function* () {
            const { due } = tenancy
            if (due === undefined) return
            yield* ours
            yield* member.commit([upTo(due)])
            tenancy.committed(due)
          })
          yield* Effect.ensuring(own.committing.withPermit(commit), settle)
        }),
        commitWith: (sink, work) =>
          Effect.gen(function* () {
            yield* ours
            if (tenancy.handled !== batch.base) {
              const { partition, topic } = batch
              const detail = `topic "${topic}" partition ${partition} is handled up to ${tenancy.handled}: the batch from ${batch.base} can't be committed ${tenancy.handled < batch.base ? "before the earlier ones" : "once more"}`
              return yield* new KafkaError({ reason: new InvalidInput({ detail }) })
            }
            const result = yield* sink.transaction((transaction) =>
              Effect.tap(work(transaction), () =>
                Effect.suspend(() => {
                  // From here on the transaction says where the group is: a plain commit of what is before could take it back.
                  tenancy.committed(batch.base)
                  return transaction.sendOffsets(Effect.andThen(ours, member.metadata), [upTo(batch.next)])
                })
              )
            )
            tenancy.committed(batch.next)
            tenancy.handle(batch)
            yield* settle
            return result
          })
      }
    }

    return Effect.gen(function* () {
      while (true) {
        if (failure !== undefined) return yield* Effect.failCause(failure)
        const next = waiting.shift()
        if (next === undefined) {
          some.closeUnsafe()
          yield* some.await
          continue
        }
        const { batch, own } = next
        const tenancy = own.tenancy!
        plan.taken(batch)
        room.openUnsafe()
        tenancy.hand(batch)
        // Offsets without records: committed with the next batch, or when the partition goes.
        if (batch.count === 0) tenancy.handle(batch)
        else {
          own.settled.closeUnsafe()
          return [delivery(own, tenancy, batch)] as const
        }
      }
    })
  })
