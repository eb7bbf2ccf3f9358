/**
 * Who gets which partitions in a group of the classic protocol: pure. The group's leader, any of the members, decides for all.
 *
 * `cooperative-sticky` keeps what members have as far as balance allows (between members with the same topics: within one partition), and
 * withholds from its new owner a partition that somebody still claims: that one lets it go first, joins again, and the next round gives it
 * away. `range` and `roundrobin` are Kafka's old ones, for which everybody lets everything go before each round.
 */
import type { Assignor, TopicPartition } from "../Driver.ts"

export interface Candidate {
  /** Unique in the group. */
  readonly memberId: string
  /** Orders members for `range` and `roundrobin`; stays the same over restarts of a static member. */
  readonly order: string
  readonly topics: ReadonlyArray<string>
  /** What the member has, and from which generation it has it. Of two who claim a partition, the one with the later generation keeps it. */
  readonly owned: ReadonlyArray<TopicPartition>
  readonly generation: number
}

/** By member; every member has an entry. */
export type Assignment = ReadonlyMap<string, ReadonlyArray<TopicPartition>>

/** Partition counts by topic; topics that don't exist are left out. */
export type Counts = ReadonlyMap<string, number>

type Assign = (members: ReadonlyArray<Candidate>, counts: Counts) => Assignment

const keyOf = ({ partition, topic }: TopicPartition) => `${topic} ${partition}`

const partitionsOf = (topic: string, counts: Counts): ReadonlyArray<TopicPartition> =>
  Array.from({ length: counts.get(topic) ?? 0 }, (_, partition) => ({ topic, partition }))

const inOrder = (members: ReadonlyArray<Candidate>) =>
  members.toSorted((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0))

const empty = (members: ReadonlyArray<Candidate>) =>
  new Map(members.map(({ memberId }): [string, Array<TopicPartition>] => [memberId, []]))

const topicsOf = (members: ReadonlyArray<Candidate>) => [...new Set(members.flatMap(({ topics }) => topics))].sort()

const range: Assign = (members, counts) => {
  const assigned = empty(members)
  for (const topic of topicsOf(members)) {
    const own = inOrder(members.filter(({ topics }) => topics.includes(topic)))
    const partitions = partitionsOf(topic, counts)
    const least = Math.floor(partitions.length / own.length)
    const more = partitions.length % own.length
    for (let i = 0; i < own.length; i++) {
      const from = i * least + Math.min(i, more)
      assigned.get(own[i]!.memberId)!.push(...partitions.slice(from, from + least + (i < more ? 1 : 0)))
    }
  }
  return assigned
}

const roundRobin: Assign = (members, counts) => {
  const assigned = empty(members)
  const order = inOrder(members)
  let at = 0
  for (const topic of topicsOf(members))
    for (const partition of partitionsOf(topic, counts)) {
      while (!order[at % order.length]!.topics.includes(topic)) at++
      assigned.get(order[at++ % order.length]!.memberId)!.push(partition)
    }
  return assigned
}

/** Who keeps what of what they claim. */
const claims = (members: ReadonlyArray<Candidate>, counts: Counts) => {
  const kept = new Map<string, Candidate | undefined>()
  for (const member of members)
    for (const partition of member.owned) {
      if (!member.topics.includes(partition.topic) || partition.partition >= (counts.get(partition.topic) ?? 0))
        continue
      const key = keyOf(partition)
      const rival = kept.get(key)
      if (!kept.has(key) || (rival !== undefined && rival.generation < member.generation)) kept.set(key, member)
      // Two of one generation can't both be right: neither keeps it.
      else if (rival !== undefined && rival !== member && rival.generation === member.generation)
        kept.set(key, undefined)
    }
  return kept
}

/** Balanced and sticky, as if every partition could change hands at once. */
const sticky = (members: ReadonlyArray<Candidate>, counts: Counts) => {
  const assigned = empty(members)
  const kept = claims(members, counts)
  const lists = [...assigned]
  const eligible = new Map(
    topicsOf(members).map((topic) => [
      topic,
      members.filter(({ topics }) => topics.includes(topic)).map(({ memberId }) => assigned.get(memberId)!)
    ])
  )
  const least = (topic: string) => {
    const own = eligible.get(topic)!
    let found = own[0]!
    for (const list of own) if (list.length < found.length) found = list
    return found
  }
  const free: Array<TopicPartition> = []
  for (const topic of eligible.keys())
    for (const partition of partitionsOf(topic, counts)) {
      const owner = kept.get(keyOf(partition))
      if (owner === undefined) free.push(partition)
      else assigned.get(owner.memberId)!.push(partition)
    }
  // What few can take goes first.
  free.sort((a, b) => eligible.get(a.topic)!.length - eligible.get(b.topic)!.length)
  for (const partition of free) least(partition.topic).push(partition)
  // Each move brings two counts closer, so it ends; balanced when no single move helps.
  for (let moved = true; moved;) {
    moved = false
    lists.sort(([, a], [, b]) => b.length - a.length)
    for (const [, list] of lists) {
      for (let i = list.length - 1; i >= 0 && !moved; i--) {
        const to = least(list[i]!.topic)
        if (list.length - to.length < 2) continue
        to.push(...list.splice(i, 1))
        moved = true
      }
      if (moved) break
    }
  }
  return assigned
}

const cooperativeSticky: Assign = (members, counts) => {
  const holders = new Map<string, Set<string>>()
  for (const { memberId, owned } of members)
    for (const partition of owned) {
      const key = keyOf(partition)
      const own = holders.get(key)
      if (own === undefined) holders.set(key, new Set([memberId]))
      else own.add(memberId)
    }
  const isHeldByOthers = (partition: TopicPartition, memberId: string) => {
    const own = holders.get(keyOf(partition))
    return own !== undefined && (own.size > 1 || !own.has(memberId))
  }
  return new Map(
    Array.from(sticky(members, counts), ([memberId, own]) => [
      memberId,
      own.filter((partition) => !isHeldByOthers(partition, memberId))
    ])
  )
}

export const assignors: Readonly<Record<Assignor, Assign>> = {
  "cooperative-sticky": cooperativeSticky,
  range,
  roundrobin: roundRobin
}

/** Whether partitions can stay where they are through a round: when every assignor that a member offers is cooperative, as in Java. */
export const isCooperative = (names: ReadonlyArray<Assignor>): boolean =>
  names.every((name) => name === "cooperative-sticky")
