/** Commits of a group's member outside of transactions, by either protocol. */
import * as Effect from "effect/Effect"
import type { Member } from "../Driver.ts"
import { KafkaError, MemberLost } from "../KafkaError.ts"
import { Again, type Cluster, type Links, retrying } from "./Cluster.ts"
import { Code, errorOf, isPassing, isOutdated, nameOf, reasonOf } from "./ErrorCodes.ts"
import type { Commit, offsetCommit } from "./GroupApi.ts"
import type { Holdings } from "./Holdings.ts"

/** `ask` hastens the next heartbeat, which brings what has changed. */
export const make =
  (
    cluster: Cluster,
    links: Links,
    holdings: Holdings,
    api: typeof offsetCommit,
    membership: Effect.Effect<Omit<Commit, "offsets">, KafkaError>,
    ask: Effect.Effect<unknown>
  ): Member["commit"] =>
  (offsets) =>
    Effect.suspend(() => {
      const guard = holdings.guard(offsets)
      return retrying(
        cluster.settings.requestTimeoutMillis,
        Effect.gen(function* () {
          yield* guard
          const own = yield* membership
          const { group } = own
          const answers = yield* cluster.callCoordinator(links, "group", group, api, { ...own, offsets })
          const bad = answers.find(({ code }) => code !== Code.none)
          if (bad === undefined) return
          const about = { operation: `commit offsets of group "${group}"`, group, topic: bad.topic }
          const gone = new MemberLost({ group, detail: nameOf(bad.code) })
          if (isOutdated(bad.code)) {
            yield* ask
            return yield* new Again({ reason: gone })
          }
          if (bad.code === Code.fencedMemberEpoch || bad.code === Code.unknownMemberId) {
            yield* ask
            return yield* new KafkaError({ reason: gone })
          }
          if (!isPassing(bad.code)) return yield* errorOf(bad.code, about)
          cluster.forgetCoordinator("group", group)
          return yield* new Again({ reason: reasonOf(bad.code, about) })
        })
      )
    })
