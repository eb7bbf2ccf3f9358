/** The requests of {@link Api} that administer topics and groups. */
import type { Api } from "./Api.ts"
import { noUuid } from "./Bytes.ts"

export const createTopic: Api<
  {
    readonly name: string
    readonly partitions: number
    readonly replicationFactor: number
    readonly configs: Readonly<Record<string, string>>
    readonly timeoutMillis: number
  },
  { readonly code: number; readonly detail: string }
> = {
  name: "CreateTopics",
  key: 19,
  version: 7,
  write: (w, { configs, name, partitions, replicationFactor, timeoutMillis }) =>
    w
      .array([name], () =>
        w
          .string(name)
          .int32(partitions)
          .int16(replicationFactor)
          .array([], () => {})
          .array(Object.entries(configs), ([key, value]) => w.string(key).string(value).tags())
          .tags()
      )
      .int32(timeoutMillis)
      .boolean(false)
      .tags(),
  read: (r) => {
    r.int32()
    const topics = r.array(() => {
      r.string()
      r.uuid()
      const topic = { code: r.int16(), detail: r.string() }
      r.int32()
      r.int16()
      r.array(() => {
        r.string()
        r.nullableString()
        r.boolean()
        r.int8()
        r.boolean()
        r.tags()
      })
      r.tags()
      return topic
    })
    return topics[0] ?? { code: -1, detail: "the answer names no topic" }
  }
}

export const createPartitions: Api<
  { readonly name: string; readonly partitions: number; readonly timeoutMillis: number },
  { readonly code: number; readonly detail: string }
> = {
  name: "CreatePartitions",
  key: 37,
  version: 2,
  write: (w, { name, partitions, timeoutMillis }) =>
    w
      // No assignment of replicas: the broker's.
      .array([name], () => w.string(name).int32(partitions).uvarint(0).tags())
      .int32(timeoutMillis)
      .boolean(false)
      .tags(),
  read: (r) => {
    r.int32()
    const topics = r.array(() => {
      r.string()
      const topic = { code: r.int16(), detail: r.string() }
      r.tags()
      return topic
    })
    return topics[0] ?? { code: -1, detail: "the answer names no topic" }
  }
}

export const deleteTopic: Api<
  { readonly name: string; readonly timeoutMillis: number },
  { readonly code: number; readonly detail: string }
> = {
  name: "DeleteTopics",
  key: 20,
  version: 6,
  write: (w, { name, timeoutMillis }) =>
    w
      .array([name], () => w.string(name).uuid(noUuid).tags())
      .int32(timeoutMillis)
      .tags(),
  read: (r) => {
    r.int32()
    const topics = r.array(() => {
      r.nullableString()
      r.uuid()
      const topic = { code: r.int16(), detail: r.string() }
      r.tags()
      return topic
    })
    return topics[0] ?? { code: -1, detail: "the answer names no topic" }
  }
}

export const deleteRecords: Api<
  { readonly topic: string; readonly partition: number; readonly before: number; readonly timeoutMillis: number },
  { readonly code: number; readonly begin: number }
> = {
  name: "DeleteRecords",
  key: 21,
  version: 2,
  write: (w, { before, partition, timeoutMillis, topic }) =>
    w
      .array([topic], () =>
        w
          .string(topic)
          .array([partition], () => w.int32(partition).int64(before).tags())
          .tags()
      )
      .int32(timeoutMillis)
      .tags(),
  read: (r) => {
    r.int32()
    const partitions = r
      .array(() => {
        r.string()
        const own = r.array(() => {
          r.int32()
          const begin = r.int64()
          const code = r.int16()
          r.tags()
          return { code, begin }
        })
        r.tags()
        return own
      })
      .flat()
    return partitions[0] ?? { code: -1, begin: -1 }
  }
}

export const describeConfigs: Api<
  { readonly topic: string },
  { readonly code: number; readonly detail: string; readonly configs: Readonly<Record<string, string>> }
> = {
  name: "DescribeConfigs",
  key: 32,
  version: 4,
  write: (w, { topic }) =>
    w
      .array([topic], () => w.int8(2).string(topic).uvarint(0).tags())
      .boolean(false)
      .boolean(false)
      .tags(),
  read: (r) => {
    r.int32()
    const resources = r.array(() => {
      const code = r.int16()
      const detail = r.string()
      r.int8()
      r.string()
      const configs: Record<string, string> = {}
      r.array(() => {
        const name = r.string()
        const value = r.nullableString()
        if (value !== null) configs[name] = value
        r.boolean()
        r.int8()
        r.boolean()
        r.array(() => {
          r.string()
          r.nullableString()
          r.int8()
          r.tags()
        })
        r.int8()
        r.nullableString()
        r.tags()
      })
      r.tags()
      return { code, detail, configs }
    })
    return resources[0] ?? { code: -1, detail: "the answer names no topic", configs: {} }
  }
}

export const offsetFetch: Api<
  { readonly group: string; readonly topic: string; readonly partitions: ReadonlyArray<number> },
  {
    readonly code: number
    readonly partitions: ReadonlyArray<{ readonly partition: number; readonly offset: number; readonly code: number }>
  }
> = {
  name: "OffsetFetch",
  key: 9,
  version: 7,
  write: (w, { group, partitions, topic }) =>
    w
      .string(group)
      .array([topic], () =>
        w
          .string(topic)
          .array(partitions, (partition) => w.int32(partition))
          .tags()
      )
      .boolean(true)
      .tags(),
  read: (r) => {
    r.int32()
    const partitions = r
      .array(() => {
        r.string()
        const own = r.array(() => {
          const partition = r.int32()
          const offset = r.int64()
          r.int32()
          r.nullableString()
          const code = r.int16()
          r.tags()
          return { partition, offset, code }
        })
        r.tags()
        return own
      })
      .flat()
    return { code: r.int16(), partitions }
  }
}
