/**
 * How fresh a view is: 20,000 records a second into 4 partitions of a Kafka topic, a view that follows them live into the SQLite store, and a
 * reader that queries it as any SQLite client does. A record's latency is the time from the broker's acknowledgement of its batch until
 * a query of the reader sees it. Producer, engine and reader are processes of their own, on one machine with the broker.
 */
import { fork } from "node:child_process"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"
import { KafkaDriver } from "@headrace/kafka/Driver"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Effect } from "effect"
import * as Kafka from "integration-suite/Kafka"
import { median, metric, type Result, Steps } from "./harness.ts"
import * as Fresh from "./kafka/Fresh.ts"
import { topic } from "./kafka/Records.ts"
import { peak } from "./Peak.ts"
import { withFolder } from "./Projects.ts"

/** How often the reader asks: what it adds to the latency, at most. */
const pollMillis = 4

interface Child {
  readonly messages: Array<unknown>
  readonly next: () => Promise<unknown>
  /** The peak of its resident memory, in MB. */
  readonly rss: () => number
  readonly close: () => Promise<void>
}

/** Starts a role of `Fresh.ts`. */
const start = (role: string, ...args: ReadonlyArray<string>): Child => {
  const child = fork(join(import.meta.dirname, "kafka/Fresh.ts"), [role, ...args], { execArgv: [] })
  const messages: Array<unknown> = []
  child.on("message", (message) => messages.push(message))
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
  return {
    messages,
    next: async () => {
      while (messages.length === 0) {
        if (child.exitCode !== null) throw new Error(`the ${role} ended with exit code ${child.exitCode}`)
        await sleep(1)
      }
      return messages.shift()
    },
    rss: () => peak(child.pid),
    close: async () => {
      if (child.connected) child.disconnect()
      await ended
    }
  }
}

const quantile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!

const measure = async (broker: string, folder: string, reduced: boolean): Promise<Result> => {
  const [rounds, seconds, warmUp] = reduced ? [3, 6, 5] : [7, 20, 10]
  const path = join(folder, "views.db")
  const batches = ((warmUp + rounds * seconds) * 1000) / Fresh.batchMillis
  const engine = start("engine", broker, path)
  const steps = new Steps(rounds)
  let producer: Child | undefined
  try {
    await engine.next()
    const db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 })
    const query = db.prepare(`SELECT lane, max(newest) AS newest FROM "${Fresh.view.name}" GROUP BY lane`)
    producer = start("producer", broker, String(batches))

    /** By lane and batch: when the reader saw it first, on the machine's monotonic clock. */
    const seen = Array.from({ length: topic.partitions }, () => new Float64Array(batches))
    const newest = Array.from({ length: topic.partitions }, () => -1)
    const acknowledged = new Float64Array(batches)
    const read = () => {
      const rows = query.all() as unknown as ReadonlyArray<{ readonly lane: number; readonly newest: number }>
      const now = Fresh.now()
      for (const row of rows) {
        for (let b = newest[row.lane]! + 1; b <= row.newest; b++) seen[row.lane]![b] = now
        newest[row.lane] = Math.max(newest[row.lane]!, row.newest)
      }
    }
    const perRound = (seconds * 1000) / Fresh.batchMillis
    const first = (warmUp * 1000) / Fresh.batchMillis
    const results: Array<{ p50: number; p99: number; max: number; rate: number }> = []
    for (let round = 0; round < rounds;) {
      read()
      for (const message of producer.messages.splice(0)) {
        const { batch, at } = message as Fresh.Acknowledged
        acknowledged[batch] = at
      }
      const [from, until] = [first + round * perRound, first + (round + 1) * perRound]
      if (newest.every((b) => b >= until - 1) && acknowledged[until - 1]! > 0) {
        const latencies = seen
          .flatMap((lane) => Array.from(lane.subarray(from, until), (at, i) => at - acknowledged[from + i]!))
          .toSorted((a, b) => a - b)
        const took = (acknowledged[until - 1]! - acknowledged[from]!) / 1000
        const rate = ((perRound - 1) * Fresh.batchRecords) / took
        results.push({ p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), max: latencies.at(-1)!, rate })
        const { p50, p99 } = results.at(-1)!
        round++
        steps.done(`round ${round}: p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms at ${rate.toFixed(0)} records/s`)
      }
      await sleep(pollMillis)
    }
    const total = db.prepare(`SELECT sum(count) AS n FROM "${Fresh.view.name}"`).get() as { readonly n: number }
    db.close()
    const of = (name: "p50" | "p99" | "max" | "rate", unit: string) =>
      metric(
        results.map((r) => r[name]),
        unit
      )
    return {
      bench: "latency",
      rounds,
      metrics: {
        p50_ms: of("p50", "ms"),
        p99_ms: of("p99", "ms"),
        max_ms: of("max", "ms"),
        records_per_s: of("rate", "records/s")
      },
      ratios: {},
      rss_mb: engine.rss(),
      checked: total.n === batches * Fresh.batchRecords && median(results.map((r) => r.rate)) > 0.98 * Fresh.rate,
      fingerprints: {}
    }
  } finally {
    await producer?.close()
    await engine.close()
  }
}

export const run = (reduced: boolean): Promise<Result> =>
  withFolder((folder) =>
    Effect.gen(function* () {
      const { bootstrap } = yield* Kafka.start("process")
      const driver = Platformatic.layer({ brokers: [bootstrap] })
      yield* KafkaDriver.use(({ admin }) => admin.createTopic(Fresh.topic, topic)).pipe(Effect.provide(driver))
      return yield* Effect.promise(() => measure(bootstrap, folder, reduced))
    }).pipe(Effect.scoped, Effect.runPromise)
  )
