/**
 * Archiving golden orders, JSON in 4 partitions: from a Kafka topic into an Iceberg table on a real S3 server of this machine, and from the
 * embedded log into one in a folder. MB are those of the records' keys and values; `mb_per_s` is by processor second of the archiving process,
 * all its threads counted: what one core archives. Every round's table is read back: how many records, offsets without a gap, the sum of a
 * column as it was decoded, and of the same column decoded anew from the bytes.
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { Archive } from "@headrace/archive"
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3"
import { TopicSchema } from "@headrace/core"
import type { Codec } from "@headrace/core/Codec"
import * as JsonCodec from "@headrace/core/JsonCodec"
import { Effect, Schema, Stream } from "effect"
import * as Orders from "example-orders/Orders"
import * as Kafka from "integration-suite/Kafka"
import * as S3 from "integration-suite/S3"
import * as Archiving from "./Archiving.ts"
import { metric, type Result, Steps } from "./harness.ts"
import * as OrdersTopic from "./kafka/OrdersTopic.ts"
import * as View from "./kafka/View.ts"
import { partitions, prepareLog, withFolder } from "./Projects.ts"

/** Another schema than the archive's, so that its files' bytes are decoded. */
const fromBytes = JsonCodec.make(
  TopicSchema.make(class Total extends Schema.Class<Total>("Total")({ total: TopicSchema.decimal(2) }) {})
)

/** Records and cents by partition, in one text. */
const shown = (partition: number, records: number, cents: number) => `${partition}: ${records} ${cents}`

const expected = (rows: number): string => {
  const found = Array.from({ length: partitions }, () => ({ records: 0, cents: 0 }))
  Orders.forEachOrder({ rows }, (order) => {
    const own = found[order.index % partitions]!
    own.records++
    own.cents += order.cents
  })
  return found.map(({ cents, records }, partition) => shown(partition, records, cents)).join(", ")
}

/** What the table holds, as `expected` tells it, or where its offsets aren't contiguous. */
const readBack = (codec: Codec) =>
  Effect.gen(function* () {
    const archive = yield* Archive.Archive
    const held = (yield* archive.holding("orders"))!
    const texts: Array<string> = []
    for (const [partition, { begin, end }] of [...held.ranges].toSorted(([a], [b]) => a - b)) {
      let [next, cents] = [begin, 0]
      const whole = { topic: "orders", partition, from: begin, until: end, columns: ["total"] }
      yield* archive.read(codec, whole).pipe(
        Stream.runForEach((batch) =>
          Effect.sync(() => {
            const total = batch.columns["total"] as ArrayLike<number>
            for (let i = 0; i < batch.count; i++) {
              if (batch.offsets[i] !== next) throw new Error(`offset ${batch.offsets[i]} follows ${next - 1}`)
              next++
              cents += total[i]!
            }
          })
        )
      )
      texts.push(shown(partition, next - begin, cents))
    }
    return texts.join(", ")
  })

const makeBucket = async (endpoint: string) => {
  const { accessKeyId, region, secretAccessKey } = S3
  const sdk = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } })
  await sdk.send(new CreateBucketCommand({ Bucket: Archiving.bucket }))
  sdk.destroy()
}

const measure = async (broker: string, endpoint: string, folder: string, reduced: boolean): Promise<Result> => {
  const [rows, rounds] = reduced ? [500_000, 2] : [5_000_000, 5]
  const steps = new Steps(rounds + 1)
  const { bytes } = await Effect.runPromise(OrdersTopic.prepare(rows).pipe(Effect.provide(View.log(broker))))
  await prepareLog(join(folder, "embedded"), rows)
  await makeBucket(endpoint)
  const megabytes = bytes / 1e6
  steps.done(`two topics of ${rows} orders, ${megabytes.toFixed(0)} MB each`)
  const figures = { kafka: [] as Array<number>, wall: [] as Array<number>, embedded: [] as Array<number> }
  const found = new Set<string>()
  let rss = 0
  for (let i = 1; i <= rounds; i++) {
    const log = join(folder, "embedded", "log.db")
    const place = join(folder, `table-${i}`)
    const kafka = { from: "kafka", broker, endpoint, prefix: `round-${i}` } as const
    const embedded = { from: "embedded", log, folder: place } as const
    for (const job of [kafka, embedded]) {
      const archived = await Archiving.measure(job)
      figures[job.from].push(megabytes / archived.cpuSeconds)
      if (job.from === "kafka") figures.wall.push(megabytes / archived.seconds)
      rss = Math.max(rss, archived.rss)
      for (const codec of [Archiving.codec, fromBytes])
        found.add(await Effect.runPromise(readBack(codec).pipe(Effect.provide(Archiving.archive(job)))))
      console.error(
        `${job.from}: ${figures[job.from].at(-1)!.toFixed(1)} MB a core second, ${(megabytes / archived.seconds).toFixed(1)} MB/s, ${archived.rss.toFixed(0)} MB resident, ${archived.files} files of ${(archived.bytes / 1e6).toFixed(1)} MB`
      )
    }
    rmSync(place, { recursive: true, force: true })
    steps.done(`round ${i} of ${rounds}`)
  }
  return {
    bench: "archive",
    rounds,
    metrics: {
      mb_per_s: metric(figures.kafka, "MB/s a core"),
      wall_mb_per_s: metric(figures.wall, "MB/s"),
      embedded_mb_per_s: metric(figures.embedded, "MB/s a core")
    },
    ratios: {},
    rss_mb: rss,
    checked: found.size === 1 && found.has(expected(rows)),
    fingerprints: { tables: [...found].join(" | "), orders: expected(rows) }
  }
}

export const run = (reduced: boolean): Promise<Result> =>
  withFolder((folder) =>
    Effect.gen(function* () {
      const { bootstrap } = yield* Kafka.start("process")
      const { endpoint } = yield* S3.start("versitygw", "process")
      return yield* Effect.promise(() => measure(bootstrap, endpoint, folder, reduced))
    }).pipe(Effect.scoped, Effect.runPromise)
  )
