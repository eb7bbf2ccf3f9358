/**
 * Rows into Parquet, NDJSON or CSV objects, each row exactly once.
 *
 * A row's folder is made of its own values (`date={ts:yyyy-MM-dd}/region={region}`). A file ends by rows, bytes or age, and every ending is a
 * commit: one object, created once, that holds the files and the offsets. So age costs no exactness: after a crash rows come again in other
 * files, and nothing of the old ones is left. A name has one writer: a new one takes over, and the old one fails with `Fenced`.
 *
 * - **Readers** see each row once: those of the commit log always, those that list folders except between the crash of a writer and its heir.
 * - **Late rows** open no small files: with `late` they wait, kept with the commits, until they fill a file or `late.age` is over.
 * - **Bad rows** (poison of a codec, a value that its column can't hold) are kept as NDJSON below `_headrace/`. read = written + bad + tombstones.
 * - **Memory** is bounded by `bufferBytes`, and one group of rows and the store's buffer for each of `openFiles`.
 *
 * `docs/object-sink.md` is the protocol.
 */
import type { ColumnBatch } from "@headrace/core/Batch"
import type { StructLike, TopicSchema } from "@headrace/core/TopicSchema"
import * as Effect from "effect/Effect"
import type * as Duration from "effect/Duration"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as CommitLog from "./internal/sink/CommitLog.ts"
import type { Format } from "./internal/sink/Encoder.ts"
import * as Orphans from "./internal/sink/Orphans.ts"
import * as Settings from "./internal/sink/Settings.ts"
import * as Writer from "./internal/sink/Writer.ts"
import { ObjectStore } from "./ObjectStore.ts"
import type { ObjectSinkError } from "./ObjectSinkError.ts"

/** Where a sink is. */
export interface Location {
  /** Names the sink's files and its commit log; sinks with different names may share a prefix. Lower-case letters, digits and dashes. */
  readonly name: string
  /** The folder of the folders, without a slash at its end; may be empty. */
  readonly prefix: string
}

export interface Options extends Location {
  /** The columns of the files: a struct, or what `TopicSchema.make` made of it. All may be null there; a batch may lack those that may be null. */
  readonly schema: StructLike | TopicSchema
  readonly format: Format
  /**
   * The folder of a row, with columns in braces: `region={region}`, `date={ts:yyyy-MM-dd}/hour={ts:HH}` (UTC). Default: none. It is part of
   * what was committed, and can be changed only after a `flush`.
   */
  readonly path?: string
  readonly roll?: {
    /** Rows of a file at most. Default: any. */
    readonly rows?: number
    /** A file ends once it has so many bytes, as they are stored. Default 128 MiB. */
    readonly bytes?: number
    /** A row is committed after this time at the latest. Default 10 minutes. */
    readonly age?: Duration.Input
  }
  /**
   * Rows that are late wait longer, so that they don't open small files. A row is late by its own partition: its time in `column` is more than
   * `after` before the latest that came before it. Default: no row is.
   */
  readonly late?: {
    readonly column: string
    readonly after: Duration.Input
    /** A late row is in its folder after this time at the latest; until then it is kept with the commits. */
    readonly age: Duration.Input
  }
  /** Bad rows are kept below `_headrace/<name>/bad/`, or fail the sink. Default `keep`. */
  readonly bad?: "keep" | "fail"
  /** Bytes of rows that aren't encoded yet, in memory. Default 32 MiB. */
  readonly bufferBytes?: number
  /** Uploads that are open at a time; one more ends the largest. Default 8. */
  readonly openFiles?: number
  /** Rows that are encoded at a time: a row group. Default 65,536. */
  readonly groupRows?: number
}

/** What a sink takes. */
export interface Input {
  readonly batch: ColumnBatch
  /** The source's own checkpoint behind the batch: any JSON value, kept with the offsets. */
  readonly resume?: unknown
}

/** Where a source goes on with a partition. */
export interface Position {
  readonly next: number
  /** The checkpoint that came with the batch before `next`; null when there was none, as at the very beginning. */
  readonly resume: unknown
}

/** Counts of a partition, as the last commit has them: read = written + bad + tombstones + waiting. */
export interface Counts {
  readonly read: number
  /** Rows in committed files. */
  readonly written: number
  readonly bad: number
  readonly tombstones: number
  /** Late rows that wait, kept with the commit. */
  readonly waiting: number
}

/** What is committed. */
export interface Report {
  readonly commit: number
  readonly files: number
  readonly rows: number
  readonly bytes: number
  readonly partitions: ReadonlyMap<number, Position & Counts>
}

/** A committed file. `key` is whole; `folder` is what the template gave. */
export type File = CommitLog.File

