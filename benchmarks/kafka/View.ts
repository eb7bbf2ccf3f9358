/**
 * Our side of the live benchmark, in a process of its own: `View.ts BROKER STORE [TOPIC]` runs view d's shape live from the topic `orders` in
 * Kafka to the end, into a fresh SQLite store, with its changes to a topic if one is named, and prints what it measured as JSON.
 */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { OneLog } from "@headrace/archive"
import { keyOf, valueOf } from "@headrace/core/Batch"
import { ViewStore } from "@headrace/core/ViewStore"
import { SqliteViewStore } from "@headrace/embedded"
import { KafkaChanges, KafkaDriver, KafkaLog, KafkaSource } from "@headrace/kafka"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Live, LiveOutput, Output, View } from "@headrace/kappa"
import { Effect, Layer, Stream } from "effect"
import { completedPerMinute } from "example-orders/views"
import { fingerprint } from "../Cells.ts"
import { cellsOf, type Measured } from "../Measure.ts"
import { peak } from "../Peak.ts"

export interface WithChanges extends Measured {
  /** Fingerprints of the table's rows, and of what the topic of the changes sums to; of one that has no topic, undefined. */
  readonly sums?: { readonly table: string; readonly changes: string }
}

/** The log on a broker, as the engine reads it. */
export const log = (broker: string) =>
  OneLog.layer.pipe(Layer.provideMerge(KafkaLog.layer()), Layer.provideMerge(Platformatic.layer({ brokers: [broker] })))

/** Runs this module in a process of its own. */
export const measure = async (broker: string, store: string, ...topic: ReadonlyArray<string>): Promise<WithChanges> => {
  const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, broker, store, ...topic], {
    maxBuffer: 1 << 28
  })
  return JSON.parse(stdout) as WithChanges
}

const declared = { view: completedPerMinute, source: "benchmark" }
const owner = "benchmark"

/** The latest committed value of each key, a line each, once the last transaction has ended. */
const sumOf = (topic: string) =>
  Effect.gen(function* () {
    const { admin, consumer } = yield* KafkaDriver
    const { id } = yield* admin.describeTopic(topic)
    const uncommitted = yield* consumer({ isolation: "uncommitted" })
    const at = [{ topic, topicId: id, partition: 0, offset: 0 }]
    let end: number | undefined
    while (end === undefined) end = (yield* uncommitted.fetch(at, { maxWaitMillis: 1 }))[0]?.end
    const sum = new Map<string, string>()
    const text = new TextDecoder()
    yield* KafkaSource.stream({ topic, until: new Map([[0, end]]) }).pipe(
      Stream.runForEach((batch) =>
        Effect.sync(() => {
          for (let i = 0; i < batch.count; i++) {
            const [key, value] = [text.decode(keyOf(batch, i)!), valueOf(batch, i)]
            if (value === null) sum.delete(key)
            else sum.set(key, text.decode(value))
          }
        })
      )
    )
    return [...sum].map(([key, value]) => `${key} ${value}`)
  }).pipe(Effect.scoped)

const tableOf = Effect.map(
  ViewStore.use((store) => Stream.runCollect(store.rows(completedPerMinute.name, completedPerMinute.version))),
  (rows) =>
    rows.map((row) => {
      const { key, value } = Output.upsert(View.spec(completedPerMinute, declared.source), row)
      return `${key} ${value}`
    })
)

if (import.meta.main) {
  const [broker, path, topic] = process.argv.slice(2)
  const store = SqliteViewStore.layer({ path: path! })
  const kafka = Platformatic.layer({ brokers: [broker!] })
  const run =
    topic === undefined
      ? Live.run({ views: [declared], owner })
      : LiveOutput.run({ outputs: [{ declared, topic }], owner }).pipe(
          Effect.provide(Layer.provide(KafkaChanges.layer(), kafka))
        )
  const started = performance.now()
  await Effect.runPromise(run.pipe(Effect.provide(Layer.merge(log(broker!), store))))
  const seconds = [(performance.now() - started) / 1000]
  const rss = peak()
  const cells = await Effect.runPromise(cellsOf(completedPerMinute.name).pipe(Effect.provide(store)))
  const sums =
    topic === undefined
      ? {}
      : {
          sums: {
            table: fingerprint(await Effect.runPromise(Effect.provide(tableOf, store))),
            changes: fingerprint(await Effect.runPromise(Effect.provide(sumOf(topic), kafka)))
          }
        }
  process.stdout.write(JSON.stringify({ seconds, rss, cells, ...sums } satisfies WithChanges))
}
