/**
 * The port of a change stream's target: what a view's table changes by, from one offset vector of its source to the next, and how far it has
 * come, in one transaction (rule 3).
 *
 * **Atomicity.** A `publish` is there whole or not at all: its changes together with its progress. Readers see committed ones only.
 * **Meaning.** A stream *means the table it sums to at a vector*: the latest value of each key, of the publishes up to the one that wrote it.
 * **Fencing.** `open` takes the stream over: whatever its predecessor left open is undone, the predecessor's next `publish` fails with
 * `SinkFenced`, and `progress` is that of the last publish that was ever committed.
 * **Failure.** A publish that failed wrote nothing, unless the reason is `SinkOutcomeUnknown`; one that was interrupted may have been committed
 * just then. To open the stream anew tells.
 *
 * The contract suite is `@headrace/core/contract/ChangeSinkContract`; every driver runs it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { NewerFormat } from "./EventLog.ts"

/** The row of a key is now this one, or is gone. */
export interface Change {
  /** Canonical text of the row's keys and window. */
  readonly key: string
  /** The row, or null when it is gone: a tombstone. */
  readonly value: string | null
}

/** A stream, by what it tells of and where it is written. */
export interface ChangeStream {
  readonly view: string
  readonly version: number
  readonly topic: string
}

/** The next offset of a source partition. */
export interface NextOffset {
  readonly partition: number
  readonly next: number
}

/** What the table that a stream sums to is made of. */
export interface Progress {
  /** 64 hexadecimal digits that stand for the declaration of the version. */
  readonly declaration: string
  /** The id of the source topic: offsets of another creation of it mean nothing. */
  readonly topicId: string
  /** The offset vector, by partition. */
  readonly next: ReadonlyArray<NextOffset>
}

/** Another process took the stream over; this one may publish nothing more. */
export class SinkFenced extends Schema.TaggedError<SinkFenced>()("SinkFenced", {
  topic: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `another process writes the changes to "${this.topic}" now (${this.detail}): this one has stopped, its store is behind at most; start it again only if it should take over`
  }
}
/** Whether the last publish took effect isn't known here. */
export class SinkOutcomeUnknown extends Schema.TaggedError<SinkOutcomeUnknown>()("SinkOutcomeUnknown", {
  topic: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `it is unknown whether the last changes to "${this.topic}" were committed (${this.detail}): start again, which reads it back and goes on from there`
  }
}
/** What says how far the stream has come can't be read. */
export class ProgressUnreadable extends Schema.TaggedError<ProgressUnreadable>()("ProgressUnreadable", {
  topic: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `how far the changes to "${this.topic}" have come can't be told: ${this.detail}`
  }
}
/** The target refused or can't be reached; nothing was written. */
export class SinkFailed extends Schema.TaggedError<SinkFailed>()("SinkFailed", {
  topic: Schema.String,
  detail: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `the changes to "${this.topic}" could not be written: ${this.detail}`
  }
}

/** The one error of a change sink. */
export class ChangeSinkError extends Schema.TaggedError<ChangeSinkError>()("ChangeSinkError", {
  reason: Schema.Union([SinkFenced, SinkOutcomeUnknown, ProgressUnreadable, SinkFailed, NewerFormat])
}) {
  override get message() {
    return this.reason.message
  }
}

/** A stream that this process writes, until the scope closes or another one opens it. */
export interface Opened {
  /** As of `open`; undefined when nothing was ever published. */
  readonly progress: Progress | undefined
  /** Writes the changes, which may be none, and the progress. One at a time. */
  readonly publish: <E, R>(
    changes: Stream.Stream<Change, E, R>,
    progress: Progress
  ) => Effect.Effect<void, ChangeSinkError | E, R>
}

export interface Service {
  /** Takes the stream over and reads how far it has come. What it writes to is made when it isn't there. */
  readonly open: (stream: ChangeStream) => Effect.Effect<Opened, ChangeSinkError, Scope.Scope>
  /**
   * How far the stream has come as readers see it now; undefined when nothing was published. Looking takes nothing over and makes nothing: whoever
   * writes the stream may go on meanwhile.
   */
  readonly progress: (stream: ChangeStream) => Effect.Effect<Progress | undefined, ChangeSinkError>
}

export class ChangeSink extends Context.Service<ChangeSink, Service>()("@headrace/core/ChangeSink") {}
