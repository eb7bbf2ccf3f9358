/**
 * Archiving a topic: its records from where the archive ends, as Parquet files of an Iceberg table, exactly once.
 *
 * A round takes at most `fileRows` records and `fileBytes` bytes of each partition, one file a partition, and commits them with what they
 * cover: the ranges in the snapshot's summary and the whole vector in a table property of the same commit (rule 3). The commit requires the vector to be the one
 * that the round started from; otherwise another archiver was there, and the round's files are deleted (rule 7).
 *
 * Crash table.
 *
 * | the process dies | on storage | the restart |
 * | --- | --- | --- |
 * | while a file is written | an upload that never appears, and the round's files before it | reads the same records again; the files are orphans |
 * | after files, before the commit | files that no snapshot names | writes the same records to new files; the old ones are orphans |
 * | within the commit | `@headrace/iceberg`'s COMMIT.md: committed or not, never half | finds the vector moved, or not |
 * | after the commit | the commit | goes on behind it |
 *
 * A round that fails without dying deletes its files, unless it is unknown whether they were committed.
 */
import type { RecordBatch } from "@headrace/core/Batch"
import type { Codec, CodecError } from "@headrace/core/Codec"
import { EventLog, type EventLogError, type TopicDescription } from "@headrace/core/EventLog"
import * as Commit from "@headrace/iceberg/Commit"
import * as FileCatalog from "@headrace/iceberg/FileCatalog"
import type { IcebergError } from "@headrace/iceberg/IcebergError"
import type { NewFile } from "@headrace/iceberg/NewFile"
import * as PartitionSpec from "@headrace/iceberg/PartitionSpec"
import * as Table from "@headrace/iceberg/Table"
import * as ColumnWriter from "@headrace/parquet/ColumnWriter"
import type { ParquetError } from "@headrace/parquet/ParquetError"
import { ObjectStore } from "@headrace/s3/ObjectStore"
import type { ObjectStoreError } from "@headrace/s3/ObjectStoreError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { Archive, ArchiveError, ArchiveFailed, ArchiveInvalid, Superseded } from "./Archive.ts"
import * as ArchiveSchema from "./ArchiveSchema.ts"
import * as Coverage from "./Coverage.ts"
import { Gap, type Range } from "./HandOver.ts"

/** What to archive, and in what pieces. */
export interface Options {
  readonly topic: string
  readonly codec: Codec
  /** Archive only below these offsets, by partition; by default up to the log's end as it is now. */
  readonly until?: ReadonlyMap<number, number>
  /** Records of a file at most (a file holds the records of so many offsets). Default 1,000,000. */
  readonly fileRows?: number
  /** A file ends when it has so many bytes. Default 256 MiB. */
  readonly fileBytes?: number
  /** A row group is closed when it has so many records. Default 65,536. */
  readonly rowGroupRows?: number
  /** A row group is closed when its keys and values have so many bytes. Default 32 MiB. */
  readonly rowGroupBytes?: number
  readonly onProgress?: (records: number) => Effect.Effect<void>
}

/** What a run archived. */
export interface Report {
  readonly records: number
  readonly files: number
  readonly bytes: number
  readonly commits: number
  /** The table's newest metadata file, as other engines see it. */
  readonly metadata: string
}

const failed = (topic: string) => (cause: { readonly message: string }) =>
  new ArchiveError({ reason: new ArchiveFailed({ topic, detail: cause.message, cause }) })

const recreated = (topic: string, archived: string, now: string) =>
  new ArchiveError({
    reason: new ArchiveInvalid({
      topic,
      detail: `it belongs to another creation of the topic (id ${archived}, now ${now}): give the new topic another location`
    })
  })

/** The table of the topic and what it covers; made when there is none. */
const open = (options: Options, log: TopicDescription) =>
  Effect.gen(function* () {
    const { location } = yield* Archive
    const { codec, topic } = options
    const table = yield* FileCatalog.load({ prefix: topic }).pipe(
      Effect.catchReason("IcebergError", "TableNotFound", () => {
        const ranges = new Map(log.partitions.map((p) => [p.partition, { begin: p.begin, end: p.begin }]))
        return FileCatalog.create({
          prefix: topic,
          location: `${location}/${topic}`,
          fields: ArchiveSchema.fields(codec.schema),
          partitionBy: ArchiveSchema.partitionBy,
          properties: {
            [Coverage.property]: Coverage.print({ topic, topicId: log.id, records: 0, arrived: 0, ranges }, null)
          }
        })
      }),
      Effect.mapError(failed(topic))
    )
    const invalid = (detail: string) => new ArchiveError({ reason: new ArchiveInvalid({ topic, detail }) })
    const coverage = yield* Effect.mapError(Effect.fromResult(Coverage.read(table.metadata)), invalid)
    if (coverage.topicId !== log.id) return yield* recreated(topic, coverage.topicId, log.id)
    const known = new Set((yield* Effect.mapError(Table.fields(table), failed(topic))).map((f) => f.name))
    const missing = codec.schema.columns.filter((c) => !known.has(c.name)).map((c) => c.name)
    if (missing.length > 0)
      return yield* invalid(`its table has no column ${missing.join(", ")}: the topic's schema was changed`)
    return { table, coverage }
  })

