/**
 * The archive as an Iceberg table in an object store: one table a topic, read by column.
 *
 * A file is opened for the columns that are asked for. Offsets are read only where a row group's statistics don't already say that they are
 * contiguous, and kinds only where not all of its records are decoded.
 */
import type { Column, ColumnBatch, Header, RecordBatch } from "@headrace/core/Batch"
import { BatchBuilder, Kind } from "@headrace/core/Batch"
import type { Codec, CodecError } from "@headrace/core/Codec"
import type { Poison } from "@headrace/core/DeadLetter"
import * as FileCatalog from "@headrace/iceberg/FileCatalog"
import * as Predicate from "@headrace/iceberg/Predicate"
import * as Scan from "@headrace/iceberg/Scan"
import * as Table from "@headrace/iceberg/Table"
import * as ColumnReader from "@headrace/parquet/ColumnReader"
import type { ParquetError } from "@headrace/parquet/ParquetError"
import { ObjectStore } from "@headrace/s3/ObjectStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Archive, ArchiveError, ArchiveFailed, ArchiveInvalid, type ReadOptions, type Service } from "./Archive.ts"
import * as ArchiveSchema from "./ArchiveSchema.ts"
import * as Coverage from "./Coverage.ts"

/** A data file of one partition, with the bounds of its offsets, both inclusive. */
interface DataFile {
  readonly key: string
  readonly path: string
  readonly size: number
  readonly first: number
  readonly last: number
}

const failed = (topic: string) => (cause: { readonly message: string }) =>
  new ArchiveError({ reason: new ArchiveFailed({ topic, detail: cause.message, cause }) })
const invalid = (topic: string, detail: string) => new ArchiveError({ reason: new ArchiveInvalid({ topic, detail }) })

const load = (topic: string) =>
  Effect.gen(function* () {
    const table = yield* FileCatalog.load({ prefix: topic })
    const coverage = yield* Effect.mapError(Effect.fromResult(Coverage.read(table.metadata)), (detail) =>
      invalid(topic, detail)
    )
    return { table, coverage }
  })

/** The files that hold offsets of `[from, until)`, in offset order. Files that overlap are refused. */
const plan = (table: Table.Table, options: ReadOptions) =>
  Effect.gen(function* () {
    const { from, partition, topic, until } = options
    const wanted = Predicate.and(
      Predicate.eq("__partition", partition),
      Predicate.gte("__offset", from),
      Predicate.lt("__offset", until)
    )
    const tasks = yield* Effect.mapError(Table.scan(table, { predicate: wanted }), failed(topic))
    const offset = (yield* Effect.mapError(Table.fields(table), failed(topic))).find((f) => f.name === "__offset")
    if (offset === undefined) return yield* invalid(topic, `its table has no column "__offset"`)
    const files: Array<DataFile> = []
    for (const { file } of tasks) {
      const { lower, upper } = Scan.bounds(file, offset)
      if (typeof lower !== "number" || typeof upper !== "number")
        return yield* invalid(topic, `the file ${file.path} has no bounds of "__offset"`)
      const key = yield* Effect.mapError(Table.keyOf(table, file.path), failed(topic))
      files.push({ key, path: file.path, size: file.fileSize, first: lower, last: upper })
    }
    files.sort((a, b) => a.first - b.first)
    for (let i = 1; i < files.length; i++) {
      if (files[i]!.first <= files[i - 1]!.last)
        return yield* invalid(topic, `the files ${files[i - 1]!.path} and ${files[i]!.path} hold the same offsets`)
    }
    return files
  })

/** The first offset of a row group whose offsets are contiguous, as its statistics tell; else they must be read. */
const contiguousFrom = (group: ColumnReader.RowGroup): number | undefined => {
  const { max, min } = group.statistics["__offset"] ?? {}
  return typeof min === "number" && typeof max === "number" && max - min + 1 === group.rowCount ? min : undefined
}

const contiguous = (first: number, count: number): Float64Array => {
  const offsets = new Float64Array(count)
  for (let i = 0; i < count; i++) offsets[i] = first + i
  return offsets
}

/** Records of a batch: what is decoded together stays in the processor's caches until it is folded. */
const batchRecords = 8_192

const allDecoded = (group: ColumnReader.RowGroup): boolean => {
  const statistics = group.statistics["__kind"]
  return statistics?.min === "decoded" && statistics.max === "decoded"
}

