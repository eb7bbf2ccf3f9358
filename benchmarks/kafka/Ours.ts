/** Our side: `KafkaSource` and `KafkaSink` on a driver. */
import type { ProducerBatch } from "@headrace/core/Batch"
import { KafkaSink, KafkaSource } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Effect, ManagedRuntime, Stream } from "effect"
import { batchRecords, Checker, type Pool } from "./Records.ts"
import { type Client, type Driver, transactionRecords } from "./Client.ts"

/** Batches of the pool, round and round, until there are so many records. */
function* repeated({ batches }: Pool, records: number): Generator<ProducerBatch, void> {
  for (let n = 0, i = 0; n < records; n += batchRecords, i = (i + 1) % batches.length) yield batches[i]!
}

/** Reads a topic and checks each record. */
const source = (topic: string, pool: Pool) =>
  Effect.gen(function* () {
    const checker = new Checker(pool)
    yield* KafkaSource.stream({ topic, until: "now" }).pipe(
      Stream.runForEach((batch) =>
        Effect.sync(() => {
          const view = new DataView(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength)
          const { partition, values } = batch
          for (let i = 0; i < 2 * batch.count; i += 2)
            checker.add(partition, view.getUint32(values[i]!, true), view.getUint32(values[i + 1]! - 4, true))
        })
      )
    )
    return checker.sum
  })

/** Writes records to a topic. */
export const write = (topic: string, records: number, pool: Pool, batchBytes?: number) =>
  Stream.fromIterable(repeated(pool, records)).pipe(
    Stream.run(KafkaSink.sink({ topic, ...(batchBytes === undefined ? {} : { batchBytes }) }))
  )

const transactions = (topic: string, records: number, pool: Pool) =>
  Effect.gen(function* () {
    const { transaction } = yield* KafkaSink.transactional({ topic, transactionalId: `ours-${topic}` })
    const batches = repeated(pool, records)
    for (let n = 0; n < records; n += transactionRecords)
      yield* transaction(({ write: add }) =>
        Effect.gen(function* () {
          for (let i = 0; i < transactionRecords; i += batchRecords) yield* add(batches.next().value!)
        })
      )
  }).pipe(Effect.scoped)

export const open = async (driver: Driver, broker: string, pool: Pool): Promise<Client> => {
  const layer = driver === "platformatic" ? Platformatic.layer : KafkaJs.layer
  const runtime = ManagedRuntime.make(layer({ brokers: [broker] }))
  await runtime.context()
  return {
    run: async (job, topic, records) => {
      const work = {
        source: () => source(topic, pool),
        sink: () => Effect.as(write(topic, records, pool), ""),
        transactions: () => Effect.as(transactions(topic, records, pool), "")
      }[job]()
      const started = performance.now()
      const sum = await runtime.runPromise(work)
      return { seconds: (performance.now() - started) / 1000, sum }
    },
    close: () => runtime.dispose()
  }
}
