/**
 * Reading a Parquet file by column, row group by row group.
 *
 * Only the bytes of the wanted columns are read. Pages are decoded by `hyparquet`'s decoders straight into typed arrays; conversions that
 * would make an object a value (dates, big integers) are left out.
 */
import {
  type ColumnMetaData,
  type FileMetaData,
  parquetMetadata,
  parquetSchema,
  type SchemaElement,
  type SchemaTree
} from "hyparquet"
import * as Effect from "effect/Effect"
import type { Column, ColumnType, Field, Value } from "./Field.ts"
import { type Chunk, type Decoded, decodeChunk, rows } from "./internal/Decode.ts"
import * as Elements from "./internal/Elements.ts"
import { Corrupt, MissingColumn, NotParquet, ParquetError, ReadFailed, UnsupportedColumn } from "./ParquetError.ts"

/** Bytes at random: a local file, an object in a store, or memory. */
export interface RandomAccess<E = never> {
  /** Names the file in errors. */
  readonly name: string
  readonly byteLength: number
  /** The bytes `[start, end)`. */
  readonly read: (start: number, end: number) => Effect.Effect<Uint8Array, E>
  /** Several ranges at once, in their order. Default: `read`, one after the other. */
  readonly readMany?: (
    ranges: ReadonlyArray<{ readonly start: number; readonly end: number }>
  ) => Effect.Effect<ReadonlyArray<Uint8Array>, E>
}

/** Statistics of a column in a row group; bounds are in their form in memory and may be absent. */
export interface Statistics {
  readonly min: Value | undefined
  readonly max: Value | undefined
  readonly nullCount: number | undefined
}

/** What is known of a row group without reading it. */
export interface RowGroup {
  readonly rowCount: number
  readonly statistics: Readonly<Record<string, Statistics>>
}

/** An opened file. */
export interface ParquetFile {
  readonly name: string
  /** The columns that can be read; others are refused by name when they are asked for. */
  readonly schema: ReadonlyArray<Field>
  /** Names of the columns that can't be read. */
  readonly unreadable: ReadonlyArray<string>
  readonly rowCount: number
  readonly rowGroups: ReadonlyArray<RowGroup>
  readonly keyValueMetadata: Readonly<Record<string, string>>
  /** Not for use outside this package. */
  readonly internal: Internal
}

interface Internal {
  readonly metadata: FileMetaData
  readonly tree: SchemaTree
  readonly readMany: (
    ranges: ReadonlyArray<{ readonly start: number; readonly end: number }>
  ) => Effect.Effect<ReadonlyArray<Uint8Array>, ParquetError>
}

const wrap = (reason: ParquetError["reason"]) => new ParquetError({ reason })

/** A file that is in memory. */
export const fromBytes = (name: string, bytes: Uint8Array): RandomAccess => ({
  name,
  byteLength: bytes.length,
  read: (start, end) => Effect.succeed(bytes.subarray(start, end))
})

/** Bytes of the footer that are read at first. */
const firstRead = 1 << 16

/** Rounded down, as the values are. */
const divide = (v: bigint, by: bigint): number => Number(v < 0n ? (v - by + 1n) / by : v / by)

/** Statistics are converted by these: instants to milliseconds, everything else as it stands. */
const parsers = {
  timestampFromMilliseconds: (v: bigint) => Number(v),
  timestampFromMicroseconds: (v: bigint) => divide(v, 1000n),
  timestampFromNanoseconds: (v: bigint) => divide(v, 1000000n),
  dateFromDays: (v: number) => v
} as const

/** A bound in the form that values have in memory; one that may not enclose them exactly is left out. */
const boundOf = (value: unknown, type: ColumnType): Value | undefined => {
  switch (type.kind) {
    case "boolean":
      return typeof value === "boolean" ? value : undefined
    case "string":
      // What was cut within a character is no bound any more.
      return typeof value === "string" && !value.includes("\ufffd") ? value : undefined
    case "decimal": {
      // They come divided by their scale, which rounds.
      const scaled = Math.round(Number(value) * 10 ** type.scale)
      return Math.abs(scaled) <= 2 ** 50 ? scaled : undefined
    }
    case "binary":
    case "list":
      return undefined
    default: {
      const number = typeof value === "bigint" ? Number(value) : value
      if (typeof number !== "number" || Number.isNaN(number)) return undefined
      return type.kind === "double" || Number.isSafeInteger(number) ? number : undefined
    }
  }
}

