/**
 * How fresh a version is, by partition, in milliseconds: `age`, since the newest event time that it has folded, and `stale`, since the
 * timestamp of the first record that it hasn't folded; 0 when it has folded all. A view is complete up to what is stale; its events may be
 * old because none come.
 *
 * Ages are those of this machine's clock against the records' own times. A record from the future has age 0.
 */
import { type Description, OneLog, type OneLogError } from "@headrace/archive/OneLog"
import type { Position, VersionInfo } from "@headrace/core/ViewStore"
import { Clock, Effect, Option, Stream } from "effect"
import * as RawCodec from "./RawCodec.ts"
import * as Standing from "./Standing.ts"

interface Freshness {
  /** Null before the first event time. */
  readonly ageMillis: number | null
  /** Null when it can't be known: the topic is gone, or log and archive hold the record no more. */
  readonly staleMillis: number | null
}

type Partition = Standing.Standing["partitions"][number] & Freshness

/** Where a version stands, and how fresh it is: the whole is as stale as its stalest partition. */
export type Fresh = Omit<Standing.Standing, "partitions"> & {
  readonly partitions: ReadonlyArray<Partition>
  readonly staleMillis: number | null
}

/** The timestamp of the first record at or behind an offset; undefined when there is none any more. */
const timestampAt = (topic: string, partition: number, from: number, until: number) =>
  Effect.gen(function* () {
    const log = yield* OneLog
    const options = { topic, partition, from, until, columns: ["timestamp"], prefer: "tail", maxRecords: 1 } as const
    const first = yield* log.read(RawCodec.codec, options).pipe(
      Stream.filter((batch) => batch.count > 0),
      Stream.map((batch) => RawCodec.recordOf(batch, partition, 0).timestamp),
      Stream.runHead,
      Effect.catchIf(
        (e) => e.reason._tag === "Gap",
        () => Effect.succeed(Option.none<number>())
      )
    )
    return Option.getOrUndefined(first)
  })

const whole = (partitions: ReadonlyArray<Freshness>): number | null =>
  partitions.reduce<number | null>(
    (worst, p) => (worst === null || p.staleMillis === null ? null : Math.max(worst, p.staleMillis)),
    0
  )

const withFreshness = (
  info: VersionInfo,
  topic: Description | undefined,
  stale: ReadonlyArray<number | null>,
  now: number
): Fresh => {
  const standing = Standing.toJson(info, topic)
  const ageOf = ({ maxEventTime }: Position) => (Number.isFinite(maxEventTime) ? Math.max(0, now - maxEventTime) : null)
  const partitions = standing.partitions.map((p, i) => ({
    ...p,
    ageMillis: ageOf(info.positions[i]!),
    staleMillis: stale[i] ?? null
  }))
  return { ...standing, partitions, staleMillis: whole(partitions) }
}

/** Without a log to look at. */
export const unknown = (info: VersionInfo): Effect.Effect<Fresh> =>
  Effect.map(Clock.currentTimeMillis, (now) => withFreshness(info, undefined, [], now))

/** As of now. Reads one record of each partition that lags. */
export const of = Effect.fnUntraced(function* (
  info: VersionInfo,
  topic: Description | undefined
): Effect.fn.Return<Fresh, OneLogError, OneLog> {
  const now = yield* Clock.currentTimeMillis
  const stale = yield* Effect.forEach(info.positions, ({ next, partition }) =>
    Effect.gen(function* () {
      // Offsets of a topic that was made anew mean nothing here.
      const end = topic?.topicId === info.topicId ? topic.partitions[partition]?.end : undefined
      if (end === undefined) return null
      if (next >= end) return 0
      const timestamp = yield* timestampAt(info.topic, partition, next, end)
      return timestamp === undefined ? null : Math.max(0, now - timestamp)
    })
  )
  return withFreshness(info, topic, stale, now)
})

/** A time span for people, in its two largest units. */
export const span = (millis: number | null): string => {
  if (millis === null) return "?"
  const seconds = Math.floor(millis / 1000)
  if (seconds < 1) return millis === 0 ? "0 s" : "< 1 s"
  const units = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"]
  ] as const
  const first = units.findIndex(([size]) => seconds >= size)
  const [size, name] = units[first]!
  const next = units[first + 1]
  const rest = next === undefined ? 0 : Math.floor((seconds % size) / next[0])
  return `${Math.floor(seconds / size)} ${name}${rest === 0 ? "" : ` ${rest} ${next![1]}`}`
}
