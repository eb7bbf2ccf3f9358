/**
 * The port of an archive: what it holds of a topic, and that as columns, per partition, in offset order.
 */
import type { ColumnBatch } from "@headrace/core/Batch"
import type { Codec } from "@headrace/core/Codec"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Range } from "./HandOver.ts"

/** The archive of a topic can't be used as it is. */
export class ArchiveInvalid extends Schema.TaggedError<ArchiveInvalid>()("ArchiveInvalid", {
  topic: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `the archive of topic "${this.topic}": ${this.detail}`
  }
}

/** The table, a file of it or the storage below failed; the cause names the file. */
export class ArchiveFailed extends Schema.TaggedError<ArchiveFailed>()("ArchiveFailed", {
  topic: Schema.String,
  detail: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `the archive of topic "${this.topic}": ${this.detail}`
  }
}

/** Another writer moved the archive on from the vector that this one had started from. Nothing of this writer's was committed. */
export class Superseded extends Schema.TaggedError<Superseded>()("Superseded", {
  topic: Schema.String,
  partition: Schema.Int,
  expected: Schema.Int,
  found: Schema.Int
}) {
  override get message() {
    return `another archiver took partition ${this.partition} of topic "${this.topic}" from ${this.expected} to ${this.found}: this one's files were given up`
  }
}

/** The one error of an archive. */
export class ArchiveError extends Schema.TaggedError<ArchiveError>()("ArchiveError", {
  reason: Schema.Union([ArchiveInvalid, ArchiveFailed, Superseded])
}) {
  override get message() {
    return this.reason.message
  }
}

/** What an archive holds of a topic at one snapshot. */
export interface Holding {
  /** The topic's id in the log when its archive began. */
  readonly topicId: string
  /** By partition. */
  readonly ranges: ReadonlyMap<number, Range>
  /** Records of all partitions. */
  readonly records: number
}

/** A stretch of a partition, within what {@link Service.holding} gave. */
export interface ReadOptions {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly until: number
  readonly columns: ReadonlyArray<string>
}

/** The archive port. Its reads see one snapshot each: what is archived while a stream runs isn't in it. */
export interface Service {
  /** Where the archive's tables are, as other engines see it: an absolute path or a URI; a topic's table is `<location>/<topic>`. */
  readonly location: string
  /** What is held of a topic, or `undefined` when it has no archive. */
  readonly holding: (topic: string) => Effect.Effect<Holding | undefined, ArchiveError>
  /**
   * The records of `[from, until)` in offset order, in batches that chain and together cover exactly that range. Records that were archived
   * under another schema are decoded again from their bytes.
   */
  readonly read: (codec: Codec, options: ReadOptions) => Stream.Stream<ColumnBatch, ArchiveError>
}

/** The archive port as a service; `ArchiveTable.layer` is its driver. */
export class Archive extends Context.Service<Archive, Service>()("@headrace/archive/Archive") {}
