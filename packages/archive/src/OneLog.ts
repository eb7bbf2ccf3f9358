/**
 * One log: a topic's records from the archive and then from the tail, per partition, in offset order, each exactly once.
 *
 * **Overlap** (an offset that both hold) is read from one of them. **A gap** (an offset that neither holds) refuses with the exact missing
 * range, before anything is given out. **Identity**: an archive of another creation of the topic is refused, and one that holds more than the
 * log has; what is read is of the creation that was described. **Compaction**: a topic that the log compacts is read from the archive as far as
 * that goes, and is a history only where the archive began with it (`historyOf`). What to read from where is decided by `HandOver.plan`, which is pure; here it is carried out.
 */
import type { ColumnBatch } from "@headrace/core/Batch"
import type { Codec } from "@headrace/core/Codec"
import { CodecError } from "@headrace/core/Codec"
import type { PartitionRange } from "@headrace/core/EventLog"
import { EventLog, EventLogError } from "@headrace/core/EventLog"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Archive, ArchiveError, type Holding } from "./Archive.ts"
import * as HandOver from "./HandOver.ts"

/** The archive belongs to another creation of the topic: offsets of the two can't be put in one order. */
export class TopicRecreated extends Schema.TaggedError<TopicRecreated>()("TopicRecreated", {
  topic: Schema.String,
  archived: Schema.String,
  current: Schema.String
}) {
  override get message() {
    return `topic "${this.topic}" was deleted and made anew (id ${this.current}); the archive holds the old one (id ${this.archived}): archive the new one to another location`
  }
}

/** The log ends before its own archive: it lost records that were archived, or is an older copy of itself. */
export class LogBehindArchive extends Schema.TaggedError<LogBehindArchive>()("LogBehindArchive", {
  topic: Schema.String,
  partition: Schema.Int,
  archived: Schema.Int,
  end: Schema.Int
}) {
  override get message() {
    return `topic "${this.topic}" partition ${this.partition} ends at offset ${this.end}, but its archive holds it up to ${this.archived}: the log lost [${this.end}, ${this.archived}), and what is appended now would take their offsets. Restore the log, or append nothing and archive to another location`
  }
}

/** The log compacts the topic, so that it is no history, and no archive holds it from its beginning. */
export class Compacted extends Schema.TaggedError<Compacted>()("Compacted", {
  topic: Schema.String,
  partition: Schema.Int,
  /** Where the partition's archive begins; undefined of one without. */
  archived: Schema.optionalKey(Schema.Int)
}) {
  override get message() {
    const lacks =
      this.archived === undefined
        ? `partition ${this.partition} isn't archived`
        : `the archive of partition ${this.partition} begins at offset ${this.archived}, not at 0`
    return (
      `topic "${this.topic}" is compacted (its cleanup.policy): it loses a record when a later one has its key, so it is the latest value of each key and no history to fold; and ${lacks}. ` +
      `Fold a topic that isn't compacted; or archive this one from its first offset on, before the broker compacts it (min.compaction.lag.ms)`
    )
  }
}

/** The one error of the log over archive and tail. */
export class OneLogError extends Schema.TaggedError<OneLogError>()("OneLogError", {
  reason: Schema.Union([
    HandOver.Gap,
    TopicRecreated,
    LogBehindArchive,
    Compacted,
    ArchiveError,
    EventLogError,
    CodecError
  ])
}) {
  override get message() {
    return this.reason.message
  }
}

/** A topic over both tiers; `begin` is the first offset that one of them holds. */
export interface Description {
  readonly topic: string
  readonly topicId: string
  /** Whether the log may drop records behind the first that it holds. */
  readonly compacted: boolean
  readonly partitions: ReadonlyArray<
    PartitionRange & { readonly archive: HandOver.Range | undefined; readonly tail: HandOver.Range }
  >
}

/** A stretch `[from, until)` of a partition, over both tiers. */
export interface ReadOptions {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly until: number
  /** The declared columns wanted. */
  readonly columns: ReadonlyArray<string>
  /** Which tier gives an offset that both hold: a replay prefers the archive, a live run the tail. */
  readonly prefer: "archive" | "tail"
  /** At most this many records in a batch from the tail. */
  readonly maxRecords?: number
  /** The topic as it was described a moment ago: it isn't described again unless retention has moved on since. */
  readonly described?: Description
}

/**
 * The topic as what views fold. Of a topic that the log compacts that is its archive, which must begin with it: what a fold reads then is
 * the same now and in a replay. Any other topic is all that archive and log hold.
 */