/** The records of a row group in bytes form, those of `rows` only. */
const toRecords = (
  options: ReadOptions,
  columns: Readonly<Record<string, Column>>,
  offsets: Float64Array,
  rows: ReadonlyArray<number>
): RecordBatch => {
  const builder = new BatchBuilder(rows.length)
  for (const i of rows) {
    const key = columns["__key"]![i] as Uint8Array | null
    const value = columns["__value"]![i] as Uint8Array | null
    const headers = columns["__headers"]![i] as ReadonlyArray<Header> | null
    builder.add(key, value, columns["__timestamp"]![i] as number, headers ?? [])
  }
  const records = builder.take()
  const own = Float64Array.from(rows, (i) => offsets[i]!)
  const last = rows.length - 1
  return {
    ...records,
    topic: options.topic,
    partition: options.partition,
    base: own[0]!,
    next: own[last]! + 1,
    offsets: own
  }
}

const bytesColumns = ["__key", "__value", "__headers", "__timestamp"]

/** A row group that is read, and how to make batches of it. */
interface Group {
  readonly codec: Codec
  readonly options: ReadOptions
  readonly file: string
  /** Whether the file was decoded by the codec's schema; if not, its bytes are decoded again. */
  readonly current: boolean
  /** The first offset, where they are contiguous. */
  readonly first: number | undefined
  readonly rows: ColumnReader.Slices
  /** The columns of the records' bytes, read when they are asked for. */
  readonly bytes: Effect.Effect<ColumnReader.Slices, ParquetError>
}

/** The records of rows `[from, until)` of a row group, as a batch that covers their own offsets. */
const toBatch = Effect.fnUntraced(function* (
  group: Group,
  from: number,
  until: number
): Effect.fn.Return<ColumnBatch, ArchiveError | ParquetError | CodecError> {
  const { codec, current, file, first, options } = group
  const { partition, topic } = options
  const count = until - from
  const { columns } = group.rows(from, until)
  const offsets = first === undefined ? (columns["__offset"] as Float64Array) : contiguous(first + from, count)
  if (!current) {
    const all = Array.from({ length: count }, (_, i) => i)
    return yield* codec.decode(toRecords(options, columns, offsets, all), options.columns)
  }
  const frame = { topic, partition, base: offsets[0]!, next: offsets[count - 1]! + 1, count, offsets, columns }
  if (columns["__kind"] === undefined) return { ...frame, kinds: undefined, poison: new Map() }
  const kinds = Uint8Array.from(columns["__kind"] as ReadonlyArray<string>, (k) =>
    ArchiveSchema.kinds.indexOf(k as "raw")
  )
  const raw = Array.from(kinds.keys()).filter((i) => kinds[i] === Kind.poison)
  const poison = new Map<number, Poison>()
  if (raw.length > 0) {
    const bytes = (yield* group.bytes)(from, until)
    const again = yield* codec.decode(toRecords(options, bytes.columns, offsets, raw), [])
    for (const [j, i] of raw.entries()) {
      const reason = again.poison.get(j)
      if (reason === undefined)
        return yield* invalid(
          topic,
          `the record at partition ${partition} offset ${offsets[i]} in ${file} is kept as raw, but its value is valid`
        )
      poison.set(i, reason)
    }
  }
  return { ...frame, kinds, poison }
})

/** A row group in batches. */
const readRowGroup = (codec: Codec, options: ReadOptions, file: ColumnReader.ParquetFile, index: number) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const group = file.rowGroups[index]!
      const current = file.keyValueMetadata[ArchiveSchema.fingerprintKey] === codec.schema.fingerprint
      const first = contiguousFrom(group)
      const names = [
        ...(current ? options.columns : bytesColumns),
        ...(first === undefined ? ["__offset"] : []),
        ...(allDecoded(group) ? [] : ["__kind"])
      ]
      const rows = yield* ColumnReader.readSlices(file, index, names)
      const bytes = yield* Effect.cached(ColumnReader.readSlices(file, index, bytesColumns))
      const starts = Array.from({ length: Math.ceil(group.rowCount / batchRecords) }, (_, i) => i * batchRecords)
      return Stream.fromIterable(starts).pipe(
        Stream.mapEffect((from) =>
          toBatch(
            { codec, options, file: file.name, current, first, rows, bytes },
            from,
            Math.min(group.rowCount, from + batchRecords)
          )
        )
      )
    })
  )