/** A sink that was taken over. */
export interface ObjectSink {
  /** Where to go on with each partition that was ever written; any other begins where its first batch does. */
  readonly start: ReadonlyMap<number, Position>
  /** Takes a batch's rows over; they are committed later. Rows that were taken before are passed over; missing ones fail with `Gap`. */
  readonly write: (input: Input) => Effect.Effect<void, ObjectSinkError>
  /** Commits all that was written, the late rows too, each in its folder. */
  readonly flush: Effect.Effect<Report, ObjectSinkError>
  /** What is committed now. */
  readonly report: Effect.Effect<Report>
  /** Fails when a commit fails that no call of yours waits for: one by age. */
  readonly failure: Effect.Effect<never, ObjectSinkError>
}

const reportOf = (commit: CommitLog.Commit | undefined): Report => ({
  commit: commit?.number ?? 0,
  files: commit?.totals.files ?? 0,
  rows: commit?.totals.rows ?? 0,
  bytes: commit?.totals.bytes ?? 0,
  partitions: new Map(
    (commit?.partitions ?? []).map(({ bad, next, parked, partition, read, resume, tombstones, written }) => [
      partition,
      { next, resume, read, written, bad, tombstones, waiting: parked }
    ])
  )
})

/**
 * Takes the sink over, and finishes or undoes what a writer died within. What isn't committed when the scope closes comes again: `flush`
 * before. After any failure the handle is dead.
 */
export const make = (options: Options): Effect.Effect<ObjectSink, ObjectSinkError, ObjectStore | Scope.Scope> =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const settings = yield* Settings.make(options)
    const writer = yield* Writer.make(Settings.placeOf(store, options), settings)
    const { partitions: start } = reportOf(writer.head())
    const report = Effect.sync(() => reportOf(writer.head()))
    return {
      start,
      write: ({ batch, resume }) => writer.write(batch, resume),
      flush: Effect.andThen(writer.flush, report),
      report,
      failure: writer.failure
    }
  })

/** Runs a source from where the sink is to its end, then flushes. */
export const run = <E, R>(
  options: Options,
  source: (start: ObjectSink["start"]) => Stream.Stream<Input, E, R>
): Effect.Effect<Report, E | ObjectSinkError, R | ObjectStore> =>
  Effect.scoped(
    Effect.gen(function* () {
      const self = yield* make(options)
      yield* Effect.raceFirst(Stream.runForEach(source(self.start), self.write), self.failure)
      return yield* self.flush
    })
  )

/** A sink for `Stream.run`, flushed at the end of its input. The source begins at {@link committed} or before. */
export const sink = (options: Options): Sink.Sink<Report, Input, never, ObjectSinkError, ObjectStore> =>
  Sink.make<Input>()((input: Stream.Stream<Input>) => run(options, () => input))

/** What is committed, without taking over. A commit that its writer died within may still be added to it. */
export const committed = (location: Location): Effect.Effect<Report, ObjectSinkError, ObjectStore> =>
  Effect.flatMap(ObjectStore, (store) =>
    Effect.flatMap(Settings.checkLocation(location), () =>
      Effect.map(CommitLog.head(Settings.placeOf(store, location)), reportOf)
    )
  )

/** Every committed file with whole keys, in the order of their commits; `bad` rows' files are among them. */
export const files = (location: Location): Stream.Stream<File, ObjectSinkError, ObjectStore> =>
  Stream.unwrap(
    Effect.gen(function* () {
      yield* Settings.checkLocation(location)
      const place = Settings.placeOf(yield* ObjectStore, location)
      return CommitLog.files(place).pipe(Stream.map((file) => ({ ...file, key: place.key(file.key) })))
    })
  )

/**
 * Files of this sink that no commit names and none ever can: their writers were fenced. Files of the writer that is the newest now are left
 * alone. Reads the listing of the prefix and the whole commit log, whose keys it holds in memory.
 */
export const orphans = (location: Location): Stream.Stream<string, ObjectSinkError, ObjectStore> =>
  Stream.unwrap(
    Effect.gen(function* () {
      yield* Settings.checkLocation(location)
      return yield* Orphans.find(Settings.placeOf(yield* ObjectStore, location))
    })
  )

/** Deletes the {@link orphans}, and gives their keys. */
export const collect = (location: Location): Effect.Effect<ReadonlyArray<string>, ObjectSinkError, ObjectStore> =>
  Effect.gen(function* () {
    const place = Settings.placeOf(yield* ObjectStore, location)
    return yield* orphans(location).pipe(
      Stream.tap((key) => CommitLog.call(place, place.store.delete(key))),
      Stream.runCollect
    )
  })
