/**
 * `@headrace/kafka` beside the client libraries' own consumers and producers, and Kafka's Java clients for scale: reading a topic, writing
 * one, and transactions of 5,000 records, of 150 bytes in 4 partitions, on one broker of this machine. All write idempotently to all in-sync
 * replicas and read committed records. Both sides of a pair check every record that they read, and what each wrote is read back and
 * compared byte by byte. A ratio is the upper quartile of the rounds': what else runs on the machine only takes away.
 */
import { KafkaDriver } from "@headrace/kafka/Driver"
import { KafkaSource } from "@headrace/kafka"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Effect, ManagedRuntime, Stream } from "effect"
import * as Kafka from "integration-suite/Kafka"
import { metric, type Result, Steps, upperQuartile } from "./harness.ts"
import { type Client, type Driver, drivers, type Job, jobs, type Whose } from "./kafka/Client.ts"
import * as Java from "./kafka/Java.ts"
import * as Ours from "./kafka/Ours.ts"
import { isEqual, partitions, pool, topic as topicOptions } from "./kafka/Records.ts"
import * as Side from "./kafka/Side.ts"

/** About 430 records of 150 bytes: a batch as busy producers make them. */
const sourceBatchBytes = 64 << 10

const records = pool()

/** Reads a topic: how many records it holds, and whether each is the one of the pool that belongs at its place. */
const inspect = (topic: string) =>
  Effect.gen(function* () {
    const at = Array.from({ length: partitions }, () => 0)
    let equal = true
    yield* KafkaSource.stream({ topic, until: "now" }).pipe(
      Stream.runForEach((batch) =>
        Effect.sync(() => {
          equal &&= isEqual(batch, batch.partition, at[batch.partition]!, records)
          at[batch.partition]! += batch.count
        })
      )
    )
    return { count: at.reduce((a, b) => a + b, 0), equal }
  })

/** Whether a topic holds exactly so many records of the pool, each at its place. What was committed just now may not be readable yet. */
const isWhole = (topic: string, count: number) =>
  Effect.gen(function* () {
    let found = yield* inspect(topic)
    for (let again = 0; found.count < count && again < 20; again++) {
      yield* Effect.sleep("250 millis")
      found = yield* inspect(topic)
    }
    return found.equal && found.count === count
  })

interface Sides {
  readonly driver: Driver
  readonly ours: Client
  readonly raw: Client
}

const thousands = (rate: number): string => `${Math.round(rate / 1000)}`

const measure = async (broker: string, all: ReadonlyArray<Sides>, reduced: boolean): Promise<Result> => {
  const [size, rounds] = reduced ? [200_000, 3] : [1_000_000, 7]
  const runtime = ManagedRuntime.make(Platformatic.layer({ brokers: [broker] }))
  const rates: Record<string, Array<number>> = {}
  let checked = true
  let topics = 0
  const withTopic = async <A>(work: (topic: string) => Promise<A>): Promise<A> => {
    const topic = `written-${topics++}`
    await runtime.runPromise(KafkaDriver.use(({ admin }) => admin.createTopic(topic, topicOptions)))
    const result = await work(topic)
    await runtime.runPromise(KafkaDriver.use(({ admin }) => admin.deleteTopic(topic)))
    return result
  }
  const side = async (name: string, client: Client, job: Job) => {
    if (job === "source") {
      const { seconds, sum } = await client.run(job, "source", size)
      return { rate: size / seconds, sum }
    }
    return withTopic(async (topic) => {
      const { seconds } = await client.run(job, topic, size)
      if (!(await runtime.runPromise(isWhole(topic, size)))) {
        console.error(`${name}: what was written isn't what was to be written`)
        checked = false
      }
      return { rate: size / seconds, sum: "" }
    })
  }
  const sums = new Set<string>()
  /** One round; the first isn't counted. */
  const round = async (turn: number) => {
    const found: Record<string, number> = {}
    for (const job of jobs) {
      for (const { driver, ours, raw } of all) {
        const pair = [
          ["", ours],
          ["raw_", raw]
        ] as const
        for (const [name, client] of turn % 2 === 0 ? pair : pair.toReversed()) {
          const title = `${name}${job}_${driver}`
          const { rate, sum } = await side(title, client, job)
          if (job === "source") sums.add(sum)
          found[title] = rate
        }
      }
      if (job === "source") found["java_source"] = await Java.consume(broker, "source", size)
      if (job === "sink") found["java_sink"] = await withTopic((topic) => Java.produce(broker, topic, size))
    }
    return found
  }

  try {
    const steps = new Steps(rounds + 1)
    await runtime.runPromise(
      Effect.gen(function* () {
        const { admin } = yield* KafkaDriver
        yield* admin.createTopic("source", topicOptions)
        yield* Ours.write("source", size, records, sourceBatchBytes)
      })
    )
    for (let turn = 0; turn <= rounds; turn++) {
      const found = await round(turn)
      if (turn > 0) for (const [name, rate] of Object.entries(found)) (rates[name] ??= []).push(rate)
      const shown = Object.entries(found).map(([name, rate]) => `${name} ${thousands(rate)}`)
      steps.done(`${turn === 0 ? "not counted" : `round ${turn}`}, k records/s: ${shown.join(", ")}`)
    }
  } finally {
    await runtime.dispose()
  }

  const ratios: Record<string, number> = {}
  for (const job of jobs)
    for (const driver of drivers) {
      const ours = rates[`${job}_${driver}`]!
      const raw = rates[`raw_${job}_${driver}`]!
      const java = rates[`java_${job}`]
      // The default driver has the short name.
      const suffix = driver === "platformatic" ? "" : `_${driver}`
      ratios[`${job}_raw${suffix}`] = upperQuartile(ours, raw)
      if (java !== undefined) {
        ratios[`${job}_java${suffix}`] = upperQuartile(ours, java)
        ratios[`raw_${job}_java${suffix}`] = upperQuartile(raw, java)
      }
    }
  return {
    bench: "kafka",
    rounds,
    metrics: Object.fromEntries(
      Object.entries(rates).map(([name, values]) => [`${name}_records_per_s`, metric(values, "records/s")])
    ),
    ratios,
    rss_mb: process.resourceUsage().maxRSS / 1024,
    checked: checked && sums.size === 1,
    fingerprints: { source: [...sums].join(", ") }
  }
}

const main = (reduced: boolean): Promise<Result> =>
  Effect.gen(function* () {
    yield* Java.libs
    const { bootstrap } = yield* Kafka.start("process")
    const all: Array<Sides> = []
    const start = (whose: Whose, driver: Driver) =>
      Effect.acquireRelease(
        Effect.sync(() => Side.start(whose, driver, bootstrap)),
        ({ close }) => Effect.promise(close)
      )
    for (const driver of drivers)
      all.push({ driver, ours: yield* start("ours", driver), raw: yield* start("raw", driver) })
    return yield* Effect.promise(() => measure(bootstrap, all, reduced))
  }).pipe(Effect.scoped, Effect.runPromise)

export const run = async (reduced: boolean): Promise<Result> => {
  // Ended by exiting, this process takes the broker with it.
  const stop = () => process.exit(130)
  process.once("SIGINT", stop).once("SIGTERM", stop)
  try {
    return await main(reduced)
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop)
  }
}
