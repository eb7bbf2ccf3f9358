/**
 * A member of a consumer group (KIP-848). One fiber sends heartbeats; another brings what the member has to what the broker assigned: first
 * it revokes, which may take its time while heartbeats go on, then it says so, and takes what is new.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { Member, MemberOptions, TopicPartition } from "../Driver.ts"
import { KafkaError, MemberLost, UnsupportedByBroker } from "../KafkaError.ts"
import { Again, type Cluster, retrying } from "./Cluster.ts"
import { Code, errorOf, isPassing, nameOf, reasonOf } from "./ErrorCodes.ts"
import * as GroupApi from "./GroupApi.ts"

const joining = 0
const leaving = -1

const keyOf = (id: string, partition: number) => `${id} ${partition}`

/** Partitions by topic id and number, with the topic's name. */
type Owned = Map<string, TopicPartition & { readonly id: string }>

const topicsOf = (owned: Owned): ReadonlyArray<GroupApi.AssignedTopic> => {
  const topics = new Map<string, Array<number>>()
  for (const { id, partition } of owned.values()) topics.set(id, [...(topics.get(id) ?? []), partition])
  return [...topics].map(([id, partitions]) => ({ id, partitions }))
}

const plain = (owned: Iterable<TopicPartition>): ReadonlyArray<TopicPartition> =>
  Array.from(owned, ({ partition, topic }) => ({ topic, partition }))

