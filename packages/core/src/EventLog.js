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
import * as Schema from "effect/Schema"
export class TopicNotFound extends Schema.TaggedError()("TopicNotFound", { topic: Schema.String }) {
  get message() {
    return `topic "${this.topic}" does not exist in this log: create it, or correct the name`
  }
}
export class TopicExists extends Schema.TaggedError()("TopicExists", { topic: Schema.String }) {
  get message() {
    return `topic "${this.topic}" exists already`
  }
}
export class PartitionNotFound extends Schema.TaggedError()("PartitionNotFound", {
  topic: Schema.String,
  partition: Schema.Int,
  partitions: Schema.Int
}) {
  get message() {
    return `partition ${this.partition} of topic "${this.topic}" does not exist: it has ${this.partitions}`
  }
}
/** The offsets `[missingFrom, missingUntil)` were asked for and are not there (any more). */
export class OffsetOutOfRange extends Schema.TaggedError()("OffsetOutOfRange", {
  topic: Schema.String,
  partition: Schema.Int,
  requested: Schema.Int,
  begin: Schema.Int,
  end: Schema.Int
}) {
  /** The exact missing range `[from, until)`. */
  get missing() {
    return this.requested < this.begin ? [this.requested, this.begin] : [this.end, this.requested]
  }
  get message() {
    const [from, until] = this.missing
    return `offsets [${from}, ${until}) of topic "${this.topic}" partition ${this.partition} are not in the log, which holds [${this.begin}, ${this.end})`
  }
}
export class InvalidInput extends Schema.TaggedError()("InvalidInput", { detail: Schema.String }) {
  get message() {
    return this.detail
  }
}
/** A log written by a newer version of the driver. */
export class NewerFormat extends Schema.TaggedError()("NewerFormat", {
  path: Schema.String,
  found: Schema.Int,
  supported: Schema.Int
}) {
  get message() {
    return `"${this.path}" has format ${this.found}, this version reads up to ${this.supported}: upgrade Headrace`
  }
}
/** The storage below failed: disk full, no rights, a corrupt file. */
export class StorageFailed extends Schema.TaggedError()("StorageFailed", {
  path: Schema.String,
  kind: Schema.Literals(["no-space", "no-rights", "corrupt", "busy", "other"]),
  detail: Schema.String,
  cause: Schema.Defect()
}) {
  get message() {
    return `"${this.path}": ${this.detail}`
  }
}
/** The one error of a log. */
export class EventLogError extends Schema.TaggedError()("EventLogError", {
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
  get message() {
    return this.reason.message
  }
}
export class EventLog extends Context.Service()("@headrace/core/EventLog") {}
