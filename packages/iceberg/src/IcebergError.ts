/**
 * The one error of this package. `reason` says what happened; its message names the file and what to do next.
 *
 * Handle a case with `Effect.catchReason("IcebergError", "CommitConflict", …)`.
 */
import { Reason as StoreReason } from "@headrace/s3/ObjectStoreError"
import * as Schema from "effect/Schema"

/** A table is already there. Nothing was written. */
export class TableExists extends Schema.TaggedError<TableExists>()("TableExists", { prefix: Schema.String }) {
  override get message(): string {
    return `there is already a table under "${this.prefix}"; load it, or choose another prefix`
  }
}

/** There is no table. */
export class TableNotFound extends Schema.TaggedError<TableNotFound>()("TableNotFound", { prefix: Schema.String }) {
  override get message(): string {
    return `there is no table under "${this.prefix}" (no metadata/v<N>.metadata.json); check the prefix, or create it`
  }
}

/** A file that the table refers to is gone. `kind` is "metadata", "manifest list" or "manifest". */
export class MissingFile extends Schema.TaggedError<MissingFile>()("MissingFile", {
  kind: Schema.String,
  file: Schema.String
}) {
  override get message(): string {
    return `the ${this.kind} ${this.file} is missing; restore it from a backup, or roll the table back to a snapshot without it`
  }
}

/** A file's content can't be right. */
export class Corrupt extends Schema.TaggedError<Corrupt>()("Corrupt", { file: Schema.String, problem: Schema.String }) {
  override get message(): string {
    return `${this.file} is corrupt: ${this.problem}; restore it from a backup, or roll the table back to a snapshot without it`
  }
}

/** A file is right, but uses something that this package doesn't know. It was not read in part. */
export class UnsupportedFormat extends Schema.TaggedError<UnsupportedFormat>()("UnsupportedFormat", {
  file: Schema.String,
  found: Schema.String
}) {
  override get message(): string {
    return `${this.file} has ${this.found}, which isn't supported; Headrace reads and writes Iceberg format version 2 without deletes`
  }
}

/** What the caller gave can't be written: a column, partition value or property. Nothing was committed. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>()("InvalidInput", { problem: Schema.String }) {
  override get message(): string {
    return `${this.problem}; nothing was committed`
  }
}

/** Others committed first, again and again, or changed what this commit relies on. Nothing was committed; its own files were removed. */
export class CommitConflict extends Schema.TaggedError<CommitConflict>()("CommitConflict", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `could not commit ${this.file}: ${this.problem}; reload the table, check what others committed, and try again`
  }
}

/** The store couldn't tell whether the commit happened, and reading it back didn't settle it. No file was removed. */
export class CommitUnknown extends Schema.TaggedError<CommitUnknown>()("CommitUnknown", {
  file: Schema.String,
  snapshotId: Schema.String
}) {
  override get message(): string {
    return `it is unknown whether ${this.file} was committed; reload the table and look for snapshot ${this.snapshotId}`
  }
}

/** The object store failed. Nothing was committed, unless this came from a read. */
export class Store extends Schema.TaggedError<Store>()("Store", { file: Schema.String, cause: StoreReason }) {
  override get message(): string {
    return this.cause.message
  }
}

/** What went wrong. */
export const Reason = Schema.Union([
  TableExists,
  TableNotFound,
  MissingFile,
  Corrupt,
  UnsupportedFormat,
  InvalidInput,
  CommitConflict,
  CommitUnknown,
  Store
])
/** Any of the reasons. */
export type Reason = typeof Reason.Type

/** The one error of this package. */
export class IcebergError extends Schema.TaggedError<IcebergError>()("IcebergError", { reason: Reason }) {
  override get message(): string {
    return this.reason.message
  }
}

/** Shorthand for the pure modules, which answer a `Result`. */
export const unsupported = (file: string, found: string): IcebergError =>
  new IcebergError({ reason: new UnsupportedFormat({ file, found }) })
/** A file's content can't be right. */
export const corrupt = (file: string, problem: string): IcebergError =>
  new IcebergError({ reason: new Corrupt({ file, problem }) })
/** What the caller gave can't be written. */
export const invalid = (problem: string): IcebergError => new IcebergError({ reason: new InvalidInput({ problem }) })
