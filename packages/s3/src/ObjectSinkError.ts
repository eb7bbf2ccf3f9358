/**
 * The one error of the object sink. `reason` says what happened; its message names the sink and what to do next. After any of them the sink's
 * handle is dead: make it anew, and feed it from where it says.
 */
import { ParquetError } from "@headrace/parquet/ParquetError"
import * as Schema from "effect/Schema"
import { ObjectStoreError } from "./ObjectStoreError.ts"

/** The options contradict themselves, the schema, or what was committed under this name. Nothing was written. */
export class InvalidOptions extends Schema.TaggedError<InvalidOptions>()("InvalidOptions", {
  sink: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `sink "${this.sink}": ${this.detail}`
  }
}

/** Another writer of the same name took over; nothing of this one's is committed any more. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", {
  sink: Schema.String,
  commit: Schema.Int,
  epoch: Schema.Int
}) {
  override get message(): string {
    return `sink "${this.sink}": another writer (epoch ${this.epoch}) holds commit ${this.commit}; a name has one writer at a time, stop this one`
  }
}

/** A batch begins behind where the one before ended: rows are missing. */
export class Gap extends Schema.TaggedError<Gap>()("Gap", {
  sink: Schema.String,
  topic: Schema.String,
  partition: Schema.Int,
  expected: Schema.Int,
  base: Schema.Int
}) {
  override get message(): string {
    return `sink "${this.sink}": partition ${this.partition} of "${this.topic}" goes on at offset ${this.base}, and ${this.expected} is next: the rows between are missing; start the source from where the sink says`
  }
}

/** A batch has a column that the sink's schema hasn't, or lacks one that may not be null. */
export class ColumnMismatch extends Schema.TaggedError<ColumnMismatch>()("ColumnMismatch", {
  sink: Schema.String,
  topic: Schema.String,
  partition: Schema.Int,
  offset: Schema.Int,
  column: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `sink "${this.sink}": column "${this.column}" of partition ${this.partition} of "${this.topic}" at offset ${this.offset}: ${this.detail}`
  }
}

/** A bad row, and the options say that it stops the sink. */
export class BadRow extends Schema.TaggedError<BadRow>()("BadRow", {
  sink: Schema.String,
  topic: Schema.String,
  partition: Schema.Int,
  offset: Schema.Int,
  code: Schema.String,
  field: Schema.String
}) {
  override get message(): string {
    return `sink "${this.sink}": the row of partition ${this.partition} of "${this.topic}" at offset ${this.offset} is bad (${this.code}${this.field === "" ? "" : `: ${this.field}`}); mend it, or let the sink keep bad rows (bad: "keep")`
  }
}

/** An object of the commit log isn't what this version of the sink writes. */
export class CorruptLog extends Schema.TaggedError<CorruptLog>()("CorruptLog", {
  sink: Schema.String,
  key: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `sink "${this.sink}": "${this.key}" can't be read: ${this.detail}; restore it, or give the sink another name`
  }
}

/** A write or flush was interrupted before; the handle may hold half a batch. */
export class Broken extends Schema.TaggedError<Broken>()("Broken", { sink: Schema.String }) {
  override get message(): string {
    return `sink "${this.sink}": a write was interrupted before; make the sink anew`
  }
}

/** The store failed. */
export class StoreFailed extends Schema.TaggedError<StoreFailed>()("StoreFailed", {
  sink: Schema.String,
  cause: ObjectStoreError
}) {
  override get message(): string {
    return `sink "${this.sink}": ${this.cause.message}`
  }
}

/** Rows can't be written as Parquet. */
export class EncodingFailed extends Schema.TaggedError<EncodingFailed>()("EncodingFailed", {
  sink: Schema.String,
  cause: ParquetError
}) {
  override get message(): string {
    return `sink "${this.sink}": ${this.cause.message}`
  }
}

/** The one error of the sink. */
export class ObjectSinkError extends Schema.TaggedError<ObjectSinkError>()("ObjectSinkError", {
  reason: Schema.Union([
    InvalidOptions,
    Fenced,
    Gap,
    ColumnMismatch,
    BadRow,
    CorruptLog,
    Broken,
    StoreFailed,
    EncodingFailed
  ])
}) {
  override get message(): string {
    return this.reason.message
  }
}
