/** A member of a consumer group, by the protocol that the caller or the broker wants. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Member, MemberOptions } from "../Driver.ts"
import { InvalidInput, KafkaError, UnsupportedByBroker } from "../KafkaError.ts"
import * as ClassicMember from "./ClassicMember.ts"
import type { Cluster } from "./Cluster.ts"
import * as ConsumerMember from "./ConsumerMember.ts"

const problemOf = ({ assignors, group, topics }: MemberOptions): string | undefined => {
  if (group === "") return "a group has a name"
  if (topics.length === 0) return `a member of group "${group}" wants at least one topic`
  return assignors?.length === 0 ? `a member of group "${group}" has at least one assignor` : undefined
}

export const make = (cluster: Cluster, options: MemberOptions): Effect.Effect<Member, KafkaError, Scope.Scope> =>
  Effect.suspend(() => {
    const problem = problemOf(options)
    if (problem !== undefined) return Effect.fail(new KafkaError({ reason: new InvalidInput({ detail: problem }) }))
    const protocol = options.protocol ?? (cluster.consumerGroups ? "consumer" : "classic")
    if (protocol === "classic") return ClassicMember.make(cluster, options)
    if (cluster.consumerGroups) return ConsumerMember.make(cluster, options)
    const reason = new UnsupportedByBroker({
      address: cluster.settings.brokers.join(", "),
      feature: "consumer groups by KIP-848 (group.version 1; the protocol `classic` works)"
    })
    return Effect.fail(new KafkaError({ reason }))
  })
