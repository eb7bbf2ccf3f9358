/**
 * A transactional producer, by either of Kafka's transaction protocols: version 2 (Kafka 4, KIP-890) where the broker has it on, in which
 * each transaction has an epoch of its own, else version 1.
 *
 * | what happens | then |
 * |---|---|
 * | another producer takes the id over | every further call fails with `Fenced`; nothing of this one's open transaction is seen |
 * | the broker aborts the transaction after its time-out | the same: a producer made anew goes on, if its maker still owns the work |
 * | the outcome of a send is unknown | the transaction can only be aborted, under a new epoch, so that a late send can't enter the next one |
 * | the answer to a commit is lost for good | `OutcomeUnknown`; the next begin takes the id over anew, which ends the transaction either way |
 * | the scope closes with a transaction open | it is aborted |
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SendItem, TransactionalOptions, TransactionalProducer } from "../Driver.ts"
import { Fenced, InvalidInput, KafkaError, MemberLost, OutcomeUnknown, TransactionAborted } from "../KafkaError.ts"
import * as Api from "./Api.ts"
import * as TransactionApi from "./TransactionApi.ts"
import { Again, type Cluster, retrying } from "./Cluster.ts"
import { type About, Code, errorOf, isOutdated, isPassing, nameOf, reasonOf } from "./ErrorCodes.ts"
import * as Elapsed from "./Elapsed.ts"
import * as Sender from "./Sender.ts"

/** `unknown`: whether the transaction was committed isn't known. */
type State = "idle" | "open" | "failed" | "unknown" | "fenced"

const lostMember: ReadonlySet<number> = new Set([
  Code.illegalGeneration,
  Code.unknownMemberId,
  Code.fencedInstanceId,
  Code.fencedMemberEpoch,
  Code.staleMemberEpoch,
  Code.rebalanceInProgress
])

const closeMillis = 5_000