export const make = (cluster: Cluster, options: MemberOptions): Effect.Effect<Member, KafkaError, Scope.Scope> =>
  Effect.gen(function* () {
    const { group, onAssigned, onRevoked, rebalanceTimeoutMillis = 60_000, topics } = options
    if (!cluster.consumerGroups)
      return yield* new KafkaError({
        reason: new UnsupportedByBroker({
          address: cluster.settings.brokers.join(", "),
          feature: "consumer groups by KIP-848 (group.version 1)"
        })
      })
    const links = yield* cluster.links
    const failed = yield* Deferred.make<never, KafkaError>()
    const changed = yield* Latch.make(false)
    const beat = yield* Latch.make(false)
    const about = { operation: `be a member of group "${group}"`, group }

    let memberId = ""
    let epoch = joining
    let intervalMillis = 3_000
    let owned: Owned = new Map()
    let target: Owned = new Map()
    /** What is told again because it has changed. */
    let tell = true

    const resolve = (assignment: ReadonlyArray<GroupApi.AssignedTopic>) =>
      Effect.gen(function* () {
        const names = new Map<string, string>()
        for (const topic of topics) {
          const known = yield* Effect.option(cluster.refresh(links, topic))
          if (known._tag === "Some") names.set(known.value.id, topic)
        }
        const resolved: Owned = new Map()
        for (const { id, partitions } of assignment)
          for (const partition of partitions) {
            const topic = names.get(id)
            if (topic !== undefined) resolved.set(keyOf(id, partition), { id, topic, partition })
          }
        return resolved
      })

    const lose = Effect.suspend(() => {
      const gone = plain(owned.values())
      owned = new Map()
      target = new Map()
      epoch = joining
      tell = true
      return gone.length === 0 ? Effect.void : onRevoked(gone, "lost")
    })

    const send = Effect.gen(function* () {
      const first = epoch === joining
      const told = first || tell
      tell = false
      const answer = yield* cluster
        .callCoordinator(links, "group", group, GroupApi.heartbeat, {
          group,
          memberId,
          epoch,
          rebalanceTimeoutMillis: first ? rebalanceTimeoutMillis : undefined,
          topics: first ? topics : undefined,
          owned: told ? topicsOf(owned) : undefined
        })
        .pipe(
          Effect.tapError(() =>
            Effect.sync(() => {
              tell = told
            })
          )
        )
      const { assignment, code, detail } = answer
      if (code === Code.fencedMemberEpoch || code === Code.unknownMemberId) {
        yield* Effect.logWarning(`group "${group}" gave this member up (${nameOf(code)}), it joins again`)
        return yield* lose
      }
      if (isPassing(code)) {
        tell = told
        cluster.forgetCoordinator("group", group)
        return yield* new Again({ reason: reasonOf(code, about, detail) })
      }
      if (code !== Code.none) return yield* errorOf(code, about, detail)
      memberId = answer.memberId
      epoch = answer.epoch
      intervalMillis = answer.intervalMillis
      if (assignment !== undefined) {
        target = yield* resolve(assignment)
        yield* changed.open
      }
    })

    const heartbeats = Effect.forever(
      Effect.gen(function* () {
        // However long the broker is away: it decides whether this member still is one.
        yield* Effect.catch(retrying(cluster.settings.requestTimeoutMillis, send), (error) =>
          error.retryable ? Effect.logWarning(`group "${group}": ${error.message}`) : Effect.fail(error)
        )
        yield* Effect.timeoutOption(beat.await, epoch === joining ? 100 : intervalMillis)
        yield* beat.close
      })
    )

    const reconcile = Effect.gen(function* () {
      const mine = owned
      const wanted = target
      const going = [...mine].filter(([key]) => !wanted.has(key))
      if (going.length > 0) {
        yield* onRevoked(plain(going.map(([, partition]) => partition)), "revoked")
        for (const [key] of going) mine.delete(key)
        tell = true
        yield* beat.open
      }
      // All was lost meanwhile.
      if (owned !== mine) return
      const coming = [...wanted].filter(([key]) => !mine.has(key))
      if (coming.length > 0) {
        for (const [key, partition] of coming) mine.set(key, partition)
        yield* onAssigned(plain(coming.map(([, partition]) => partition)))
        tell = true
        yield* beat.open
      }
    })
    const reconciling = Effect.forever(
      Effect.andThen(
        Effect.andThen(changed.await, changed.close),
        Effect.suspend(() => reconcile)
      )
    )

    yield* retrying(cluster.settings.requestTimeoutMillis, send)
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        // The fibers below have ended before this runs.
        const own = plain(owned.values())
        if (own.length > 0) yield* onRevoked(own, "revoked")
        owned = new Map()
        const input = { group, memberId, epoch: leaving, rebalanceTimeoutMillis: undefined, topics: undefined }
        // A member that can't say good-bye is given up after its session's time.
        yield* cluster
          .callCoordinator(links, "group", group, GroupApi.heartbeat, { ...input, owned: undefined })
          .pipe(Effect.timeoutOption(5_000), Effect.ignore)
      })
    )
    const run = (work: Effect.Effect<void, KafkaError>) =>
      Effect.forkScoped(Effect.catch(work, (error) => Deferred.fail(failed, error)))
    yield* run(heartbeats)
    yield* run(reconciling)

    const commit: Member["commit"] = (offsets) =>
      retrying(
        cluster.settings.requestTimeoutMillis,
        Effect.gen(function* () {
          const answers = yield* cluster.callCoordinator(links, "group", group, GroupApi.offsetCommit, {
            group,
            memberId,
            epoch,
            offsets
          })
          const bad = answers.find(({ code }) => code !== Code.none)
          if (bad === undefined) return
          const commitAbout = { operation: `commit offsets of group "${group}"`, group, topic: bad.topic }
          const gone = new MemberLost({ group, detail: nameOf(bad.code) })
          // The epoch has moved on, and the next heartbeat brings it.
          if (bad.code === Code.staleMemberEpoch) {
            yield* beat.open
            return yield* new Again({ reason: gone })
          }
          if (bad.code === Code.fencedMemberEpoch || bad.code === Code.unknownMemberId)
            return yield* new KafkaError({ reason: gone })
          if (!isPassing(bad.code)) return yield* errorOf(bad.code, commitAbout)
          cluster.forgetCoordinator("group", group)
          return yield* new Again({ reason: reasonOf(bad.code, commitAbout) })
        })
      )

    return {
      metadata: Effect.sync(() => ({ group, memberId, generation: epoch })),
      assignment: Effect.sync(() => plain(owned.values())),
      commit,
      failed: Deferred.await(failed)
    }
  })
