/**
 * Reading a Parquet file by column, row group by row group.
 *
 * Only the bytes of the wanted columns are read. Pages are decoded by `hyparquet`'s decoders straight into typed arrays; conversions that
 * would make an object a value (dates, big integers) are left out.
 */
import { type FileMetaData, parquetMetadata, parquetSchema, type SchemaTree } from "hyparquet"
import * as Effect from "effect/Effect"
import type { Column, Field, Value } from "./Field.ts"
import { type Chunk, decodeChunk } from "./internal/Decode.ts"
import * as Elements from "./internal/Elements.ts"
import { Corrupt, MissingColumn, NotParquet, ParquetError, ReadFailed, UnsupportedColumn } from "./ParquetError.ts"

/** Bytes at random: a local file, an object in a store, or memory. */
export interface RandomAccess<E = never> {
  /** Names the file in errors. */
  readonly name: string
  readonly byteLength: number
  /** The bytes `[start, end)`. */
  readonly read: (start: number, end: number) => Effect.Effect<Uint8Array, E>
}

/** Statistics of a column in a row group; bounds are in their form in memory and may be absent. */
export interface Statistics {
  readonly min: Value | undefined
  readonly max: Value | undefined
  readonly nullCount: number | undefined
}

export interface RowGroup {
  readonly rowCount: number
  readonly statistics: Readonly<Record<string, Statistics>>
}

/** An opened file. */
export interface ParquetFile {
  readonly name: string
  /** The columns that can be read; others are refused by name when they are asked for. */
  readonly schema: ReadonlyArray<Field>
  readonly rowCount: number
  readonly rowGroups: ReadonlyArray<RowGroup>
  readonly keyValueMetadata: Readonly<Record<string, string>>
  /** Not for use outside this package. */
  readonly internal: Internal
}

interface Internal {
  readonly metadata: FileMetaData
  readonly tree: SchemaTree
  readonly read: (start: number, end: number) => Effect.Effect<Uint8Array, ParquetError>
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

/** Statistics are converted by these: instants to milliseconds, everything else as it stands. */
const parsers = {
  timestampFromMilliseconds: (v: bigint) => Number(v),
  timestampFromMicroseconds: (v: bigint) => Number(v / 1000n),
  timestampFromNanoseconds: (v: bigint) => Number(v / 1000000n),
  dateFromDays: (v: number) => v
} as const

const bound = (value: unknown): Value | undefined =>
  typeof value === "bigint"
    ? Number(value)
    : typeof value === "number" || typeof value === "string" || typeof value === "boolean"
      ? value
      : undefined

/** Opens a file: reads its footer. */
export const open = Effect.fnUntraced(function* <E>(
  file: RandomAccess<E>
): Effect.fn.Return<ParquetFile, ParquetError> {
  const { byteLength, name } = file
  const notParquet = (detail: string) => wrap(new NotParquet({ file: name, detail }))
  const read = (start: number, end: number) =>
    file.read(start, end).pipe(
      Effect.mapError((cause) => wrap(new ReadFailed({ file: name, cause }))),
      Effect.filterOrFail(
        (bytes) => bytes.length === end - start,
        (bytes) => notParquet(`bytes ${start} to ${end} were asked for, ${bytes.length} came`)
      )
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
  const { metadata, tree } = yield* Effect.try({
    try: () => {
      const metadata = parquetMetadata(own.buffer, { parsers, geoparquet: false })
      return { metadata, tree: parquetSchema(metadata) }
    },
    catch: (cause) => notParquet(`its footer can't be read (${cause instanceof Error ? cause.message : String(cause)})`)
  })
  const schema = tree.children.flatMap((node) => Elements.toField(node) ?? [])
  return {
    name,
    schema,
    rowCount: Number(metadata.num_rows),
    rowGroups: metadata.row_groups.map((group) => ({
      rowCount: Number(group.num_rows),
      statistics: Object.fromEntries(
        group.columns.flatMap(({ meta_data: meta }) => {
          if (meta === undefined || meta.path_in_schema.length !== 1) return []
          const s = meta.statistics
          const statistics: Statistics = {
            min: bound(s?.min_value ?? s?.min),
            max: bound(s?.max_value ?? s?.max),
            nullCount: s?.null_count === undefined ? undefined : Number(s.null_count)
          }
          return [[meta.path_in_schema[0]!, statistics]]
        })
      )
    })),
    keyValueMetadata: Object.fromEntries(
      (metadata.key_value_metadata ?? []).map(({ key, value }) => [key, value ?? ""])
    ),
    internal: { metadata, tree, read }
  }
})

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

/** Ranges that lie this close are read as one. */
const gap = 1 << 13

/** The columns of one row group. */
export const readRowGroup = Effect.fnUntraced(function* (
  file: ParquetFile,
  rowGroup: number,
  columns: ReadonlyArray<string>
): Effect.fn.Return<{ readonly rowCount: number; readonly columns: Readonly<Record<string, Column>> }, ParquetError> {
  const { read, tree } = file.internal
  const { rowCount } = file.rowGroups[rowGroup]!
  for (const column of columns) {
    if (file.schema.some((f) => f.name === column)) continue
    const node = tree.children.find((n) => n.element.name === column)
    const names = tree.children.map((n) => n.element.name)
    if (node === undefined) return yield* wrap(new MissingColumn({ file: file.name, column, columns: names }))
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
  const bytes = new Map<Chunk, Uint8Array>()
  const ordered = chunks.toSorted((a, b) => a.start - b.start)
  for (let i = 0; i < ordered.length;) {
    let j = i + 1
    while (j < ordered.length && ordered[j]!.start - ordered[j - 1]!.end <= gap) j++
    const from = ordered[i]!.start
    const range = yield* read(from, ordered[j - 1]!.end)
    for (; i < j; i++) bytes.set(ordered[i]!, range.subarray(ordered[i]!.start - from, ordered[i]!.end - from))
  }
  const out: Record<string, Column> = {}
  for (const column of columns) {
    const own = chunks.filter((c) => c.column === column)
    out[column] = yield* Effect.try({
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
  }
  return { rowCount, columns: out }
})
