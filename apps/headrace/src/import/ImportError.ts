/** What can be wrong with a file that is imported. */
import { Schema } from "effect"

/** A line or row that can't become a record. Those of the batches before it are in the topic, nothing behind them. */
export class BadLine extends Schema.TaggedError<BadLine>()("BadLine", {
  file: Schema.String,
  /** From 1; a row's number in a Parquet file. */
  line: Schema.Int,
  detail: Schema.String,
  topic: Schema.String,
  appended: Schema.Int
}) {
  override get message() {
    const so =
      this.appended === 0
        ? `Nothing was appended to topic "${this.topic}": correct the line and import the file again`
        : `The ${this.appended} records before its batch were appended to topic "${this.topic}": correct the line and import the rest`
    return `"${this.file}" line ${this.line}: ${this.detail}. ${so}`
  }
}
export class UnknownFormat extends Schema.TaggedError<UnknownFormat>()("UnknownFormat", { file: Schema.String }) {
  override get message() {
    return `the format of "${this.file}" isn't known by its name: give --format ndjson, csv or parquet`
  }
}
export class FileFailed extends Schema.TaggedError<FileFailed>()("FileFailed", {
  file: Schema.String,
  detail: Schema.String,
  appended: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message() {
    return `"${this.file}" can't be read: ${this.detail}${this.appended === 0 ? "" : ` (after ${this.appended} records were appended)`}`
  }
}
export class NoColumn extends Schema.TaggedError<NoColumn>()("NoColumn", {
  file: Schema.String,
  wanted: Schema.String,
  columns: Schema.Array(Schema.String)
}) {
  override get message() {
    return `"${this.file}" has no column "${this.wanted}"; it has ${this.columns.join(", ")}`
  }
}
export class ColumnUnreadable extends Schema.TaggedError<ColumnUnreadable>()("ColumnUnreadable", {
  file: Schema.String,
  columns: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the columns ${this.columns.join(", ")} of "${this.file}" have types that can't become JSON here: write the file without them`
  }
}
export class PartitionsDiffer extends Schema.TaggedError<PartitionsDiffer>()("PartitionsDiffer", {
  topic: Schema.String,
  partitions: Schema.Int,
  wanted: Schema.Int
}) {
  override get message() {
    return `topic "${this.topic}" has ${this.partitions} partitions, not ${this.wanted}: leave --partitions out, or import into another topic`
  }
}

/** The one error of an import. */
export class ImportError extends Schema.TaggedError<ImportError>()("ImportError", {
  reason: Schema.Union([BadLine, UnknownFormat, FileFailed, NoColumn, ColumnUnreadable, PartitionsDiffer])
}) {
  override get message() {
    return this.reason.message
  }
}

export const wrap = (reason: ImportError["reason"]): ImportError => new ImportError({ reason })
