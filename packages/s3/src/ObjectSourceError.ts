/** What can be wrong with objects that are read as a stream of rows. Messages name the object, the line and what to do next. */
import * as Schema from "effect/Schema"
import { ObjectStoreError } from "./ObjectStoreError.ts"

/** A row that isn't valid, under the policy `stop`. `line` is its line, or its row in a Parquet object, from 1. */
export class BadRow extends Schema.TaggedError<BadRow>()("BadRow", {
  object: Schema.String,
  line: Schema.Int,
  code: Schema.String,
  field: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    const field = this.field === "" ? "" : ` (field "${this.field}")`
    return `object "${this.object}", line ${this.line}: ${this.code}${field}: ${this.detail}; correct the row, or read with badRows "keep"`
  }
}

/** The object can't be read further than `line`: truncated or damaged gzip, zstd or Parquet. */
export class BrokenObject extends Schema.TaggedError<BrokenObject>()("BrokenObject", {
  object: Schema.String,
  line: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `object "${this.object}" is broken after line ${this.line}: ${this.detail}; upload it again, or read with badRows "keep"`
  }
}

/** The object hasn't the declared columns, or has them with other types. */
export class OtherSchema extends Schema.TaggedError<OtherSchema>()("OtherSchema", {
  object: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `object "${this.object}" has another schema: ${this.detail}; declare what it has, or leave it out with "include"`
  }
}

/** The object was deleted or replaced while it was read, or since the checkpoint. Rows up to `line` were given. */
export class ObjectChanged extends Schema.TaggedError<ObjectChanged>()("ObjectChanged", {
  object: Schema.String,
  line: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `object "${this.object}" ${this.detail}; rows up to its line ${this.line} were read. Objects must not change: restore it, or start anew`
  }
}

/** What sorts before the last object read isn't what was read: `late` names new objects, where they are known. */
export class PastChanged extends Schema.TaggedError<PastChanged>()("PastChanged", {
  prefix: Schema.String,
  last: Schema.String,
  expected: Schema.Int,
  found: Schema.Int,
  late: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const late = this.late.length === 0 ? "" : ` (new: ${this.late.map((key) => `"${key}"`).join(", ")})`
    return `before "${this.last}" there were ${this.expected} objects under "${this.prefix}" when they were read, now ${this.found} that aren't the same${late}; new objects must sort after all that are there. Move them, start anew, or go on with past "ignore"`
  }
}

/** Neither the object's name nor the options tell its format. */
export class UnknownFormat extends Schema.TaggedError<UnknownFormat>()("UnknownFormat", { object: Schema.String }) {
  override get message(): string {
    return `the format of object "${this.object}" is unknown: name it .ndjson, .csv or .parquet (and .gz or .zst), give "format", or leave it out with "include"`
  }
}

/** The format can't be read in this form. */
export class UnsupportedForm extends Schema.TaggedError<UnsupportedForm>()("UnsupportedForm", {
  object: Schema.String
}) {
  override get message(): string {
    return `object "${this.object}" is Parquet, which has no lines: read it with ObjectSource.columns`
  }
}

/** The store failed. */
export class StoreFailed extends Schema.TaggedError<StoreFailed>()("StoreFailed", {
  object: Schema.String,
  cause: ObjectStoreError
}) {
  override get message(): string {
    return `reading "${this.object}": ${this.cause.message}`
  }
}

/** The one error of reading objects as rows. */
export class ObjectSourceError extends Schema.TaggedError<ObjectSourceError>()("ObjectSourceError", {
  reason: Schema.Union([
    BadRow,
    BrokenObject,
    OtherSchema,
    ObjectChanged,
    PastChanged,
    UnknownFormat,
    UnsupportedForm,
    StoreFailed
  ])
}) {
  override get message(): string {
    return this.reason.message
  }
}
