/** The requests that are sent, each in one version that Kafka 3.1 to 4.x have: how they are written, and what is read of their responses. */
import type { Reader, Writer } from "./Bytes.ts"

export interface Api<I, O> {
  readonly name: string
  readonly key: number
  readonly version: number
  readonly write: (w: Writer, input: I) => void
  readonly read: (r: Reader) => O
}

/** Responses begin with how long the broker asks the client to pause. Brokers enforce their quotas themselves. */
export const throttled = (r: Reader): Reader => {
  r.int32()
  return r
}

export interface PartitionCode {
  readonly topic: string
  readonly partition: number
  readonly code: number
}

/** The common shape `[topic [partition code]]`. */
export const partitionCodes = (r: Reader): ReadonlyArray<PartitionCode> =>
  r
    .array(() => {
      const topic = r.string()
      const partitions = r.array(() => {
        const partition = r.int32()
        const code = r.int16()
        r.tags()
        return { topic, partition, code }
      })
      r.tags()
      return partitions
    })
    .flat()

/** Groups by topic, in the order of first appearance. */
export const byTopic = <A extends { readonly topic: string }>(
  items: ReadonlyArray<A>
): ReadonlyArray<readonly [topic: string, items: ReadonlyArray<A>]> => {
  const topics = new Map<string, Array<A>>()
  for (const item of items) {
    const own = topics.get(item.topic)
    if (own === undefined) topics.set(item.topic, [item])
    else own.push(item)
  }
  return [...topics]
}

export const apiVersions: Api<
  { readonly software: string; readonly version: string },
  {
    readonly code: number
    readonly versions: ReadonlyMap<number, readonly [min: number, max: number]>
    readonly features: ReadonlyMap<string, number>
  }
> = {
  name: "ApiVersions",
  key: 18,
  version: 3,
  write: (w, { software, version }) => w.string(software).string(version).tags(),
  read: (r) => {
    const code = r.int16()
    const versions = new Map<number, readonly [number, number]>()
    const features = new Map<string, number>()
    if (code !== 0) return { code, versions, features }
    r.array(() => {
      versions.set(r.int16(), [r.int16(), r.int16()])
      r.tags()
    })
    r.int32()
    r.tags((tag, field) => {
      if (tag !== 2) return
      field.array(() => {
        const name = field.string()
        features.set(name, field.int16())
        field.int16()
        field.tags()
      })
    })
    return { code, versions, features }
  }
}

export interface TopicMetadata {
  readonly code: number
  readonly name: string
  readonly id: string
  readonly internal: boolean
  readonly partitions: ReadonlyArray<{ readonly code: number; readonly partition: number; readonly leader: number }>
}

/** Of the named topics, or of all with `undefined`. */
export const metadata: Api<
  ReadonlyArray<string> | undefined,
  {
    readonly nodes: ReadonlyArray<{ readonly id: number; readonly host: string; readonly port: number }>
    readonly topics: ReadonlyArray<TopicMetadata>
  }
> = {
  name: "Metadata",
  key: 3,
  version: 12,
  write: (w, topics) => {
    if (topics === undefined) w.uvarint(0)
    else w.array(topics, (topic) => w.raw(new Uint8Array(16)).string(topic).tags())
    w.boolean(false).boolean(false).tags()
  },
  read: (r) => {
    throttled(r)
    const nodes = r.array(() => {
      const node = { id: r.int32(), host: r.string(), port: r.int32() }
      r.nullableString()
      r.tags()
      return node
    })
    r.nullableString()
    r.int32()
    const topics = r.array(() => {
      const code = r.int16()
      const name = r.string()
      const id = r.uuid()
      const internal = r.boolean()
      const partitions = r.array(() => {
        const partition = { code: r.int16(), partition: r.int32(), leader: r.int32() }
        r.int32()
        for (let list = 0; list < 3; list++) r.array(() => r.int32())
        r.tags()
        return partition
      })
      r.int32()
      r.tags()
      return { code, name, id, internal, partitions: partitions.sort((a, b) => a.partition - b.partition) }
    })
    return { nodes, topics }
  }
}

export const findCoordinator: Api<
  { readonly key: string; readonly kind: "group" | "transaction" },
  { readonly code: number; readonly detail: string; readonly host: string; readonly port: number }
> = {
  name: "FindCoordinator",
  key: 10,
  version: 3,
  write: (w, { key, kind }) =>
    w
      .string(key)
      .int8(kind === "group" ? 0 : 1)
      .tags(),
  read: (r) => {
    const code = throttled(r).int16()
    const detail = r.string()
    r.int32()
    return { code, detail, host: r.string(), port: r.int32() }
  }
}

