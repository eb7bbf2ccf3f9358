/** kafkajs's own clients, tuned: as those of `@platformatic/kafka`, but for the order; its consumer takes batches. */
import { randomUUID } from "node:crypto"
import { Kafka, logLevel, Partitioners } from "kafkajs"
import { Checker, type Message, type Pool, partitions, valueSize } from "./Records.ts"
import { type Client, transactionRecords } from "./Client.ts"

/** Messages of a send, one after the other: of sends at the same time kafkajs doesn't keep the order. */
const send = 2_000

export const open = (broker: string, pool: Pool): Promise<Client> => {
  const kafka = new Kafka({
    clientId: "benchmark",
    brokers: [broker],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 5, maxRetryTime: 500, retries: 50 }
  })
  const options = {
    createPartitioner: Partitioners.DefaultPartitioner,
    idempotent: true,
    allowAutoTopicCreation: false
  }

  const grouped = (size: number) => {
    const all: ReadonlyArray<Message> = pool.messages.flat()
    return Array.from({ length: all.length / size }, (_, i) => all.slice(i * size, (i + 1) * size))
  }

  const sink = async (topic: string, records: number) => {
    // One for each topic: it goes on asking for a topic that is deleted.
    const producer = kafka.producer({ ...options, maxInFlightRequests: 1 })
    await producer.connect()
    const groups = grouped(send)
    const started = performance.now()
    for (let n = 0, i = 0; n < records; n += send, i = (i + 1) % groups.length)
      await producer.send({ topic, messages: groups[i]!, acks: -1 })
    const seconds = (performance.now() - started) / 1000
    await producer.disconnect()
    return seconds
  }

  const transactions = async (topic: string, records: number) => {
    const own = kafka.producer({ ...options, transactionalId: `raw-${topic}`, maxInFlightRequests: 1 })
    await own.connect()
    const groups = grouped(transactionRecords)
    const started = performance.now()
    for (let n = 0, i = 0; n < records; n += transactionRecords, i = (i + 1) % groups.length) {
      const transaction = await own.transaction()
      await transaction.send({ topic, messages: groups[i]!, acks: -1 })
      await transaction.commit()
    }
    const seconds = (performance.now() - started) / 1000
    await own.disconnect()
    return seconds
  }

  const source = async (topic: string, records: number) => {
    const consumer = kafka.consumer({
      groupId: randomUUID(),
      maxWaitTimeInMs: 100,
      maxBytes: 16 << 20,
      maxBytesPerPartition: 1 << 20
    })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const checker = new Checker(pool)
    let started = 0
    consumer.on(consumer.events.GROUP_JOIN, () => (started = performance.now()))
    await new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
      consumer
        .run({
          autoCommit: false,
          partitionsConsumedConcurrently: partitions,
          eachBatchAutoResolve: true,
          eachBatch: ({ batch }) => {
            const { messages, partition } = batch
            for (const { value } of messages)
              checker.add(partition, value!.readUInt32LE(0), value!.readUInt32LE(valueSize - 4))
            if (checker.count === records) resolve()
            return Promise.resolve()
          }
        })
        .catch(reject)
    })
    const seconds = (performance.now() - started) / 1000
    await consumer.disconnect()
    return { seconds, sum: checker.sum }
  }

  return Promise.resolve({
    run: async (job, topic, records) => {
      if (job === "source") return source(topic, records)
      return { seconds: await (job === "sink" ? sink : transactions)(topic, records), sum: "" }
    },
    close: () => Promise.resolve()
  })
}