export const make = (
  cluster: Cluster,
  options: TransactionalOptions
): Effect.Effect<TransactionalProducer, KafkaError, Scope.Scope> =>
  Effect.gen(function* () {
    const { compression = "none", transactionTimeoutMillis = 60_000, transactionalId } = options
    const { deliveryTimeoutMillis } = cluster.settings
    const links = yield* cluster.links
    const about = { transactionalId, millis: deliveryTimeoutMillis }
    const v2 = cluster.transactionsV2

    let state: State = "idle"
    let identity: TransactionApi.ProducerIdentity = { producerId: -1n, epoch: -1 }
    /** When the transaction began. */
    let begun: number | undefined
    /** Whether the broker knows of this transaction. */
    let touched = false
    /** Whether a send may still arrive late. */
    let unresolved = false
    const partitions = new Set<string>()
    const groups = new Set<string>()

    const coordinator = <I, O>(api: Api.Api<I, O>, input: I) =>
      cluster.callCoordinator(links, "transaction", transactionalId, api, input)
    const again = <A>(attempt: Effect.Effect<A, KafkaError | Again>) => retrying(deliveryTimeoutMillis, attempt)
    const aborted = (detail: string) => new KafkaError({ reason: new TransactionAborted({ transactionalId, detail }) })
    const fenced = (detail: string) => new KafkaError({ reason: new Fenced({ transactionalId, detail }) })

    /** Passing codes ask again, after a new look for the coordinator where it may have moved. */
    const passing = (code: number, operation: string) =>
      Effect.suspend(() => {
        if (code !== Code.concurrentTransactions) cluster.forgetCoordinator("transaction", transactionalId)
        return Effect.fail(new Again({ reason: reasonOf(code, { ...about, operation }) }))
      })

    /**
     * The broker refuses our epoch. Whether somebody took over or the broker itself ended the transaction can't be told without taking the
     * id from whoever has it now, so it is final either way.
     */
    const outdated = (code: number): Effect.Effect<KafkaError> =>
      Effect.map(Elapsed.millis, (now) => {
        state = "fenced"
        const late = begun !== undefined && now - begun >= transactionTimeoutMillis
        return fenced(
          late
            ? `${nameOf(code)}: the transaction was open for longer than its time-out of ${transactionTimeoutMillis} ms, or another producer took over`
            : `${nameOf(code)}: another producer took over`
        )
      })

    /** Takes the id over, or with the identity that one has: goes on with a new epoch, unless somebody took over. */
    const init = (from: TransactionApi.ProducerIdentity) =>
      again(
        Effect.gen(function* () {
          const operation = "take over the transactional id"
          const input = { transactionalId, transactionTimeoutMillis, ...from }
          const { code, epoch, producerId } = yield* coordinator(TransactionApi.initProducerId, input)
          if (isPassing(code)) return yield* passing(code, operation)
          if (code === Code.invalidProducerEpoch || code === Code.producerFenced) return yield* yield* outdated(code)
          if (code !== Code.none) return yield* errorOf(code, { ...about, operation })
          identity = { producerId, epoch }
        })
      )

    const onCode = (
      code: number,
      operation: string,
      detail = "",
      more: Partial<About> = {}
    ): Effect.Effect<KafkaError> => {
      switch (code) {
        case Code.invalidProducerEpoch:
        case Code.producerFenced:
          return outdated(code)
        case Code.invalidProducerIdMapping:
          state = "unknown"
          return Effect.succeed(aborted(`the broker has forgotten the id: ${nameOf(code)}`))
        case Code.outOfOrderSequence:
        case Code.unknownProducerId:
          state = "failed"
          return Effect.succeed(aborted(nameOf(code)))
        default:
          state = "failed"
          return Effect.succeed(errorOf(code, { ...about, ...more, operation }, detail))
      }
    }

    const order = (allowed: ReadonlyArray<State>, call: string): Effect.Effect<void, KafkaError> =>
      Effect.suspend(() => {
        if (allowed.includes(state)) return Effect.void
        if (state === "fenced") return Effect.fail(fenced("found before"))
        if (state === "failed") return Effect.fail(aborted("an earlier call failed"))
        const problem = state === "open" ? "a transaction is open" : "no transaction is open"
        return Effect.fail(new KafkaError({ reason: new InvalidInput({ detail: `${call}: ${problem}` }) }))
      })

    const addPartitions = (items: ReadonlyArray<SendItem>) =>
      Effect.suspend(() => {
        touched = true
        const fresh = items.filter(({ partition, topic }) => !partitions.has(`${topic} ${partition}`))
        if (v2 || fresh.length === 0) return Effect.void
        const operation = "add partitions to the transaction"
        return again(
          Effect.gen(function* () {
            const input = { transactionalId, ...identity, partitions: fresh }
            const answers = yield* coordinator(TransactionApi.addPartitionsToTxn, input)
            const bad = answers.find(({ code }) => code !== Code.none)
            if (bad !== undefined && isPassing(bad.code)) return yield* passing(bad.code, operation)
            if (bad !== undefined) return yield* yield* onCode(bad.code, operation)
            for (const { partition, topic } of fresh) partitions.add(`${topic} ${partition}`)
          })
        )
      })

    const sender = Sender.make({
      cluster,
      links,
      compression,
      transactionalId,
      identity: Effect.sync(() => identity),
      announce: addPartitions,
      onRefused: (code, { operation, ...about }, detail) => onCode(code, operation, detail, about),
      onUnknown: Effect.sync(() => {
        unresolved = true
      })
    })
    const send: TransactionalProducer["send"] = (items) =>
      order(["open"], "send").pipe(
        Effect.andThen(sender(items)),
        Effect.tapError(() =>
          Effect.sync(() => {
            if (state === "open") state = "failed"
          })
        )
      )

    const sendOffsets: TransactionalProducer["sendOffsets"] = (metadata, offsets) => {
      const current = Effect.isEffect(metadata) ? metadata : Effect.succeed(metadata)
      const operationOf = (group: string) => `commit offsets of group "${group}"`
      const join = again(
        Effect.gen(function* () {
          const { group } = yield* current
          const operation = operationOf(group)
          if (v2 || groups.has(group)) return
          const { code } = yield* coordinator(TransactionApi.addOffsetsToTxn, { transactionalId, ...identity, group })
          if (isPassing(code)) return yield* passing(code, operation)
          if (code !== Code.none) return yield* yield* onCode(code, operation)
          groups.add(group)
        })
      )
      const commit = again(
        Effect.gen(function* () {
          const { generation = -1, group, instanceId = null, memberId = "" } = yield* current
          const operation = operationOf(group)
          const api = v2 ? TransactionApi.txnOffsetCommitV5 : TransactionApi.txnOffsetCommit
          const input = { transactionalId, ...identity, group, generation, memberId, instanceId, offsets }
          const answers = yield* cluster.callCoordinator(links, "group", group, api, input)
          const bad = answers.find(({ code }) => code !== Code.none)
          if (bad === undefined) return
          if (isPassing(bad.code)) {
            cluster.forgetCoordinator("group", group)
            return yield* new Again({ reason: reasonOf(bad.code, { ...about, operation }) })
          }
          if (!lostMember.has(bad.code)) return yield* yield* onCode(bad.code, operation)
          const reason = new MemberLost({ group, detail: nameOf(bad.code) })
          if (isOutdated(bad.code) && Effect.isEffect(metadata)) return yield* new Again({ reason })
          state = "failed"
          return yield* new KafkaError({ reason })
        })
      )
      return order(["open"], "sendOffsets").pipe(
        Effect.andThen(
          Effect.sync(() => {
            touched = true
          })
        ),
        Effect.andThen(Sender.settled(Effect.andThen(join, commit))),
        Effect.tapError(() =>
          Effect.sync(() => {
            if (state === "open") state = "failed"
          })
        )
      )
    }

    const reset = () => {
      state = "idle"
      touched = false
      unresolved = false
      partitions.clear()
      groups.clear()
    }

    const end = (commit: boolean) =>
      again(
        Effect.gen(function* () {
          const operation = commit ? "commit the transaction" : "abort the transaction"
          const api = v2 ? TransactionApi.endTxnV5 : TransactionApi.endTxn
          const { code, next } = yield* coordinator(api, { transactionalId, ...identity, commit })
          if (isPassing(code)) return yield* passing(code, operation)
          if (code !== Code.none) return yield* yield* onCode(code, operation)
          if (next !== undefined && next.producerId >= 0n) identity = next
        })
      )

    const commit: TransactionalProducer["commit"] = order(["open"], "commit").pipe(
      Effect.andThen(
        Sender.settled(
          Effect.suspend(() => (touched ? end(true) : Effect.void)).pipe(
            Effect.catchIf(
              (error) => error.retryable,
              (error) => {
                state = "unknown"
                return Effect.fail(
                  new KafkaError({
                    reason: new OutcomeUnknown({
                      operation: `committing the transaction of "${transactionalId}"`,
                      detail: error.message
                    })
                  })
                )
              }
            ),
            Effect.andThen(Effect.sync(reset))
          )
        )
      )
    )

    const abort: TransactionalProducer["abort"] = order(["open", "failed", "unknown"], "abort").pipe(
      Effect.andThen(
        Sender.settled(
          Effect.gen(function* () {
            // A takeover ends whatever is open, and waits for it.
            if (state === "unknown") yield* init({ producerId: -1n, epoch: -1 })
            else if (touched) {
              yield* end(false)
              if (unresolved && !v2) yield* init(identity)
            }
            reset()
          })
        )
      )
    )

    const begin: TransactionalProducer["begin"] = order(["idle", "unknown"], "begin").pipe(
      Effect.andThen(
        Effect.gen(function* () {
          if (state === "unknown") yield* init({ producerId: -1n, epoch: -1 })
          reset()
          begun = yield* Elapsed.millis
          state = "open"
        })
      )
    )

    yield* init(identity)
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => (state === "open" || state === "failed" ? abort : Effect.void)).pipe(
        Effect.timeoutOption(closeMillis),
        Effect.catch((error) =>
          Effect.logWarning(
            `the open transaction of "${transactionalId}" could not be aborted, the broker does so after ${transactionTimeoutMillis} ms`,
            error.message
          )
        )
      )
    )
    return { begin, send, sendOffsets, commit, abort }
  })
