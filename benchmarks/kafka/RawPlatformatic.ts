/**
 * `@platformatic/kafka`'s own clients, tuned: idempotent and all replicas as ours, values stay buffers, partitions are given (no hashing), the
 * next batch is encoded while one is under way, short pauses before a transaction is tried again.
 */
import { randomUUID } from "node:crypto"
import { Consumer, Producer } from "@platformatic/kafka"
import { Checker, type Message, type Pool, partitions, valueSize } from "./Records.ts"
import { type Client, transactionRecords } from "./Client.ts"

/** Messages of a send, and sends under way at once: the fastest of those tried (1,000 and 4,000; 1, 2 and 4). */
const send = 1_000
const depth = 2

export const open = (broker: string, pool: Pool): Promise<Client> => {
  const base = { clientId: "benchmark", bootstrapBrokers: [broker] }
  const producer = new Producer({ ...base, idempotent: true })

  /** Messages of the pool with the topic in them, in groups of so many. */
  const grouped = (topic: string, size: number) => {
    const all = pool.messages.flat().map((m: Message) => ({ ...m, topic }))
    return Array.from({ length: all.length / size }, (_, i) => all.slice(i * size, (i + 1) * size))
  }

  const sink = async (topic: string, records: number) => {
    const groups = grouped(topic, send)
    const started = performance.now()
    const underway = new Set<Promise<unknown>>()
    for (let n = 0, i = 0; n < records; n += send, i = (i + 1) % groups.length) {
      const sending = producer.send({ messages: groups[i]! }).finally(() => underway.delete(sending))
      underway.add(sending)
      if (underway.size >= depth) await Promise.race(underway)
    }
    await Promise.all(underway)
    return (performance.now() - started) / 1000
  }

  const transactions = async (topic: string, records: number) => {
    const own = new Producer({ ...base, idempotent: true, transactionalId: `raw-${topic}`, retryDelay: 5 })
    const groups = grouped(topic, transactionRecords)
    const started = performance.now()
    for (let n = 0, i = 0; n < records; n += transactionRecords, i = (i + 1) % groups.length) {
      const transaction = await own.beginTransaction()
      await transaction.send({ messages: groups[i]! })
      await transaction.commit()
    }
    const seconds = (performance.now() - started) / 1000
    await own.close()
    return seconds
  }

  const source = async (topic: string, records: number) => {
    const consumer = new Consumer({ ...base, groupId: randomUUID(), retries: 100, retryDelay: 100 })
    const stream = await consumer.consume({
      topics: [topic],
      mode: "manual",
      offsets: Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0n })),
      autocommit: false,
      maxWaitTime: 100,
      maxBytes: 16 << 20,
      maxBytesPerPartition: 1 << 20,
      highWaterMark: 16_384
    })
    const checker = new Checker(pool)
    const started = performance.now()
    await new Promise<void>((resolve, reject) => {
      stream.once("error", reject)
      stream.on("data", ({ partition, value }) => {
        checker.add(partition, value.readUInt32LE(0), value.readUInt32LE(valueSize - 4))
        if (checker.count === records) resolve()
      })
    })
    const seconds = (performance.now() - started) / 1000
    await stream.close()
    await consumer.close(true)
    return { seconds, sum: checker.sum }
  }

  return Promise.resolve({
    run: async (job, topic, records) => {
      if (job === "source") return source(topic, records)
      return { seconds: await (job === "sink" ? sink : transactions)(topic, records), sum: "" }
    },
    close: () => producer.close()
  })
}
