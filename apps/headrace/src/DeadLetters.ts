/**
 * A view's dead letters as the records that they were, and appending them to a topic for whoever mends them.
 *
 * What is appended is the record's own key, value, timestamp and headers, and behind those `headrace.topic`, `.partition`, `.offset`,
 * `.reason`, `.detail`, `.view`, `.version` and `.time` (of the appending, ISO), all texts. It goes to the partition of the record's own
 * number, modulo the topic's partitions, in the order of the offsets.
 *
 * **At least once.** Appending again, whether by choice or after a death in the middle, appends again. Topic, partition, offset, view and
 * version together are a dead letter's identity: a reader that has seen them skips the record. Within one run each is appended once.
 */
import { OneLog } from "@headrace/archive/OneLog"
import { BatchBuilder, type Header } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { type DeadRow, type VersionInfo, ViewStore } from "@headrace/core/ViewStore"
import { Clock, Effect, Stream } from "effect"
import * as RawCodec from "./RawCodec.ts"
import * as Values from "./Values.ts"

type Dead = DeadRow & { readonly partition: number }

/** Stored headers: an array of [key, base64 value or null]. */
const headersOf = (stored: string): ReadonlyArray<Header> =>
  (JSON.parse(stored) as ReadonlyArray<readonly [string, string | null]>).map(([key, value]) => ({
    key,
    value: value === null ? null : Buffer.from(value, "base64")
  }))

/** The record as the store has it; undefined of an expression that failed, which leaves no bytes there. */
export const kept = ({ headers, key, offset, partition, timestamp, value }: Dead): RawCodec.Raw | undefined =>
  timestamp === null ? undefined : { partition, offset, timestamp, key, value, headers: headersOf(headers) }

/** The record from the log or the archive; undefined when neither holds it. */
export const fetch = Effect.fnUntraced(function* (topic: string, partition: number, offset: number) {
  const log = yield* OneLog
  const columns = ["key", "value", "timestamp", "headers"]
  const read = log.read(RawCodec.codec, { topic, partition, from: offset, until: offset + 1, columns, prefer: "tail" })
  const batches = yield* Stream.runCollect(read).pipe(
    Effect.catchIf(
      (e) => e.reason._tag === "Gap",
      () => Effect.succeed([])
    )
  )
  const batch = batches.find((b) => b.count > 0)
  return batch === undefined ? undefined : RawCodec.recordOf(batch, partition, 0)
})

const utf8 = new TextEncoder()

const about = (info: VersionInfo, { detail, offset, partition, reason }: Dead, now: number): ReadonlyArray<Header> =>
  Object.entries({
    topic: info.topic,
    partition,
    offset,
    reason,
    detail,
    view: info.view,
    version: info.version,
    time: Values.instant(now)
  }).map(([name, value]) => ({ key: `headrace.${name}`, value: utf8.encode(String(value)) }))

/** Of one append: below what a Kafka topic takes at once by default, headers included. */
const appendBytes = 256 * 1024
const appendRecords = 512

/** What was appended, and what couldn't be since log and archive don't hold it any more. */
export interface Report {
  readonly to: string
  readonly created: boolean
  readonly records: number
  readonly missing: ReadonlyArray<{ readonly partition: number; readonly offset: number }>
}

/** Appends the dead letters that are wanted to a topic, which is made with as many partitions as the view's topic has when it isn't there. */
export const replay = Effect.fn("DeadLetters.replay")(function* (options: {
  readonly info: VersionInfo
  readonly to: string
  readonly wanted: (dead: Dead) => boolean
}) {
  const { info, to, wanted } = options
  const log = yield* EventLog
  const store = yield* ViewStore
  const missing: Array<Report["missing"][number]> = []
  let records = 0
  let created = false
  let builders: ReadonlyArray<BatchBuilder> = []

  const open = log.describe(to).pipe(
    Effect.catchReason("EventLogError", "TopicNotFound", () => {
      created = true
      return log.createTopic(to, { partitions: info.positions.length })
    }),
    Effect.map(({ partitions }) => {
      builders = partitions.map(() => new BatchBuilder(appendRecords))
    })
  )
  const flush = (partition: number) =>
    Effect.suspend(() => {
      const builder = builders[partition]!
      records += builder.count
      return builder.count === 0 ? Effect.void : log.append(to, partition, builder.take())
    })
  const add = (dead: Dead, now: number) =>
    Effect.gen(function* () {
      const raw = kept(dead) ?? (yield* fetch(info.topic, dead.partition, dead.offset))
      if (raw === undefined) {
        missing.push({ partition: dead.partition, offset: dead.offset })
        return
      }
      if (builders.length === 0) yield* open
      const partition = dead.partition % builders.length
      const builder = builders[partition]!
      builder.add(raw.key, raw.value, raw.timestamp, [...raw.headers, ...about(info, dead, now)])
      if (builder.count >= appendRecords || builder.size >= appendBytes) yield* flush(partition)
    })

  const now = yield* Clock.currentTimeMillis
  yield* store.dead(info.view, info.version).pipe(
    Stream.filter(wanted),
    Stream.runForEach((dead) => add(dead, now))
  )
  yield* Effect.forEach(builders.keys(), flush, { discard: true })
  return { to, created, records, missing } satisfies Report
})