interface Written {
  readonly partition: number
  readonly range: Range
  readonly records: number
  readonly file: NewFile | undefined
}

/** Records that are decoded at a time. */
const maxRecords = 8_192

/** Bytes of a batch's keys and values. A null takes none: both ends of its range are -1. */
const bytesOf = ({ count, keys, values }: RecordBatch): number => {
  let sum = 0
  for (let i = 0; i < 2 * count; i += 2) sum += keys[i + 1]! - keys[i]! + values[i + 1]! - values[i]!
  return sum
}

/** Writes one file with the records of `[from, until)` of a partition, as far as `fileRows` offsets; gives what it covers. */
const writeFile = (
  options: Options,
  table: Table.Table,
  partition: number,
  from: number,
  until: number,
  arrived: number
) =>
  Effect.gen(function* () {
    const { codec, fileBytes = 256 << 20, fileRows = 1_000_000, topic } = options
    const { rowGroupBytes = 32 << 20, rowGroupRows = 65_536 } = options
    const log = yield* EventLog
    const store = yield* ObjectStore
    const fields = yield* Table.fields(table)
    const id = (yield* Random.nextIntBetween(0, 2 ** 48)).toString(16).padStart(12, "0")
    const key = `data/partition-${partition}/${from}-${id}.parquet`
    const upload = yield* store.openWrite(`${table.prefix}/${key}`)
    const chunks: Array<Uint8Array> = []
    let size = 0
    const writer = yield* ColumnWriter.make({
      schema: fields,
      name: key,
      keyValueMetadata: { [ArchiveSchema.fingerprintKey]: codec.schema.fingerprint },
      sink: (chunk) => {
        chunks.push(chunk)
        size += chunk.length
      }
    })
    const flush = Effect.suspend(() =>
      Effect.forEach(chunks.splice(0), (chunk) => upload.write(chunk), { discard: true })
    )

    const names = codec.schema.columns.map((c) => c.name)
    const group = { rows: 0, bytes: 0 }
    let records = 0
    let next = from
    const endRowGroup = Effect.suspend(() => {
      group.rows = group.bytes = 0
      return Effect.andThen(writer.endRowGroup, flush)
    })
    const bounds = { from, until: Math.min(until, from + fileRows), maxRecords: Math.min(maxRecords, rowGroupRows) }
    yield* log.read({ topic, partition, ...bounds }).pipe(
      Stream.takeWhile(() => size < fileBytes),
      Stream.runForEach((batch) =>
        Effect.gen(function* () {
          const decoded = yield* codec.decode(batch, names)
          yield* writer.append(ArchiveSchema.toColumns(codec.schema, batch, decoded, arrived), batch.count)
          group.rows += batch.count
          group.bytes += bytesOf(batch)
          records += batch.count
          next = batch.next
          if (group.rows >= rowGroupRows || group.bytes >= rowGroupBytes) yield* endRowGroup
          if (options.onProgress !== undefined) yield* options.onProgress(batch.count)
        })
      )
    )
    const range = { begin: from, end: next }
    // A stretch without records is covered without a file; closing the scope drops the upload.
    if (records === 0) return { partition, range, records, file: undefined } satisfies Written
    const summary = yield* writer.finish()
    yield* flush
    yield* upload.finish
    const where = { __partition: partition, __arrived_day: PartitionSpec.day(arrived) }
    return { partition, range, records, file: { key, partition: where, summary } } satisfies Written
  }).pipe(Effect.scoped)

/** Deletes the files of a round that isn't committed; one that can't be deleted is an orphan. */
const giveUp = (table: Table.Table, round: ReadonlyArray<Written>) =>
  Effect.flatMap(ObjectStore, (store) =>
    Effect.forEach(
      round.flatMap((w) => w.file ?? []),
      (file) => Effect.ignore(store.delete(`${table.prefix}/${file.key}`)),
      { discard: true }
    )
  )

