/**
 * What members of a classic group tell each other through the broker, which doesn't look into it: subscriptions and assignments, in the
 * form that Kafka's Java client writes and reads ("consumer" protocol, version 2). Older forms are read too.
 */
import type { TopicPartition } from "../Driver.ts"
import { byTopic } from "./Api.ts"
import type { Candidate } from "./Assignor.ts"
import { Reader, Writer } from "./Bytes.ts"

const version = 2

const taken = (w: Writer): Uint8Array => Buffer.concat(w.take())

const writePartitions = (w: Writer, partitions: ReadonlyArray<TopicPartition>): Writer =>
  w.classicArray(byTopic(partitions), ([topic, own]) =>
    w.classicString(topic).classicArray(own, ({ partition }) => w.int32(partition))
  )

const readPartitions = (r: Reader): ReadonlyArray<TopicPartition> =>
  r
    .classicArray(() => {
      const topic = r.classicString()
      return r.classicArray(() => ({ topic, partition: r.int32() }))
    })
    .flat()

/** What a member wants, what it has, and of which generation that is: -1 for none. */
export type Subscription = Pick<Candidate, "topics" | "owned" | "generation">

export const writeSubscription = ({ generation, owned, topics }: Subscription): Uint8Array => {
  const w = new Writer()
  w.int16(version).classicArray(topics, (topic) => w.classicString(topic))
  // Java's cooperative assignor of version 1 has the generation here.
  w.classicBytes(taken(new Writer(4).int32(generation)))
  return taken(writePartitions(w, owned).int32(generation))
}

/** Throws `MalformedBytes`. */
export const readSubscription = (bytes: Uint8Array): Subscription => {
  const r = new Reader(bytes)
  const found = r.int16()
  const topics = r.classicArray(() => r.classicString())
  const user = r.classicBytes()
  // Some clients announce version 1 and end here.
  const owned = found >= 1 && !r.isAtEnd ? readPartitions(r) : []
  if (found >= 2 && !r.isAtEnd) return { topics, owned, generation: r.int32() }
  return { topics, owned, generation: user.length === 4 ? new Reader(user).int32() : -1 }
}

export const writeAssignment = (partitions: ReadonlyArray<TopicPartition>): Uint8Array =>
  taken(writePartitions(new Writer().int16(version), partitions).classicBytes(null))

/** Throws `MalformedBytes`. Nothing at all is an empty assignment. */
export const readAssignment = (bytes: Uint8Array): ReadonlyArray<TopicPartition> => {
  if (bytes.length === 0) return []
  const r = new Reader(bytes)
  r.int16()
  return readPartitions(r)
}