export const historyOf = (described: Description): Result.Result<Description, Compacted> => {
  const { compacted, partitions, topic } = described
  if (!compacted) return Result.succeed(described)
  const begun = partitions.some((p) => p.archive !== undefined)
  const held: Array<Description["partitions"][number]> = []
  for (const own of partitions) {
    const { archive, partition, tail } = own
    // A partition that came later is archived when the archiver gets to it.
    const waits = archive === undefined && tail.begin === 0 && (begun || tail.end === 0)
    if (archive === undefined && !waits) return Result.fail(new Compacted({ topic, partition }))
    if (archive !== undefined && archive.begin > 0)
      return Result.fail(new Compacted({ topic, partition, archived: archive.begin }))
    held.push({ ...own, begin: 0, end: archive?.end ?? 0 })
  }
  return Result.succeed({ ...described, partitions: held })
}

/** Archive and tail as one log. */
export interface Service {
  readonly describe: (topic: string) => Effect.Effect<Description, OneLogError>
  /** The records of `[from, until)` in batches that chain and together cover exactly that range. */
  readonly read: (codec: Codec, options: ReadOptions) => Stream.Stream<ColumnBatch, OneLogError>
}

/** The one log as a service; `layer` makes it. */
export class OneLog extends Context.Service<OneLog, Service>()("@headrace/archive/OneLog") {}

const wrap = (reason: OneLogError["reason"]) => new OneLogError({ reason })

/** Over the log, and over the archive where there is one. */
export const make: Effect.Effect<Service, never, EventLog> = Effect.gen(function* () {
  const log = yield* EventLog
  const archive = Option.getOrUndefined(yield* Effect.serviceOption(Archive))

  const describe = Effect.fn("OneLog.describe")(function* (topic: string) {
    const holding: Holding | undefined =
      archive === undefined ? undefined : yield* Effect.mapError(archive.holding(topic), wrap)
    // After the archive: what is archived meanwhile isn't taken for a log that has lost it.
    const tail = yield* Effect.mapError(log.describe(topic), wrap)
    if (holding !== undefined && holding.topicId !== tail.id)
      return yield* wrap(new TopicRecreated({ topic, archived: holding.topicId, current: tail.id }))
    for (const { end, partition } of tail.partitions) {
      const archived = holding?.ranges.get(partition)?.end ?? 0
      if (archived > end) return yield* wrap(new LogBehindArchive({ topic, partition, archived, end }))
    }
    const partitions = tail.partitions.map((p) => {
      const held = holding?.ranges.get(p.partition)
      return {
        partition: p.partition,
        begin: held === undefined ? p.begin : Math.min(held.begin, p.begin),
        end: p.end,
        archive: held,
        tail: { begin: p.begin, end: p.end }
      }
    })
    return { topic, topicId: tail.id, compacted: tail.compacted === true, partitions } satisfies Description
  })

  const readSegment = (
    codec: Codec,
    options: ReadOptions,
    topicId: string,
    segment: HandOver.Segment
  ): Stream.Stream<ColumnBatch, OneLogError> => {
    const { columns, maxRecords, partition, topic } = options
    const { from, until } = segment
    if (segment.tier === "archive")
      return Stream.mapError(archive!.read(codec, { topic, partition, from, until, columns }), wrap)
    const bounds = maxRecords === undefined ? { from, until } : { from, until, maxRecords }
    return log.read({ topic, topicId, partition, ...bounds }).pipe(
      Stream.mapEffect((batch) => codec.decode(batch, columns)),
      Stream.mapError(wrap)
    )
  }

  /** Whether a tail segment failed at its beginning since retention has moved on. */
  const isOvertaken = ({ from, tier }: HandOver.Segment, { reason }: OneLogError): boolean =>
    tier === "tail" &&
    reason._tag === "EventLogError" &&
    reason.reason._tag === "OffsetOutOfRange" &&
    reason.reason.requested === from

  const read = (codec: Codec, options: ReadOptions): Stream.Stream<ColumnBatch, OneLogError> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const { described, from, partition, topic, until } = options
        const { compacted, partitions, topicId } = described ?? (yield* describe(topic))
        const prefer = compacted ? "archive" : options.prefer
        const held = partitions[partition]
        const ranges = { archive: held?.archive, tail: held?.tail ?? { begin: 0, end: 0 } }
        const segments = yield* Effect.mapError(
          Effect.fromResult(HandOver.plan({ topic, partition, from, until, prefer, ...ranges })),
          wrap
        )
        return Stream.fromIterable(segments).pipe(
          Stream.flatMap((segment) => {
            const own = readSegment(codec, options, topicId, segment)
            if (described === undefined) return own
            const { described: _, ...again } = options
            // The archive may hold now what the log held then, or there is a gap.
            return Stream.catchIf(
              own,
              (error) => isOvertaken(segment, error),
              () => read(codec, { ...again, from: segment.from, until: segment.until })
            )
          })
        )
      })
    )

  return { describe, read }
})

/** The log over the `EventLog`, and over the `Archive` if that service is provided too. */
export const layer: Layer.Layer<OneLog, never, EventLog> = Layer.effect(OneLog, make)
