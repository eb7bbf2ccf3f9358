/**
 * A member of a consumer group by the classic protocol: JoinGroup brings everybody together, the leader's assignor decides, SyncGroup gives
 * each its part.
 *
 * Cooperative (KIP-429) as long as every assignor of the member is: what a member has stays with it through a round; what it is to give away
 * it revokes after the round, and then joins again, so that the next round can give that to somebody. A member claims in each round all that
 * it has or may yet take up, so nobody else gets that. With another assignor among its own it lets everything go before each round, as Java does.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Assignor, Member, MemberOptions } from "../Driver.ts"
import { KafkaError, MemberLost, Unknown } from "../KafkaError.ts"
import { type Assignment, assignors, type Candidate, type Counts, isCooperative } from "./Assignor.ts"
import { MalformedBytes } from "./Bytes.ts"
import * as ClassicApi from "./ClassicApi.ts"
import { Again, type Cluster, retrying } from "./Cluster.ts"
import * as Commits from "./Commits.ts"
import * as ConsumerProtocol from "./ConsumerProtocol.ts"
import * as Elapsed from "./Elapsed.ts"
import { Code, errorOf, isPassing, nameOf, reasonOf } from "./ErrorCodes.ts"
import * as GroupApi from "./GroupApi.ts"
import * as Holdings from "./Holdings.ts"

const none = -1

const isName = (name: string): name is Assignor => name in assignors

export const make = (cluster: Cluster, options: MemberOptions): Effect.Effect<Member, KafkaError, Scope.Scope> =>
  Effect.gen(function* () {
    const {
      assignors: names = ["cooperative-sticky"],
      group,
      instanceId = null,
      partitionsMillis = 30_000,
      rebalanceTimeoutMillis = 60_000,
      sessionTimeoutMillis = 45_000,
      topics
    } = options
    const links = yield* cluster.links
    // A broker answers a connection's requests one after the other, and a join takes its time: what can't wait for it goes here.
    const besides = yield* cluster.links
    const failed = yield* Deferred.make<never, KafkaError>()
    const beat = yield* Latch.make(false)
    const wanted = yield* Latch.make(true)
    /** A round or a heartbeat. */
    const turn = yield* Semaphore.make(1)
    const about = { operation: `be a member of group "${group}"`, group }
    const intervalMillis = Math.min(1_000, Math.floor(sessionTimeoutMillis / 3))

    let memberId = ""
    let generation = none
    /** Partition counts as the leader used them; none for others. */
    let counts: Counts | undefined
    /** What somebody in the group wants, whether it is there yet or not. */
    let subscribed: ReadonlySet<string> = new Set()

    yield* Effect.addFinalizer(() =>
      // A static member comes back under its instance id; one that can't say good-bye is given up after its session's time.
      memberId === "" || instanceId !== null
        ? Effect.void
        : cluster
            .callCoordinator(besides, "group", group, ClassicApi.leaveGroup, { group, memberId, instanceId })
            .pipe(Effect.timeoutOption(5_000), Effect.ignore)
    )
    const rejoin = Effect.asVoid(wanted.open)
    const holdings = yield* Holdings.make(options, { revoked: rejoin, taken: Effect.void })

    const giveUp = (code: number) =>
      Effect.gen(function* () {
        yield* Effect.logWarning(`group "${group}" went on without this member (${nameOf(code)}), it joins again`)
        generation = none
        if (code === Code.unknownMemberId) memberId = ""
        yield* holdings.lose
        yield* rejoin
      })

    /** What a code of any answer but that to a join means: the member is as it was, or it isn't in the group as it is now. */
    const onCode = (code: number): Effect.Effect<void, KafkaError | Again> => {
      if (code === Code.none) return Effect.void
      if (code === Code.rebalanceInProgress) return rejoin
      if (code === Code.unknownMemberId || code === Code.illegalGeneration) return giveUp(code)
      if (!isPassing(code)) return Effect.fail(errorOf(code, about))
      cluster.forgetCoordinator("group", group)
      return Effect.fail(new Again({ reason: reasonOf(code, about) }))
    }

    const count = (names: Iterable<string>) =>
      Effect.gen(function* () {
        const found = new Map<string, number>()
        for (const topic of names) {
          const known = yield* Effect.catch(cluster.refresh(links, topic), (error) =>
            error.reason._tag === "TopicNotFound" ? Effect.undefined : Effect.fail(error)
          )
          if (known !== undefined) found.set(topic, known.leaders.length)
        }
        return found
      })

    const assign = ({ members, protocol }: ClassicApi.Joined): Effect.Effect<Assignment, KafkaError | Again> =>
      Effect.gen(function* () {
        const malformed = (code: string, detail: string) =>
          new KafkaError({
            reason: new Unknown({ operation: `assigning the partitions of group "${group}"`, code, detail })
          })
        if (!isName(protocol)) return yield* malformed("an unknown assignor", protocol)
        const candidates: Array<Candidate> = []
        for (const { instanceId, memberId, metadata } of members)
          try {
            const subscription = ConsumerProtocol.readSubscription(metadata)
            candidates.push({ ...subscription, memberId, order: instanceId ?? memberId })
          } catch (cause) {
            if (!(cause instanceof MalformedBytes || cause instanceof RangeError)) throw cause
            return yield* malformed(`a subscription of member "${memberId}" that can't be read`, cause.message)
          }
        subscribed = new Set(candidates.flatMap(({ topics }) => topics))
        counts = yield* count(subscribed)
        return assignors[protocol](candidates, counts)
      })

    const round = Effect.gen(function* () {
      yield* wanted.close
      const membership = { group, memberId, instanceId }
      const subscription = { topics, owned: holdings.claimed(), generation }
      const metadata = ConsumerProtocol.writeSubscription(subscription)
      const join = {
        ...membership,
        sessionTimeoutMillis,
        rebalanceTimeoutMillis,
        protocols: names.map((name) => ({ name, metadata }))
      }
      const joined = yield* cluster.callCoordinator(
        links,
        "group",
        group,
        ClassicApi.joinGroup,
        join,
        rebalanceTimeoutMillis
      )
      if (joined.code === Code.memberIdRequired) {
        memberId = joined.memberId
        return yield* rejoin
      }
      if (joined.code !== Code.none) return yield* onCode(joined.code)
      memberId = joined.memberId
      generation = joined.generation
      counts = undefined
      const assignment = joined.leader === memberId && joined.members.length > 0 ? yield* assign(joined) : new Map()
      const synced = yield* cluster.callCoordinator(
        links,
        "group",
        group,
        ClassicApi.syncGroup,
        {
          ...membership,
          memberId,
          generation,
          protocol: joined.protocol,
          assignments: Array.from(assignment, ([memberId, own]) => ({
            memberId,
            assignment: ConsumerProtocol.writeAssignment(own)
          }))
        },
        rebalanceTimeoutMillis
      )
      if (synced.code !== Code.none) return yield* onCode(synced.code)
      const own = ConsumerProtocol.readAssignment(synced.assignment)
      yield* holdings.aim(Holdings.holds(own.map((partition) => ({ ...partition, id: partition.topic }))))
    }).pipe(Effect.onError(() => rejoin))

    /** Until nothing asks for another round. However long the broker is away: it decides whether this member still is one. */
    const join = Effect.gen(function* () {
      yield* wanted.await
      if (!isCooperative(names)) yield* holdings.release
      yield* turn.withPermit(retrying(cluster.settings.requestTimeoutMillis, round))
    })

    const heartbeat = Effect.gen(function* () {
      if (generation === none) return
      const input = { group, memberId, generation, instanceId }
      const { code } = yield* cluster.callCoordinator(links, "group", group, ClassicApi.heartbeat, input)
      yield* onCode(code)
    })
    /** The leader sees to it that added partitions are given to somebody. */
    const watch = Effect.gen(function* () {
      const used = counts
      if (used === undefined) return
      const now = yield* count(subscribed)
      if ([...now].some(([topic, partitions]) => used.get(topic) !== partitions)) yield* rejoin
    })
    const heartbeats = Effect.gen(function* () {
      let looked = yield* Elapsed.millis
      while (true) {
        yield* Effect.timeoutOption(beat.await, intervalMillis)
        yield* beat.close
        yield* turn.withPermit(retrying(sessionTimeoutMillis, heartbeat))
        const now = yield* Elapsed.millis
        if (now - looked < partitionsMillis) continue
        looked = now
        yield* turn.withPermit(retrying(sessionTimeoutMillis, watch))
      }
    })
    const patiently = (work: Effect.Effect<void, KafkaError>) =>
      Effect.forever(
        Effect.catch(work, (error) =>
          error.retryable
            ? Effect.andThen(Effect.logWarning(`group "${group}": ${error.message}`), Effect.sleep(intervalMillis))
            : Effect.fail(error)
        )
      )

    // The first rounds tell whether this member may be one.
    yield* Effect.repeat(join, { while: () => generation === none })
    // Before the good-bye: the fibers below have ended then.
    yield* Effect.addFinalizer(() => holdings.release)
    for (const work of [join, heartbeats])
      yield* Effect.forkScoped(Effect.catch(patiently(work), (error) => Deferred.fail(failed, error)))

    const membership = Effect.suspend(() =>
      generation !== none
        ? Effect.succeed({ group, memberId, generation, instanceId })
        : Effect.fail(new KafkaError({ reason: new MemberLost({ group, detail: "it joins again" }) }))
    )
    return {
      metadata: Effect.map(membership, (own) => ({ ...own, instanceId: instanceId ?? undefined })),
      assignment: holdings.partitions,
      commit: Commits.make(cluster, besides, holdings, GroupApi.offsetCommitV8, membership, beat.open),
      failed: Deferred.await(failed)
    }
  })