export interface FetchPartition {
  readonly partition: number
  readonly code: number
  readonly end: number
  readonly stableEnd: number
  readonly begin: number
  readonly aborted: ReadonlyArray<{ readonly producerId: bigint; readonly firstOffset: number }>
  readonly records: Uint8Array
}

/** Topics go by id, so that a topic made anew isn't read by accident. Without a fetch session. */
export const fetch: Api<
  {
    readonly maxWaitMillis: number
    readonly minBytes: number
    readonly maxBytes: number
    readonly committed: boolean
    readonly topics: ReadonlyArray<{
      readonly id: string
      readonly partitions: ReadonlyArray<{
        readonly partition: number
        readonly offset: number
        readonly maxBytes: number
      }>
    }>
  },
  {
    readonly code: number
    readonly topics: ReadonlyArray<{ readonly id: string; readonly partitions: ReadonlyArray<FetchPartition> }>
  }
> = {
  name: "Fetch",
  key: 1,
  version: 13,
  write: (w, { committed, maxBytes, maxWaitMillis, minBytes, topics }) =>
    w
      .int32(-1)
      .int32(maxWaitMillis)
      .int32(minBytes)
      .int32(maxBytes)
      .int8(committed ? 1 : 0)
      .int32(0)
      .int32(-1)
      .array(topics, ({ id, partitions }) =>
        w
          .uuid(id)
          .array(partitions, ({ maxBytes, offset, partition }) =>
            w.int32(partition).int32(-1).int64(offset).int32(-1).int64(-1).int32(maxBytes).tags()
          )
          .tags()
      )
      .array([], () => {})
      .string("")
      .tags(),
  read: (r) => {
    const code = throttled(r).int16()
    r.int32()
    const topics = r.array(() => {
      const id = r.uuid()
      const partitions = r.array(() => {
        const partition = r.int32()
        const code = r.int16()
        const end = r.int64()
        const stableEnd = r.int64()
        const begin = r.int64()
        const aborted = r.array(() => {
          const transaction = { producerId: r.bigint64(), firstOffset: r.int64() }
          r.tags()
          return transaction
        })
        r.int32()
        const records = r.compactBytes()
        r.tags()
        return { partition, code, end, stableEnd, begin, aborted, records }
      })
      r.tags()
      return { id, partitions }
    })
    return { code, topics }
  }
}

export const listOffsets: Api<
  {
    readonly topic: string
    readonly committed: boolean
    readonly timestamp: number
    readonly partitions: ReadonlyArray<number>
  },
  ReadonlyArray<{ readonly partition: number; readonly code: number; readonly offset: number }>
> = {
  name: "ListOffsets",
  key: 2,
  version: 6,
  write: (w, { committed, partitions, timestamp, topic }) =>
    w
      .int32(-1)
      .int8(committed ? 1 : 0)
      .array([topic], () =>
        w
          .string(topic)
          .array(partitions, (partition) => w.int32(partition).int32(-1).int64(timestamp).tags())
          .tags()
      )
      .tags(),
  read: (r) =>
    throttled(r)
      .array(() => {
        r.string()
        const partitions = r.array(() => {
          const partition = r.int32()
          const code = r.int16()
          r.int64()
          const offset = r.int64()
          r.int32()
          r.tags()
          return { partition, code, offset }
        })
        r.tags()
        return partitions
      })
      .flat()
}

export const produce: Api<
  {
    readonly transactionalId: string | null
    readonly timeoutMillis: number
    readonly batches: ReadonlyArray<{ readonly topic: string; readonly partition: number; readonly bytes: Uint8Array }>
  },
  ReadonlyArray<PartitionCode & { readonly base: number; readonly detail: string }>
> = {
  name: "Produce",
  key: 0,
  version: 9,
  write: (w, { batches, timeoutMillis, transactionalId }) =>
    w
      .string(transactionalId)
      .int16(-1)
      .int32(timeoutMillis)
      .array(byTopic(batches), ([topic, own]) =>
        w
          .string(topic)
          .array(own, ({ bytes, partition }) => w.int32(partition).bytes(bytes).tags())
          .tags()
      )
      .tags(),
  read: (r) =>
    r
      .array(() => {
        const topic = r.string()
        const partitions = r.array(() => {
          const partition = r.int32()
          const code = r.int16()
          const base = r.int64()
          r.int64()
          r.int64()
          const problems = r.array(() => {
            r.int32()
            const problem = r.string()
            r.tags()
            return problem
          })
          const detail = r.nullableString() ?? problems[0] ?? ""
          r.tags()
          return { topic, partition, code, base, detail }
        })
        r.tags()
        return partitions
      })
      .flat()
}

/** The same with topics that the broker adds to the transaction by itself (transaction version 2). */
export const produceV12: typeof produce = { ...produce, version: 12 }