const statisticsOf = (s: ColumnMetaData["statistics"], element: SchemaElement, type: ColumnType): Statistics => {
  // Older writers' `min` and `max` compare bytes and unsigned integers as if they were signed.
  const unsigned = element.type === "BYTE_ARRAY" || Elements.isUnsigned(element)
  const [min, max] = unsigned ? [s?.min_value, s?.max_value] : [s?.min_value ?? s?.min, s?.max_value ?? s?.max]
  return {
    min: min === undefined ? undefined : boundOf(min, type),
    max: max === undefined ? undefined : boundOf(max, type),
    nullCount: s?.null_count === undefined ? undefined : Number(s.null_count)
  }
}

const rowGroupsOf = (metadata: FileMetaData, tree: SchemaTree): ReadonlyArray<RowGroup> => {
  const columns = new Map(
    tree.children.flatMap((node) => {
      const type = Elements.toField(node)?.type
      return type === undefined ? [] : [[node.element.name, { element: node.element, type }] as const]
    })
  )
  return metadata.row_groups.map((group) => ({
    rowCount: count(group.num_rows),
    statistics: Object.fromEntries(
      group.columns.flatMap(({ meta_data: meta }) => {
        const column = meta?.path_in_schema.length === 1 ? columns.get(meta.path_in_schema[0]!) : undefined
        if (meta === undefined || column === undefined) return []
        return [[meta.path_in_schema[0]!, statisticsOf(meta.statistics, column.element, column.type)]]
      })
    )
  }))
}

/** Opens a file: reads its footer. */
export const open = Effect.fnUntraced(function* <E>(
  file: RandomAccess<E>
): Effect.fn.Return<ParquetFile, ParquetError> {
  const { byteLength, name } = file
  const notParquet = (detail: string) => wrap(new NotParquet({ file: name, detail }))
  const whole = (bytes: Uint8Array | undefined, start: number, end: number) =>
    bytes?.length === end - start
      ? Effect.succeed(bytes)
      : Effect.fail(notParquet(`bytes ${start} to ${end} were asked for, ${bytes?.length ?? 0} came`))
  const failed = (cause: unknown) => wrap(new ReadFailed({ file: name, cause }))
  const read = (start: number, end: number) =>
    Effect.flatMap(Effect.mapError(file.read(start, end), failed), (bytes) => whole(bytes, start, end))
  const many = file.readMany
  const readMany: Internal["readMany"] = (ranges) =>
    many === undefined
      ? Effect.forEach(ranges, ({ end, start }) => read(start, end))
      : Effect.flatMap(Effect.mapError(many(ranges), failed), (found) =>
          Effect.forEach(ranges, ({ end, start }, i) => whole(found[i], start, end))
        )
  if (byteLength < 12) return yield* notParquet(`it has ${byteLength} bytes`)
  const begin = Math.max(0, byteLength - firstRead)
  let footer = yield* read(begin, byteLength)
  const tail = new DataView(footer.buffer, footer.byteOffset + footer.length - 8, 8)
  if (tail.getUint32(4, true) !== 0x31524150) return yield* notParquet("it doesn't end with PAR1")
  const length = tail.getUint32(0, true)
  if (length > byteLength - 12) return yield* notParquet(`its footer is said to have ${length} bytes of ${byteLength}`)
  if (length + 8 > footer.length) footer = yield* read(byteLength - length - 8, byteLength)
  const own = footer.slice()
  return yield* Effect.try({
    try: () => describe(name, parquetMetadata(own.buffer, { parsers, geoparquet: false }), readMany),
    catch: (cause) => notParquet(`its footer can't be read (${cause instanceof Error ? cause.message : String(cause)})`)
  })
})

const describe = (name: string, metadata: FileMetaData, readMany: Internal["readMany"]): ParquetFile => {
  const tree = parquetSchema(metadata)
  if (tree.children.some((n) => typeof n.element.name !== "string")) throw new RangeError("a column has no name")
  const schema = tree.children.flatMap((node) => Elements.toField(node) ?? [])
  return {
    name,
    schema,
    unreadable: tree.children.map((n) => n.element.name).filter((n) => !schema.some((f) => f.name === n)),
    rowCount: count(metadata.num_rows),
    rowGroups: rowGroupsOf(metadata, tree),
    keyValueMetadata: Object.fromEntries(
      (metadata.key_value_metadata ?? []).map(({ key, value }) => [key, value ?? ""])
    ),
    internal: { metadata, tree, readMany }
  }
}

/** A number of rows; anything else is damage. */
const count = (rows: bigint): number => {
  const number = Number(rows)
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`it is said to have ${rows} rows`)
  return number
}