/** Why a round that started from `coverage` can't be committed on top of `current`; another archiver moved one of its partitions. */
const overtaken = (topic: string, coverage: Coverage.Coverage, current: Coverage.Coverage) => {
  for (const partition of new Set([...coverage.ranges.keys(), ...current.ranges.keys()])) {
    const [own, found] = [coverage.ranges.get(partition), current.ranges.get(partition)]
    if (own?.end === found?.end) continue
    const [expected, at] = [own?.end ?? found!.begin, found?.end ?? own!.begin]
    return new ArchiveError({ reason: new Superseded({ topic, partition, expected, found: at }) })
  }
  return undefined
}

/** Commits a round's files, on top of nothing but what the round started from. */
const commitRound = (
  topic: string,
  table: Table.Table,
  coverage: Coverage.Coverage,
  round: ReadonlyArray<Written>,
  arrived: number
) =>
  Effect.gen(function* () {
    const ranges = new Map(coverage.ranges)
    for (const w of round)
      ranges.set(w.partition, { begin: ranges.get(w.partition)?.begin ?? w.range.begin, end: w.range.end })
    const after: Coverage.Coverage = {
      ...coverage,
      ranges,
      arrived,
      records: coverage.records + round.reduce((n, w) => n + w.records, 0)
    }
    const files = round.flatMap((w) => w.file ?? [])
    const next = yield* Commit.append(table, {
      files,
      summary: Coverage.summary(round.map((w) => [w.partition, w.range])),
      setProperties: (snapshotId) => ({ [Coverage.property]: Coverage.print(after, snapshotId) }),
      validate: (current) => {
        const found = Coverage.read(current)
        if (found._tag === "Failure")
          return Effect.fail(new ArchiveError({ reason: new ArchiveInvalid({ topic, detail: found.failure }) }))
        const error = overtaken(topic, coverage, found.success)
        return error === undefined ? Effect.void : Effect.fail(error)
      }
    }).pipe(
      Effect.tapError((error) =>
        // After an unknown outcome the files may be in use.
        error._tag === "IcebergError" && error.reason._tag === "CommitUnknown" ? Effect.void : giveUp(table, round)
      ),
      Effect.mapError((error) => (error._tag === "IcebergError" ? failed(topic)(error) : error))
    )
    return { table: next, coverage: after, files }
  })

/** What went wrong in a round. Offsets that the log has removed before they were archived are a gap. */
const toArchiveError = (
  topic: string,
  coverage: Coverage.Coverage,
  error: EventLogError | CodecError | ParquetError | IcebergError | ObjectStoreError | ArchiveError
): ArchiveError | Gap => {
  if (error._tag === "ArchiveError") return error
  if (error._tag !== "EventLogError" || error.reason._tag !== "OffsetOutOfRange") return failed(topic)(error)
  const { begin, partition, requested } = error.reason
  const from = coverage.ranges.get(partition)?.end ?? requested
  return from < begin ? new Gap({ topic, partition, from, until: begin }) : failed(topic)(error)
}

/** Archives the topic up to the log's end as of now (or up to `until`). Needs `Archive` only for the table's location. */
export const run = Effect.fn("Archiver.run")(function* (
  options: Options
): Effect.fn.Return<Report, ArchiveError | Gap, Archive | EventLog | ObjectStore> {
  const { topic } = options
  const log = yield* EventLog
  const description = yield* Effect.mapError(log.describe(topic), failed(topic))
  let { coverage, table } = yield* open(options, description)
  let [records, files, bytes, commits] = [0, 0, 0, 0]
  for (;;) {
    const todo = description.partitions.flatMap((p) => {
      const from = coverage.ranges.get(p.partition)?.end ?? p.begin
      const until = Math.min(p.end, options.until?.get(p.partition) ?? p.end)
      return from < until ? [{ partition: p.partition, begin: p.begin, from, until }] : []
    })
    if (todo.length === 0) break
    const lost = todo.find((t) => t.begin > t.from)
    if (lost !== undefined)
      return yield* new Gap({ topic, partition: lost.partition, from: lost.from, until: lost.begin })
    const arrived = Math.max(coverage.arrived, yield* Clock.currentTimeMillis)
    const round: Array<Written> = []
    yield* Effect.gen(function* () {
      for (const { from, partition, until } of todo)
        round.push(yield* writeFile(options, table, partition, from, until, arrived))
      const now = yield* log.describe(topic)
      if (now.id !== description.id) return yield* recreated(topic, description.id, now.id)
    }).pipe(
      Effect.onError(() => giveUp(table, round)),
      Effect.mapError((error) => toArchiveError(topic, coverage, error))
    )
    const committed = yield* commitRound(topic, table, coverage, round, arrived)
    ;({ coverage, table } = committed)
    commits++
    files += committed.files.length
    bytes += committed.files.reduce((n, f) => n + f.summary.fileSize, 0)
    records += round.reduce((n, w) => n + w.records, 0)
  }
  return { records, files, bytes, commits, metadata: FileCatalog.metadataFile(table) }
})
