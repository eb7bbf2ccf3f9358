/** Offsets by name or time, asked of each partition's leader. */
import * as Effect from "effect/Effect"
import type { OffsetAt } from "../Driver.ts"
import { KafkaError } from "../KafkaError.ts"
import { type Address, addressText } from "../KafkaOptions.ts"
import * as Api from "./Api.ts"
import { Again, type Cluster, type Links } from "./Cluster.ts"
import { Code, isPassing, reasonOf } from "./ErrorCodes.ts"

const timestampOf = (at: OffsetAt): number => (at === "latest" ? -1 : at === "earliest" ? -2 : at.timestamp)

/** In the order of `partitions`. `latest` is the end for readers of committed records. */
export const ofPartitions = (
  cluster: Cluster,
  links: Links,
  topic: string,
  partitions: ReadonlyArray<number>,
  at: OffsetAt
): Effect.Effect<ReadonlyArray<number>, KafkaError | Again> =>
  Effect.gen(function* () {
    const byLeader = new Map<string, { readonly address: Address; readonly partitions: Array<number> }>()
    for (const partition of partitions) {
      const address = yield* cluster.leader(links, topic, partition)
      const own = byLeader.get(addressText(address))
      if (own === undefined) byLeader.set(addressText(address), { address, partitions: [partition] })
      else own.partitions.push(partition)
    }
    const answers = yield* Effect.forEach(
      byLeader.values(),
      ({ address, partitions }) =>
        cluster.callLeader(links, address, [topic], Api.listOffsets, {
          topic,
          committed: true,
          timestamp: timestampOf(at),
          partitions
        }),
      { concurrency: "unbounded" }
    )
    const offsets = new Map<number, number>()
    for (const { code, offset, partition } of answers.flat()) {
      if (code !== Code.none) {
        cluster.forget(topic)
        const reason = reasonOf(code, { operation: "list offsets", topic, partition })
        return yield* isPassing(code) ? new Again({ reason }) : new KafkaError({ reason })
      }
      offsets.set(partition, offset)
    }
    // No record is at or after the time.
    const beyond = partitions.filter((partition) => (offsets.get(partition) ?? -1) < 0)
    if (beyond.length > 0 && typeof at === "object") {
      const ends = yield* ofPartitions(cluster, links, topic, beyond, "latest")
      for (let i = 0; i < beyond.length; i++) offsets.set(beyond[i]!, ends[i]!)
    }
    return partitions.map((partition) => offsets.get(partition)!)
  })