/** Byte ranges to read for the wanted columns of a row group: a plan, made without reading. */
export const plan = (file: ParquetFile, rowGroup: number, columns: ReadonlyArray<string>): ReadonlyArray<Chunk> => {
  const group = file.internal.metadata.row_groups[rowGroup]
  return columns.flatMap((name) => {
    const node = file.internal.tree.children.find((n) => n.element.name === name)
    return (group?.columns ?? []).flatMap(({ meta_data: meta }) => {
      if (meta === undefined || meta.path_in_schema[0] !== name || node === undefined) return []
      const dictionary = meta.dictionary_page_offset
      // Some writers leave an offset of 0 where there is no dictionary.
      const start = Number(
        dictionary !== undefined && dictionary > 0n && dictionary < meta.data_page_offset
          ? dictionary
          : meta.data_page_offset
      )
      return [{ column: name, start, end: start + Number(meta.total_compressed_size), meta, node }]
    })
  })
}

const codecs: ReadonlyArray<string> = ["UNCOMPRESSED", "SNAPPY", "ZSTD"]

/** What of a column chunk can't be read here, though it may well be right. */
const unsupported = ({ codec, encodings }: ColumnMetaData): string | undefined => {
  if (!codecs.includes(codec)) return `its compression is ${codec ?? "unknown"}: write it with zstd, snappy or none`
  return encodings.some((e) => e === undefined) ? "one of its encodings is unknown" : undefined
}

/** Ranges that lie this close are read as one. */
const gap = 1 << 13

/** Columns of some rows. */
export interface Rows {
  readonly rowCount: number
  readonly columns: Readonly<Record<string, Column>>
}

/** The columns of rows `[from, until)` of a row group. */
export type Slices = (from: number, until: number) => Rows

/** The columns of one row group. */
export const readRowGroup = (
  file: ParquetFile,
  rowGroup: number,
  columns: ReadonlyArray<string>
): Effect.Effect<Rows, ParquetError> =>
  Effect.map(readSlices(file, rowGroup, columns), (slice) => slice(0, file.rowGroups[rowGroup]!.rowCount))

/**
 * Reads a row group and gives a function from a range of its rows to their columns. Slices of some thousand rows cost less than the whole:
 * text is made a value when its slice is, so that it is still in the processor's caches when it is used.
 */
export const readSlices = Effect.fnUntraced(function* (
  file: ParquetFile,
  rowGroup: number,
  columns: ReadonlyArray<string>
): Effect.fn.Return<Slices, ParquetError> {
  const { readMany, tree } = file.internal
  const { rowCount } = file.rowGroups[rowGroup]!
  for (const column of columns) {
    if (file.schema.some((f) => f.name === column)) continue
    const node = tree.children.find((n) => n.element.name === column)
    const known = tree.children.map((n) => n.element.name).join(", ")
    if (node === undefined) return yield* wrap(new MissingColumn({ file: file.name, column, known }))
    const { converted_type: converted, logical_type: logical, type } = node.element
    return yield* wrap(
      new UnsupportedColumn({
        file: file.name,
        column,
        detail: `its type is ${logical?.type ?? converted ?? type ?? "a group"}`
      })
    )
  }
  const chunks = plan(file, rowGroup, columns)
  for (const { column, meta } of chunks) {
    const detail = unsupported(meta)
    if (detail !== undefined) return yield* wrap(new UnsupportedColumn({ file: file.name, column, detail }))
  }
  const bytes = new Map<Chunk, Uint8Array>()
  const ordered = chunks.toSorted((a, b) => a.start - b.start)
  const ranges: Array<{ readonly start: number; end: number; readonly holds: Array<Chunk> }> = []
  for (const chunk of ordered) {
    const last = ranges.at(-1)
    if (last !== undefined && chunk.start - last.end <= gap) {
      last.end = Math.max(last.end, chunk.end)
      last.holds.push(chunk)
    } else ranges.push({ start: chunk.start, end: chunk.end, holds: [chunk] })
  }
  const found = yield* readMany(ranges)
  for (const [i, { holds, start }] of ranges.entries())
    for (const chunk of holds) bytes.set(chunk, found[i]!.subarray(chunk.start - start, chunk.end - start))
  const decoded: Array<readonly [string, Decoded]> = []
  for (const column of columns) {
    const own = chunks.filter((c) => c.column === column)
    const values = yield* Effect.try({
      try: () =>
        decodeChunk(
          own,
          own.map((c) => bytes.get(c)!),
          rowCount
        ),
      catch: (cause) =>
        cause instanceof ParquetError
          ? cause
          : wrap(
              new Corrupt({
                file: file.name,
                column,
                rowGroup,
                detail: cause instanceof Error ? cause.message : String(cause),
                cause
              })
            )
    })
    decoded.push([column, values])
  }
  return (from, until) => ({
    rowCount: until - from,
    columns: Object.fromEntries(decoded.map(([name, values]) => [name, rows(values, from, until)]))
  })
})
