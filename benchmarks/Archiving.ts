/**
 * The archiver in a process of its own, so that its memory and its processor time are its own: `Archiving.ts JSON` archives the topic `orders`
 * once and prints what it measured as JSON.
 */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { Archiver, ArchiveTable } from "@headrace/archive"
import { TopicSchema } from "@headrace/core"
import type { EventLog } from "@headrace/core/EventLog"
import * as JsonCodec from "@headrace/core/JsonCodec"
import { SqliteLog } from "@headrace/embedded"
import { KafkaLog } from "@headrace/kafka"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { FolderObjectStore } from "@headrace/s3"
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Effect, Layer, Redacted } from "effect"
import { Order } from "example-orders/views"
import * as S3 from "integration-suite/S3"
import { peak } from "./Peak.ts"

export const bucket = "archive"

/** Where the topic is, and where its table goes. */
export type Job =
  | { readonly from: "kafka"; readonly broker: string; readonly endpoint: string; readonly prefix: string }
  | { readonly from: "embedded"; readonly log: string; readonly folder: string }

export interface Archived {
  /** From opening the log and the table to the last commit. */
  readonly seconds: number
  /** Of all the process's threads, user and system, in the same time. */
  readonly cpuSeconds: number
  /** At its peak, in MB. */
  readonly rss: number
  readonly records: number
  readonly files: number
  readonly commits: number
  /** Of the data files. */
  readonly bytes: number
}

/** Runs this module in a process of its own. */
export const measure = async (job: Job): Promise<Archived> => {
  const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, JSON.stringify(job)])
  return JSON.parse(stdout) as Archived
}

/** The table's store and the archive over it. */
export const archive = (job: Job) => {
  const { accessKeyId, region, secretAccessKey } = S3
  return job.from === "kafka"
    ? ArchiveTable.layer({ location: `s3://${bucket}/${job.prefix}` }).pipe(
        Layer.provideMerge(
          S3ObjectStore.layer({
            bucket,
            prefix: job.prefix,
            endpoint: job.endpoint,
            region,
            forcePathStyle: true,
            credentials: { accessKeyId, secretAccessKey: Redacted.make(secretAccessKey) }
          })
        )
      )
    : ArchiveTable.layer({ location: job.folder }).pipe(
        Layer.provideMerge(FolderObjectStore.layer({ path: job.folder }))
      )
}

const log = (job: Job): Layer.Layer<EventLog> =>
  Layer.orDie<EventLog, unknown, never>(
    job.from === "kafka"
      ? KafkaLog.layer().pipe(Layer.provide(Platformatic.layer({ brokers: [job.broker] })))
      : SqliteLog.layer({ path: job.log })
  )

export const codec = JsonCodec.make(TopicSchema.make(Order))

if (import.meta.main) {
  const job = JSON.parse(process.argv[2]!) as Job
  const before = process.cpuUsage()
  const started = performance.now()
  const report = await Effect.runPromise(
    Archiver.run({ topic: "orders", codec }).pipe(Effect.provide(Layer.merge(archive(job), log(job))))
  )
  const seconds = (performance.now() - started) / 1000
  const { system, user } = process.cpuUsage(before)
  const { bytes, commits, files, records } = report
  const archived = { seconds, cpuSeconds: (user + system) / 1e6, rss: peak(), records, files, commits, bytes }
  process.stdout.write(JSON.stringify(archived satisfies Archived))
}
