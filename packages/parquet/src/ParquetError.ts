/** What can be wrong with a Parquet file, or with what is to be written into one. */
import * as Schema from "effect/Schema"

/** It isn't a Parquet file, or was cut short. */
export class NotParquet extends Schema.TaggedError<NotParquet>()("NotParquet", {
  file: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `"${this.file}" is no whole Parquet file: ${this.detail}. Was its upload cut short?`
  }
}
/** Its bytes contradict each other. */
export class Corrupt extends Schema.TaggedError<Corrupt>()("Corrupt", {
  file: Schema.String,
  column: Schema.String,
  rowGroup: Schema.Int,
  detail: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `"${this.file}" is damaged in column "${this.column}", row group ${this.rowGroup}: ${this.detail}. Restore the file from its source`
  }
}
/** The column is of a type, compression or encoding that isn't supported; the others can be read. */
export class UnsupportedColumn extends Schema.TaggedError<UnsupportedColumn>()("UnsupportedColumn", {
  file: Schema.String,
  column: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `column "${this.column}" of "${this.file}" can't be read: ${this.detail}`
  }
}
/** The file has no such column; `known` lists those that it has. */
export class MissingColumn extends Schema.TaggedError<MissingColumn>()("MissingColumn", {
  file: Schema.String,
  column: Schema.String,
  known: Schema.String
}) {
  override get message() {
    return `"${this.file}" has no column "${this.column}"; it has ${this.known}`
  }
}
/** A value that the column's type can't hold, or that can't be held in memory exactly. */
export class ValueOutOfRange extends Schema.TaggedError<ValueOutOfRange>()("ValueOutOfRange", {
  file: Schema.String,
  column: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `column "${this.column}" of "${this.file}": ${this.detail}`
  }
}
/** The storage below failed. */
export class ReadFailed extends Schema.TaggedError<ReadFailed>()("ReadFailed", {
  file: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `reading "${this.file}" failed: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** The one error of this package. */
export class ParquetError extends Schema.TaggedError<ParquetError>()("ParquetError", {
  reason: Schema.Union([NotParquet, Corrupt, UnsupportedColumn, MissingColumn, ValueOutOfRange, ReadFailed])
}) {
  override get message() {
    return this.reason.message
  }
}
