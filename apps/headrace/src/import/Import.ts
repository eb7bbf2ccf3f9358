/**
 * Appends a file's rows to a topic as JSON records, a page at a time, with bounded memory.
 *
 * A record's partition is that of its key's bytes (murmur2, as Kafka's clients have it); records without a key go round the partitions. A
 * row that can't be used stops the import: all batches before its own are appended, in order, and the error says how many records that is.
 */
import { extname } from "node:path"
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog, type EventLogError } from "@headrace/core/EventLog"
import * as EventTime from "@headrace/core/EventTime"
import { partitionOf } from "@headrace/core/Partitioner"
import type { TopicSchema } from "@headrace/core/TopicSchema"
import type { ParquetError } from "@headrace/parquet/ParquetError"
import { Clock, Effect, Option, type Scope, Stream } from "effect"
import * as Csv from "./Csv.ts"
import { BadLine, FileFailed, type ImportError, PartitionsDiffer, UnknownFormat, wrap } from "./ImportError.ts"
import * as Ndjson from "./Ndjson.ts"
import * as Parquet from "./Parquet.ts"
import { BadRow, type Row, type Wanted } from "./Row.ts"

export const formats = ["ndjson", "csv", "parquet"] as const
export type Format = (typeof formats)[number]

export interface Options {
  readonly file: string
  /** By default as the file's name says. */
  readonly format: Format | undefined
  readonly topic: string
  /** Partitions of a topic that is made; of one that is there, what it must have. */
  readonly partitions: number | undefined
  /** Column of the keys; none gives null keys. */
  readonly key: string | undefined
  /** Column of the record timestamps; by default the time of the import. */
  readonly timestamp: string | undefined
  /** What the project's views declare of the topic. */
  readonly schema: TopicSchema | undefined
  readonly onStart: (total: number | undefined) => Effect.Effect<void>
  readonly onProgress: (records: number) => Effect.Effect<void>
}

const defaultPartitions = 4

const byName: Readonly<Record<string, Format>> = {
  ".ndjson": "ndjson",
  ".jsonl": "ndjson",
  ".json": "ndjson",
  ".csv": "csv",
  ".parquet": "parquet"
}

/** The format of a file; undefined when neither the options nor its name say. */
export const formatOf = ({ file, format }: Pick<Options, "file" | "format">): Format | undefined =>
  format ?? byName[extname(file).toLowerCase()]

const keyText = ({ key, line }: Row, column: string): string | null => {
  if (key === null || typeof key === "string") return key
  if (typeof key === "boolean") return String(key)
  if (typeof key === "number" && (Number.isSafeInteger(key) || !Number.isInteger(key))) return String(key)
  if (key === undefined) throw new BadRow(line, `it has no "${column}" to be its key`)
  throw new BadRow(line, `its "${column}" can't be a key: ${JSON.stringify(key)}`)
}

const timeOf = ({ line, timestamp: value }: Row, column: string): number => {
  const digits = typeof value === "string" && /^-?\d+$/.test(value)
  const t = digits ? Number(value) : typeof value === "string" ? EventTime.fromText(value) : value
  if (typeof t === "number" && EventTime.isValid(t)) return t
  throw new BadRow(
    line,
    `its "${column}" is no timestamp: ${JSON.stringify(value) ?? "missing"}; epoch milliseconds or an ISO text with a zone are`
  )
}

/** The topic, made when it isn't there. */
const topicOf = Effect.fnUntraced(function* ({ partitions, topic }: Options) {
  const log = yield* EventLog
  const found = yield* log
    .describe(topic)
    .pipe(
      Effect.catchReason("EventLogError", "TopicNotFound", () =>
        log.createTopic(topic, { partitions: partitions ?? defaultPartitions })
      )
    )
  const count = found.partitions.length
  if (partitions !== undefined && partitions !== count)
    return yield* wrap(new PartitionsDiffer({ topic, partitions: count, wanted: partitions }))
  return count
})

const utf8 = new TextEncoder()

/** A Kafka topic takes 1 MiB at once by default; a record adds up to some 24 bytes to its key and value. */
const appendBytes = 512 * 1024
const recordBytes = 24

/** Shares out a page's rows from `start` to the partitions until one has enough for an append; `row` counts the rows before the page. Gives the row to go on at. */
const share = (
  options: Options,
  page: ReadonlyArray<Row>,
  start: number,
  row: number,
  now: number,
  builders: ReadonlyArray<BatchBuilder>
): number => {
  for (let i = start; i < page.length; i++) {
    const r = page[i]!
    const key = options.key === undefined ? null : keyText(r, options.key)
    const bytes = key === null ? null : utf8.encode(key)
    const timestamp = options.timestamp === undefined ? now : timeOf(r, options.timestamp)
    const builder = builders[bytes === null ? (row + i) % builders.length : partitionOf(bytes, builders.length)]!
    builder.add(bytes, r.text, timestamp)
    if (builder.size + recordBytes * builder.count >= appendBytes) return i + 1
  }
  return page.length
}

/** What an import appended. */
export interface Report {
  readonly topic: string
  readonly partitions: number
  readonly records: number
}

export const run = Effect.fn("Import.run")(function* (
  options: Options
): Effect.fn.Return<Report, ImportError | EventLogError | ParquetError, EventLog | Scope.Scope> {
  const { file, schema, topic } = options
  const format = formatOf(options)
  if (format === undefined) return yield* wrap(new UnknownFormat({ file }))
  const wanted: Wanted = { key: options.key, timestamp: options.timestamp }
  let records = 0
  const onError = (cause: unknown) =>
    cause instanceof BadRow
      ? wrap(new BadLine({ file, line: cause.line, detail: cause.message, topic, appended: records }))
      : wrap(
          new FileFailed({
            file,
            detail: cause instanceof Error ? cause.message : String(cause),
            appended: records,
            cause
          })
        )
  const parquet = format === "parquet" ? Option.some(yield* Parquet.openFile(file, wanted)) : Option.none()
  yield* options.onStart(Option.isSome(parquet) ? parquet.value.rowCount : undefined)
  const pages = Option.isSome(parquet)
    ? Parquet.read(parquet.value, wanted, onError)
    : Stream.fromAsyncIterable(format === "csv" ? Csv.read(file, wanted, schema) : Ndjson.read(file, wanted), onError)
  const log = yield* EventLog
  let builders: ReadonlyArray<BatchBuilder> = []
  yield* Stream.runForEach(pages, (page) =>
    Effect.gen(function* () {
      // The topic is made when there is something to append.
      if (builders.length === 0)
        builders = Array.from({ length: yield* topicOf(options) }, () => new BatchBuilder(4_096))
      const now = yield* Clock.currentTimeMillis
      const before = records
      for (let at = 0; at < page.length;) {
        const next = yield* Effect.try({ try: () => share(options, page, at, before, now, builders), catch: onError })
        for (const [partition, builder] of builders.entries())
          if (builder.count > 0) yield* log.append(topic, partition, builder.take())
        records = before + next
        yield* options.onProgress(next - at)
        at = next
      }
    })
  )
  return { topic, partitions: builders.length, records }
}, Effect.scoped)
