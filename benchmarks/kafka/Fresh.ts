/**
 * The processes of the latency benchmark. `engine BROKER STORE` follows the topic with a view until it is told to end. `producer BROKER BATCHES`
 * sends a batch to all partitions every 10 ms, whether or not those before are acknowledged, and tells when each one is.
 */
import { BatchBuilder } from "@headrace/core/Batch"
import { SqliteViewStore } from "@headrace/embedded"
import { KafkaDriver } from "@headrace/kafka/Driver"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Aggregate, decimal, Live, Log, View } from "@headrace/kappa"
import { Clock, Effect, Layer, Schema } from "effect"
import { partitions } from "./Records.ts"
import * as ViewProcess from "./View.ts"

export const topic = "fresh"
/** Records a second. */
export const rate = 20_000
export const batchMillis = 10
/** Records of a batch, over all partitions. */
export const batchRecords = (rate * batchMillis) / 1000

const categories = 20

class Sale extends Schema.Class<Sale>("Sale")({
  lane: Schema.Int,
  batch: Schema.Int,
  category: Schema.String,
  total: decimal(2)
}) {}

/** Sales by lane (a partition's own) and category, with the newest batch in it. */
export const view = View.aggregate(
  "sales",
  Log.topic(topic, { value: Sale }).pipe(Log.select("lane", "batch", "category", "total")),
  {
    version: 1,
    by: { lane: "lane", category: "category" },
    values: { count: Aggregate.count, revenue: Aggregate.sum("total"), newest: Aggregate.max("batch") }
  }
)

export interface Acknowledged {
  readonly batch: number
  readonly at: number
}

/** Milliseconds of the machine's monotonic clock, which all its processes share. */
export const now = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000

const produce = (batches: number) =>
  Effect.gen(function* () {
    const { send } = yield* (yield* KafkaDriver).producer()
    const builders = Array.from({ length: partitions }, () => new BatchBuilder(batchRecords))
    const padding = "x".repeat(70)
    const began = now()
    for (let batch = 0; batch < batches; batch++) {
      const due = began + batch * batchMillis
      if (now() < due) yield* Effect.sleep(due - now())
      const time = yield* Clock.currentTimeMillis
      for (let i = 0; i < batchRecords; i++) {
        const lane = i % partitions
        // Each lane's batches have every category, in turn.
        const category = `category-${Math.floor(i / partitions) % categories}`
        const json = `{"lane":${lane},"batch":${batch},"category":"${category}","total":${i}.50,"note":"${padding}"}`
        builders[lane]!.add(`${batch}-${i}`, json, time)
      }
      const items = builders.map((builder, partition) => ({ topic, partition, records: builder.take() }))
      yield* Effect.forkChild(
        Effect.andThen(
          send(items),
          Effect.sync(() => process.send!({ batch, at: now() } satisfies Acknowledged))
        )
      )
    }
    // What is under way ends before this process does: whoever started it disconnects when all has been seen.
    return yield* Effect.never
  }).pipe(Effect.scoped)

/** The engine looks for more this long after it has committed what there was. */
const follow = "20 millis"

let told = false
const engine = Live.run({
  views: [{ view, source: "benchmark" }],
  owner: "benchmark",
  follow,
  onCaughtUp: () =>
    Effect.sync(() => {
      if (told) return
      told = true
      process.send!("ready")
    })
})
if (import.meta.main) {
  const [role, broker, argument] = process.argv.slice(2)
  const program =
    role === "engine"
      ? engine.pipe(Effect.provide(Layer.merge(ViewProcess.log(broker!), SqliteViewStore.layer({ path: argument! }))))
      : produce(Number(argument)).pipe(Effect.provide(Platformatic.layer({ brokers: [broker!] })))
  const stop = new AbortController()
  process.once("disconnect", () => stop.abort())
  await Effect.runPromise(program, { signal: stop.signal }).catch((cause: unknown) => {
    if (!stop.signal.aborted) throw cause
  })
}
