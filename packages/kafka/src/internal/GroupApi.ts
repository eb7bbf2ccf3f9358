/** The requests of a group's member by KIP-848, and its commits by either protocol. */
import { type Api, byTopic, type PartitionCode, partitionCodes } from "./Api.ts"
import type { Membership } from "./ClassicApi.ts"
import type { CommittedOffset } from "./TransactionApi.ts"

export interface AssignedTopic {
  readonly id: string
  readonly partitions: ReadonlyArray<number>
}

/** `undefined` is what hasn't changed since the last one. An epoch of 0 joins, of -1 leaves, of -2 leaves for a while. */
export const heartbeat: Api<
  {
    readonly group: string
    readonly memberId: string
    readonly instanceId: string | null
    readonly epoch: number
    readonly rebalanceTimeoutMillis: number | undefined
    readonly topics: ReadonlyArray<string> | undefined
    readonly owned: ReadonlyArray<AssignedTopic> | undefined
  },
  {
    readonly code: number
    readonly detail: string
    readonly memberId: string
    readonly epoch: number
    readonly intervalMillis: number
    readonly assignment: ReadonlyArray<AssignedTopic> | undefined
  }
> = {
  name: "ConsumerGroupHeartbeat",
  key: 68,
  version: 0,
  write: (w, { epoch, group, instanceId, memberId, owned, rebalanceTimeoutMillis, topics }) => {
    w.string(group).string(memberId).int32(epoch).string(instanceId).string(null)
    w.int32(rebalanceTimeoutMillis ?? -1)
    if (topics === undefined) w.uvarint(0)
    else w.array(topics, (topic) => w.string(topic))
    w.string(null)
    if (owned === undefined) w.uvarint(0)
    else
      w.array(owned, ({ id, partitions }) =>
        w
          .uuid(id)
          .array(partitions, (partition) => w.int32(partition))
          .tags()
      )
    w.tags()
  },
  read: (r) => {
    r.int32()
    const head = {
      code: r.int16(),
      detail: r.string(),
      memberId: r.string(),
      epoch: r.int32(),
      intervalMillis: r.int32()
    }
    if (r.int8() < 0) return { ...head, assignment: undefined }
    const assignment = r.array(() => {
      const id = r.uuid()
      const partitions = r.array(() => r.int32())
      r.tags()
      return { id, partitions }
    })
    return { ...head, assignment }
  }
}

export interface Commit extends Membership {
  readonly offsets: ReadonlyArray<CommittedOffset>
}

/** `generation` is the epoch of a member by KIP-848. */
export const offsetCommit: Api<Commit, ReadonlyArray<PartitionCode>> = {
  name: "OffsetCommit",
  key: 8,
  version: 9,
  write: (w, { generation, group, instanceId, memberId, offsets }) =>
    w
      .string(group)
      .int32(generation)
      .string(memberId)
      .string(instanceId)
      .array(byTopic(offsets), ([topic, own]) =>
        w
          .string(topic)
          .array(own, ({ offset, partition }) => w.int32(partition).int64(offset).int32(-1).string("").tags())
          .tags()
      )
      .tags(),
  read: (r) => {
    r.int32()
    return partitionCodes(r)
  }
}

/** The same for members of classic groups, whose brokers may be older. */
export const offsetCommitV8: typeof offsetCommit = { ...offsetCommit, version: 8 }
