/**
 * The port of a retained log: topics of partitions of records, in offset order.
 *
 * **Order.** `read` gives one partition's records in ascending offset order, in batches that chain: the first has `base = from`, each
 * further one `base` = the `next` before it. **Visibility.** A record is readable when `append` has returned. **Atomicity.** An `append`
 * is there whole or not at all, whatever dies. **Retention.** `begin` only grows; an offset below it is gone, and reading from it fails with
 * `OffsetOutOfRange` and the exact missing range: it is never skipped. **Identity.** A topic that is deleted and made anew has another `id`.
 * **Interruption** of a `read` releases what it holds; the log is unchanged.
 *
 * The contract suite is `@headrace/core/contract/EventLogContract`; every driver runs it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { ProducerBatch, RecordBatch } from "./Batch.ts"

/** One partition: offsets in `[begin, end)` may be read. */
export interface PartitionRange {
  readonly partition: number
  readonly begin: number
  readonly end: number
}

/** A topic as the log knows it. */
export interface TopicDescription {
  readonly name: string
  /** Unique to this creation of the topic. */
  readonly id: string
  /** By partition, ascending from 0. */
  readonly partitions: ReadonlyArray<PartitionRange>
  /**
   * Whether the log may drop a record once a later one has its key: such a topic is no history. Said of a topic that is described by itself;
   * a log without compaction leaves it out.
   */
  readonly compacted?: boolean
}

/** What to read. */
export interface ReadOptions {
  readonly topic: string
  /** The creation of the topic that is meant: another one of the name isn't read, but `TopicNotFound`. By default whichever there is. */
  readonly topicId?: string
  readonly partition: number
  /** The first offset wanted. May equal `end`; more than `end` is out of range. */
  readonly from: number
  /** Stop before this offset. By default the partition's end at the time of the call. */
  readonly until?: number
  /** At most this many records in a batch. Default 8,192. */
  readonly maxRecords?: number
}

export class TopicNotFound extends Schema.TaggedError<TopicNotFound>()("TopicNotFound", { topic: Schema.String }) {
  override get message() {
    return `topic "${this.topic}" does not exist in this log: create it, or correct the name`
  }
}
export class TopicExists extends Schema.TaggedError<TopicExists>()("TopicExists", { topic: Schema.String }) {
  override get message() {
    return `topic "${this.topic}" exists already`
  }
}
export class PartitionNotFound extends Schema.TaggedError<PartitionNotFound>()("PartitionNotFound", {
  topic: Schema.String,
  partition: Schema.Int,
  partitions: Schema.Int
}) {
  override get message() {
    return `partition ${this.partition} of topic "${this.topic}" does not exist: it has ${this.partitions}`
  }
}
/** The offsets `[missingFrom, missingUntil)` were asked for and are not there (any more). */
export class OffsetOutOfRange extends Schema.TaggedError<OffsetOutOfRange>()("OffsetOutOfRange", {
  topic: Schema.String,
  partition: Schema.Int,
  requested: Schema.Int,
  begin: Schema.Int,
  end: Schema.Int
}) {
  /** The exact missing range `[from, until)`. */
  get missing(): readonly [from: number, until: number] {
    return this.requested < this.begin ? [this.requested, this.begin] : [this.end, this.requested]
  }
  override get message() {
    const [from, until] = this.missing
    return `offsets [${from}, ${until}) of topic "${this.topic}" partition ${this.partition} are not in the log, which holds [${this.begin}, ${this.end})`
  }
}
export class InvalidInput extends Schema.TaggedError<InvalidInput>()("InvalidInput", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}
/** A log written by a newer version of the driver. */
export class NewerFormat extends Schema.TaggedError<NewerFormat>()("NewerFormat", {
  path: Schema.String,
  found: Schema.Int,
  supported: Schema.Int
}) {
  override get message() {
    return `"${this.path}" has format ${this.found}, this version reads up to ${this.supported}: upgrade Headrace`
  }
}
/** The storage below failed: disk full, no rights, a corrupt file. */
export class StorageFailed extends Schema.TaggedError<StorageFailed>()("StorageFailed", {
  path: Schema.String,
  kind: Schema.Literals(["no-space", "no-rights", "corrupt", "busy", "other"]),
  detail: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `"${this.path}": ${this.detail}`
  }
}

/** The one error of a log. */
export class EventLogError extends Schema.TaggedError<EventLogError>()("EventLogError", {
  reason: Schema.Union([
    TopicNotFound,
    TopicExists,
    PartitionNotFound,
    OffsetOutOfRange,
    InvalidInput,
    NewerFormat,
    StorageFailed
  ])
}) {
  override get message() {
    return this.reason.message
  }
}

export interface Service {
  /** All topics, by name. */
  readonly topics: Effect.Effect<ReadonlyArray<TopicDescription>, EventLogError>
  /** One topic, with the ranges that it holds now. */
  readonly describe: (topic: string) => Effect.Effect<TopicDescription, EventLogError>
  /** Creates a topic. Names are 1 to 249 of `[A-Za-z0-9._-]`. */
  readonly createTopic: (
    topic: string,
    options: { readonly partitions: number }
  ) => Effect.Effect<TopicDescription, EventLogError>
  readonly deleteTopic: (topic: string) => Effect.Effect<void, EventLogError>
  /** Appends the records in order; they get the offsets `[base, next)`. */
  readonly append: (
    topic: string,
    partition: number,
    records: ProducerBatch
  ) => Effect.Effect<{ readonly base: number; readonly next: number }, EventLogError>
  /** Records of `[from, until)`; ends there. A batch is a view that is valid until the next pull. */
  readonly read: (options: ReadOptions) => Stream.Stream<RecordBatch, EventLogError>
  /** Removes the records below `offset`, as retention does. */
  readonly deleteBefore: (topic: string, partition: number, offset: number) => Effect.Effect<void, EventLogError>
}

export class EventLog extends Context.Service<EventLog, Service>()("@headrace/core/EventLog") {}