const make = (location: string): Effect.Effect<Service, never, ObjectStore> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<ObjectStore>()
    const store = yield* ObjectStore

    const readFile = (codec: Codec, options: ReadOptions, file: DataFile): Stream.Stream<ColumnBatch, ArchiveError> =>
      Stream.unwrap(
        Effect.gen(function* () {
          const read = (start: number, end: number) => store.getRange(file.key, start, end)
          const parquet = yield* Effect.mapError(
            ColumnReader.open({
              name: file.path,
              byteLength: file.size,
              read,
              readMany: (ranges) => store.getRanges(file.key, ranges)
            }),
            failed(options.topic)
          )
          const wanted = parquet.rowGroups.flatMap((group, i) => {
            const { max, min } = group.statistics["__offset"] ?? {}
            const outside =
              typeof min === "number" && typeof max === "number" && (max < options.from || min >= options.until)
            return outside ? [] : [i]
          })
          return Stream.fromIterable(wanted).pipe(
            Stream.flatMap((i) => readRowGroup(codec, options, parquet, i)),
            Stream.mapError((e) => (e._tag === "ArchiveError" ? e : failed(options.topic)(e)))
          )
        })
      )

    return {
      location,
      holding: (topic) =>
        load(topic).pipe(
          Effect.map(({ coverage }) => ({
            topicId: coverage.topicId,
            ranges: coverage.ranges,
            records: coverage.records
          })),
          Effect.catchReason("IcebergError", "TableNotFound", () => Effect.succeed(undefined)),
          Effect.mapError((e) => (e._tag === "ArchiveError" ? e : failed(topic)(e))),
          Effect.provide(context)
        ),
      read: (codec, options) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const { table } = yield* load(options.topic)
            const files = yield* plan(table, options)
            return Stream.fromIterable(files).pipe(
              Stream.flatMap((file) => readFile(codec, options, file)),
              chain(options)
            )
          }).pipe(
            Effect.mapError((e) => (e._tag === "ArchiveError" ? e : failed(options.topic)(e))),
            Effect.provide(context)
          )
        )
    }
  })

const cut = (column: Column, from: number, until: number): Column =>
  column instanceof Float64Array ? column.subarray(from, until) : column.slice(from, until)

/** The part of a batch with offsets in `[from, until)`, covering from `base`. */
const slice = (batch: ColumnBatch, base: number, until: number): ColumnBatch => {
  let first = 0
  while (first < batch.count && batch.offsets[first]! < base) first++
  let end = batch.count
  while (end > first && batch.offsets[end - 1]! >= until) end--
  if (first === 0 && end === batch.count) return base === batch.base ? batch : { ...batch, base }
  const columns = Object.fromEntries(Object.entries(batch.columns).map(([name, c]) => [name, cut(c, first, end)]))
  const poison = new Map([...batch.poison].filter(([i]) => i >= first && i < end).map(([i, p]) => [i - first, p]))
  return {
    ...batch,
    base,
    next: end === batch.count ? Math.max(base, batch.next) : until,
    count: end - first,
    offsets: batch.offsets.subarray(first, end),
    columns,
    kinds: batch.kinds?.subarray(first, end),
    poison
  }
}

/** Makes batches chain from `from` and cover exactly up to `until`: offsets between files hold no records. */
const chain =
  ({ from, partition, topic, until }: ReadOptions) =>
  <E>(batches: Stream.Stream<ColumnBatch, E>): Stream.Stream<ColumnBatch, E> =>
    Stream.mapAccum(
      batches,
      () => from,
      (at, batch) => {
        const own = slice(batch, at, until)
        return [own.next, [own]] as const
      },
      {
        onHalt: (at) => (at < until ? [empty(topic, partition, at, until)] : [])
      }
    )

const empty = (topic: string, partition: number, base: number, next: number): ColumnBatch => ({
  topic,
  partition,
  base,
  next,
  count: 0,
  offsets: new Float64Array(0),
  columns: {},
  kinds: undefined,
  poison: new Map()
})

/** The archive over the `ObjectStore`: `location` is the same place as other engines see it, an absolute path or a URI. */
export const layer = (options: { readonly location: string }): Layer.Layer<Archive, never, ObjectStore> =>
  Layer.effect(Archive, make(options.location.replace(/\/+$/, "")))
