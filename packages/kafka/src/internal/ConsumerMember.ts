/** A member of a consumer group by KIP-848: the broker assigns, heartbeats carry what it wants and what the member has. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { Member, MemberOptions } from "../Driver.ts"
import { KafkaError, MemberLost } from "../KafkaError.ts"
import { Again, type Cluster, retrying } from "./Cluster.ts"
import * as Commits from "./Commits.ts"
import { Code, errorOf, isPassing, nameOf, reasonOf } from "./ErrorCodes.ts"
import * as GroupApi from "./GroupApi.ts"
import * as Holdings from "./Holdings.ts"

const joining = 0
const leaving = -1
const leavingForAWhile = -2

const topicsOf = (owned: Holdings.Holds): ReadonlyArray<GroupApi.AssignedTopic> => {
  const topics = new Map<string, Array<number>>()
  for (const { id, partition } of owned.values()) topics.set(id, [...(topics.get(id) ?? []), partition])
  return [...topics].map(([id, partitions]) => ({ id, partitions }))
}

export const make = (cluster: Cluster, options: MemberOptions): Effect.Effect<Member, KafkaError, Scope.Scope> =>
  Effect.gen(function* () {
    const { group, instanceId = null, rebalanceTimeoutMillis = 60_000, topics } = options
    const links = yield* cluster.links
    const failed = yield* Deferred.make<never, KafkaError>()
    const beat = yield* Latch.make(false)
    const about = { operation: `be a member of group "${group}"`, group }

    let memberId = ""
    let epoch = joining
    let intervalMillis = 3_000
    /** What is told again because it has changed. */
    let tell = true
    /** All is told anew, for the assignment: the broker says it once, and its answer was lost or couldn't be used. */
    let whole = false

    yield* Effect.addFinalizer(() => {
      const input = { group, memberId, instanceId, epoch: instanceId === null ? leaving : leavingForAWhile }
      const rest = { rebalanceTimeoutMillis: undefined, topics: undefined, owned: undefined }
      // A member that can't say good-bye is given up after its session's time.
      return cluster
        .callCoordinator(links, "group", group, GroupApi.heartbeat, { ...input, ...rest })
        .pipe(Effect.timeoutOption(5_000), Effect.ignore)
    })
    const told = Effect.suspend(() => {
      tell = true
      return Effect.asVoid(beat.open)
    })
    const holdings = yield* Holdings.make(options, { revoked: told, taken: told })

    const resolve = (assignment: ReadonlyArray<GroupApi.AssignedTopic>) =>
      Effect.gen(function* () {
        const names = new Map(Array.from(holdings.owned().values(), ({ id, topic }) => [id, topic]))
        for (const topic of topics) {
          const known = yield* Effect.catch(cluster.refresh(links, topic), (error) =>
            error.reason._tag === "TopicNotFound" ? Effect.undefined : Effect.fail(error)
          )
          if (known !== undefined) names.set(known.id, topic)
        }
        const target = assignment.flatMap(({ id, partitions }) => {
          const topic = names.get(id)
          return topic === undefined ? [] : partitions.map((partition) => ({ id, topic, partition }))
        })
        // A broker may know of a topic later than the coordinator, or not any more: asked again, with the assignment.
        return { target: Holdings.holds(target), complete: assignment.every(({ id }) => names.has(id)) }
      })

    const send = Effect.gen(function* () {
      const first = epoch === joining || whole
      const told = first || tell
      tell = false
      const answer = yield* cluster
        .callCoordinator(links, "group", group, GroupApi.heartbeat, {
          group,
          memberId,
          instanceId,
          epoch,
          rebalanceTimeoutMillis: first ? rebalanceTimeoutMillis : undefined,
          topics: first ? topics : undefined,
          owned: told ? topicsOf(holdings.owned()) : undefined
        })
        .pipe(
          Effect.tapError(() =>
            Effect.sync(() => {
              whole = true
            })
          )
        )
      const { assignment, code, detail } = answer
      if (code === Code.fencedMemberEpoch || code === Code.unknownMemberId) {
        yield* Effect.logWarning(`group "${group}" gave this member up (${nameOf(code)}), it joins again`)
        epoch = joining
        tell = true
        return yield* holdings.lose
      }
      // The member that had this instance id isn't given up yet.
      if (isPassing(code) || code === Code.unreleasedInstanceId) {
        whole = true
        cluster.forgetCoordinator("group", group)
        return yield* new Again({ reason: reasonOf(code, about, detail) })
      }
      if (code !== Code.none) return yield* errorOf(code, about, detail)
      memberId = answer.memberId
      epoch = answer.epoch
      intervalMillis = answer.intervalMillis
      // Until it is resolved: a failure asks for it again.
      whole = assignment !== undefined
      if (assignment !== undefined) {
        const { complete, target } = yield* resolve(assignment)
        whole = !complete
        yield* holdings.aim(target)
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

    yield* retrying(cluster.settings.requestTimeoutMillis, send)
    // Before the good-bye: the fiber below has ended then.
    yield* Effect.addFinalizer(() => holdings.release)
    yield* Effect.forkScoped(Effect.catch(heartbeats, (error) => Deferred.fail(failed, error)))

    const membership = Effect.suspend(() =>
      epoch > joining
        ? Effect.succeed({ group, memberId, generation: epoch, instanceId })
        : Effect.fail(new KafkaError({ reason: new MemberLost({ group, detail: "it joins again" }) }))
    )
    return {
      metadata: Effect.map(membership, (own) => ({ ...own, instanceId: instanceId ?? undefined })),
      assignment: holdings.partitions,
      commit: Commits.make(cluster, links, holdings, GroupApi.offsetCommit, membership, beat.open),
      failed: Deferred.await(failed)
    }
  })
