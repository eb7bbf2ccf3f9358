/**
 * Our side of the live benchmark, in a process of its own: `View.ts BROKER STORE` runs view d's shape live from the topic `orders` in Kafka to
 * the end, into a fresh SQLite store, and prints what it measured as JSON.
 */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { OneLog } from "@headrace/archive"
import { SqliteViewStore } from "@headrace/embedded"
import { KafkaLog } from "@headrace/kafka"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Live } from "@headrace/kappa"
import { Effect, Layer } from "effect"
import { completedPerMinute } from "example-orders/views"
import { cellsOf, type Measured, peak } from "../Measure.ts"

/** The log on a broker, as the engine reads it. */
export const log = (broker: string) =>
  OneLog.layer.pipe(Layer.provideMerge(KafkaLog.layer()), Layer.provideMerge(Platformatic.layer({ brokers: [broker] })))

/** Runs this module in a process of its own. */
export const measure = async (broker: string, store: string): Promise<Measured> => {
  const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, broker, store], {
    maxBuffer: 1 << 28
  })
  return JSON.parse(stdout) as Measured
}

if (import.meta.main) {
  const [broker, path] = process.argv.slice(2)
  const store = SqliteViewStore.layer({ path: path! })
  const view = Live.run({ views: [{ view: completedPerMinute, source: "benchmark" }], owner: "benchmark" })
  const started = performance.now()
  await Effect.runPromise(view.pipe(Effect.provide(Layer.merge(log(broker!), store))))
  const seconds = [(performance.now() - started) / 1000]
  const rss = peak()
  const cells = await Effect.runPromise(cellsOf(completedPerMinute.name).pipe(Effect.provide(store)))
  process.stdout.write(JSON.stringify({ seconds, rss, cells } satisfies Measured))
}
