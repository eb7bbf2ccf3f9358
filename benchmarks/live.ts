/**
 * View d's shape (completed orders by minute and category) over orders in 4 partitions of a Kafka topic: ours live into the SQLite store,
 * beside Kafka Streams with 24 hours of grace, exactly-once-v2 and one thread. Ours counts from opening the log and the store to the last
 * commit, Streams from its first order to its last one counted: without its start, its rebalance and its last commit.
 *
 * The same once more with our view's changes to a topic, exactly once, beside the same runs of Streams, which logs its state to a topic of its
 * own but writes no results. What our topic sums to must be the table.
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import * as Kafka from "integration-suite/Kafka"
import { fingerprint, totalOf } from "./Cells.ts"
import { metric, ratio, type Result, Steps } from "./harness.ts"
import * as Java from "./kafka/Java.ts"
import * as OrdersTopic from "./kafka/OrdersTopic.ts"
import * as View from "./kafka/View.ts"
import { withFolder } from "./Projects.ts"

/** Kafka Streams from the beginning: seconds, and its cells. */
const streams = async (broker: string, state: string, application: string, completed: number) => {
  const program = join(import.meta.dirname, "kafka-streams/CompletedPerMinute.java")
  const args = [program, broker, "orders", application, state, String(completed)]
  const [seconds, ...cells] = (await Java.run(args)).trim().split("\n")
  return { seconds: Number(seconds), cells }
}

const thousands = (rate: number): string => `${Math.round(rate / 1000)} k records/s`

const measure = async (broker: string, folder: string, reduced: boolean): Promise<Result> => {
  const [rows, rounds] = reduced ? [500_000, 3] : [5_000_000, 7]
  const steps = new Steps(rounds + 1)
  const { completed } = await Effect.runPromise(OrdersTopic.prepare(rows).pipe(Effect.provide(View.log(broker))))
  steps.done(`topic of ${rows} orders`)
  const figures = { ours: [] as Array<number>, output: [] as Array<number>, streams: [] as Array<number> }
  const found = {
    ours: new Set<string>(),
    streams: new Set<string>(),
    table: new Set<string>(),
    changes: new Set<string>()
  }
  let rss = 0
  for (let i = 1; i <= rounds; i++) {
    const state = join(folder, `state-${i}`)
    const ours = await View.measure(broker, join(folder, `views-${i}.db`))
    const output = await View.measure(broker, join(folder, `output-${i}.db`), `changes-${i}`)
    const theirs = await streams(broker, state, `streams-${i}`, completed)
    rmSync(state, { recursive: true, force: true })
    figures.ours.push(rows / ours.seconds[0]!)
    figures.output.push(rows / output.seconds[0]!)
    figures.streams.push(rows / theirs.seconds)
    for (const { cells } of [ours, output]) found.ours.add(fingerprint(cells.map(totalOf)))
    found.table.add(output.sums!.table)
    found.changes.add(output.sums!.changes)
    found.streams.add(fingerprint(theirs.cells))
    rss = Math.max(rss, ours.rss, output.rss)
    steps.done(
      `round ${i} of ${rounds}: ours ${thousands(figures.ours.at(-1)!)}, with its changes to a topic ${thousands(figures.output.at(-1)!)}, Kafka Streams ${thousands(figures.streams.at(-1)!)}`
    )
  }
  const all = (fingerprints: ReadonlySet<string>) => [...fingerprints].join(", ")
  const [ours, theirs, table, changes] = [found.ours, found.streams, found.table, found.changes].map(all)
  return {
    bench: "live",
    rounds,
    metrics: {
      records_per_s: metric(figures.ours, "records/s"),
      output_records_per_s: metric(figures.output, "records/s"),
      kafka_streams_records_per_s: metric(figures.streams, "records/s")
    },
    ratios: {
      kafka_streams: ratio(figures.ours, figures.streams),
      output_kafka_streams: ratio(figures.output, figures.streams),
      output_live: ratio(figures.output, figures.ours)
    },
    rss_mb: rss,
    checked: found.ours.size === 1 && ours === theirs && found.table.size === 1 && table === changes,
    fingerprints: { ours: ours!, kafka_streams: theirs!, table: table!, changes: changes! }
  }
}

export const run = (reduced: boolean): Promise<Result> =>
  withFolder((folder) =>
    Effect.gen(function* () {
      yield* Java.libs
      const { bootstrap } = yield* Kafka.start("process")
      return yield* Effect.promise(() => measure(bootstrap, folder, reduced))
    }).pipe(Effect.scoped, Effect.runPromise)
  )
