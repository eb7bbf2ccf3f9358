/** The requests of a member of a classic group. */
import { type Api, throttled } from "./Api.ts"

const protocolType = "consumer"

/** Who asks, and as of which generation. */
export interface Membership {
  readonly group: string
  readonly memberId: string
  readonly generation: number
  readonly instanceId: string | null
}

export interface Joined {
  readonly code: number
  readonly generation: number
  /** The assignor that all members have. */
  readonly protocol: string
  readonly leader: string
  readonly memberId: string
  /** For the leader alone: everybody. */
  readonly members: ReadonlyArray<{
    readonly memberId: string
    readonly instanceId: string | null
    readonly metadata: Uint8Array
  }>
}

/** Answered when all members have joined, or when the rebalance time-out of the slowest is over. */
export const joinGroup: Api<
  Omit<Membership, "generation"> & {
    readonly sessionTimeoutMillis: number
    readonly rebalanceTimeoutMillis: number
    readonly protocols: ReadonlyArray<{ readonly name: string; readonly metadata: Uint8Array }>
  },
  Joined
> = {
  name: "JoinGroup",
  key: 11,
  version: 7,
  write: (w, { group, instanceId, memberId, protocols, rebalanceTimeoutMillis, sessionTimeoutMillis }) =>
    w
      .string(group)
      .int32(sessionTimeoutMillis)
      .int32(rebalanceTimeoutMillis)
      .string(memberId)
      .string(instanceId)
      .string(protocolType)
      .array(protocols, ({ metadata, name }) => w.string(name).bytes(metadata).tags())
      .tags(),
  read: (r) => {
    const code = throttled(r).int16()
    const generation = r.int32()
    r.nullableString()
    const protocol = r.string()
    const leader = r.string()
    const memberId = r.string()
    const members = r.array(() => {
      const member = { memberId: r.string(), instanceId: r.nullableString(), metadata: r.compactBytes() }
      r.tags()
      return member
    })
    return { code, generation, protocol, leader, memberId, members }
  }
}

/** Answered when the leader has sent the assignments. */
export const syncGroup: Api<
  Membership & {
    readonly protocol: string
    readonly assignments: ReadonlyArray<{ readonly memberId: string; readonly assignment: Uint8Array }>
  },
  { readonly code: number; readonly assignment: Uint8Array }
> = {
  name: "SyncGroup",
  key: 14,
  version: 5,
  write: (w, { assignments, generation, group, instanceId, memberId, protocol }) =>
    w
      .string(group)
      .int32(generation)
      .string(memberId)
      .string(instanceId)
      .string(protocolType)
      .string(protocol)
      .array(assignments, ({ assignment, memberId }) => w.string(memberId).bytes(assignment).tags())
      .tags(),
  read: (r) => {
    const code = throttled(r).int16()
    r.nullableString()
    r.nullableString()
    return { code, assignment: r.compactBytes() }
  }
}

export const heartbeat: Api<Membership, { readonly code: number }> = {
  name: "Heartbeat",
  key: 12,
  version: 4,
  write: (w, { generation, group, instanceId, memberId }) =>
    w.string(group).int32(generation).string(memberId).string(instanceId).tags(),
  read: (r) => ({ code: throttled(r).int16() })
}

export const leaveGroup: Api<Omit<Membership, "generation">, { readonly code: number }> = {
  name: "LeaveGroup",
  key: 13,
  version: 4,
  write: (w, { group, instanceId, memberId }) =>
    w
      .string(group)
      .array([memberId], () => w.string(memberId).string(instanceId).tags())
      .tags(),
  read: (r) => ({ code: throttled(r).int16() })
}
