/**
 * Writing a Parquet file row group by row group: memory is bounded by one row group, whose flat columns are encoded as they come.
 *
 * Pages are compressed with the runtime's own zstd. Statistics are written for every column but binary ones and lists, and summed up per
 * file, so that a table can keep them as bounds.
 */
import { zstdCompressSync } from "node:zlib"
import type { ColumnChunk, SchemaElement } from "hyparquet"
import { ByteWriter, type ColumnSource, ParquetWriter } from "hyparquet-writer"
import * as Effect from "effect/Effect"
import type { Column, ColumnType, Field, Value } from "./Field.ts"
import * as Elements from "./internal/Elements.ts"
import { type ByteRanges, FlatChunk } from "./internal/FlatChunk.ts"
import * as Text from "./internal/Text.ts"
import { ParquetError, ValueOutOfRange } from "./ParquetError.ts"

/** A new file. */
export interface Options {
  readonly schema: ReadonlyArray<Field>
  /** Gets the file's bytes in order; each chunk is the callee's own. */
  readonly sink: (chunk: Uint8Array) => void
  /** Names the file in errors. Default `"(new file)"`. */
  readonly name?: string
  /** Default `"zstd"`. */
  readonly codec?: "zstd" | "snappy" | "uncompressed"
  readonly keyValueMetadata?: Readonly<Record<string, string>>
}

/** What is known of a column of a finished file. A list is summed up under its leaves. */
export interface ColumnSummary {
  readonly name: string
  readonly fieldId: number | undefined
  /** In bytes. */
  readonly compressedSize: number
  readonly valueCount: number
  readonly nullCount: number
  /** Bounds of all values that aren't null; undefined where there is none, and for binary columns. */
  readonly min: Value | undefined
  readonly max: Value | undefined
}

/** What is known of a finished file. */
export interface FileSummary {
  /** In bytes. */
  readonly fileSize: number
  readonly rowCount: number
  /** Where each row group begins, in bytes. */
  readonly splitOffsets: ReadonlyArray<number>
  readonly columns: ReadonlyArray<ColumnSummary>
}

/** Columns to write. Bytes may come as ranges of one buffer, without an object a value. */
export type Columns = Readonly<Record<string, Column | ByteRanges>>

/** A file under way. */
export interface ColumnWriter {
  /**
   * Appends rows to the row group under way; every column of the schema must be there, `rowCount` long. Nothing is kept of the columns but
   * of lists and booleans. Fails before it appends anything.
   */
  readonly append: (columns: Columns, rowCount: number) => Effect.Effect<void, ParquetError>
  /** Writes what was appended as a row group; does nothing if that is nothing. */
  readonly endRowGroup: Effect.Effect<void>
  /** Appends rows and ends the row group. */
  readonly writeRowGroup: (columns: Columns, rowCount: number) => Effect.Effect<void, ParquetError>
  /** Ends the row group under way and writes the footer. Nothing may be written after it. */
  readonly finish: () => Effect.Effect<FileSummary>
}

interface Leaf {
  readonly field: Field
  readonly path: string
  readonly fieldId: number | undefined
}

const leavesOf = (field: Field, path: string): ReadonlyArray<Leaf> =>
  field.type.kind === "list"
    ? field.type.element.flatMap((f) => leavesOf(f, `${path}.list.element.${f.name}`))
    : [{ field, path, fieldId: field.fieldId }]

/** Why a value can't be in a column of the type, or undefined. */
const problemOf = (type: ColumnType, value: unknown): string | undefined => {
  switch (type.kind) {
    case "boolean":
      return typeof value === "boolean" ? undefined : "isn't a boolean"
    case "double":
      return typeof value === "number" ? undefined : "isn't a number"
    case "string":
      return typeof value === "string" ? (value.isWellFormed() ? undefined : "isn't well-formed Unicode") : "isn't text"
    case "binary":
      return value instanceof Uint8Array ? undefined : "isn't bytes"
    case "list":
      return Array.isArray(value) ? undefined : "isn't a list"
    case "int":
    case "date":
      return typeof value === "number" && (value | 0) === value ? undefined : "isn't a 32-bit integer"
    case "decimal":
      return Number.isSafeInteger(value) && Math.abs(value as number) < 10 ** type.precision
        ? undefined
        : `isn't a scaled integer of ${type.precision} digits`
    case "long":
      return Number.isSafeInteger(value) ? undefined : "isn't a safe integer"
    case "timestamptz":
      return Number.isInteger(value) && Math.abs(value as number) <= 8.64e15
        ? undefined
        : "isn't a whole number of milliseconds"
  }
}

/** Opens a writer. */
export const make = (options: Options): Effect.Effect<ColumnWriter> => Effect.sync(() => makeUnsafe(options))

const makeUnsafe = ({
  codec = "zstd",
  keyValueMetadata = {},
  name: file = "(new file)",
  schema,
  sink
}: Options): ColumnWriter => {
  const elements = Elements.toElements(schema)
  const bytes = new ByteWriter(1 << 16)
  const drain = () => {
    if (bytes.index > 0) sink(new Uint8Array(bytes.buffer.slice(0, bytes.index)))
    bytes.index = 0
  }
  const compression = codec === "zstd" ? "ZSTD" : codec === "snappy" ? "SNAPPY" : "UNCOMPRESSED"
  const writer = new ParquetWriter({
    writer: bytes,
    schema: Elements.withoutLogical(elements),
    codec: compression,
    compressors: { ZSTD: (page: Uint8Array) => zstdCompressSync(page) },
    kvMetadata: Object.entries(keyValueMetadata).map(([key, value]) => ({ key, value })),
    createdBy: "headrace"
  })
  const nulls = new Map<string, number>()
  const splitOffsets: Array<number> = []

  const fail = (column: string, detail: string): never => {
    throw new ParquetError({ reason: new ValueOutOfRange({ file, column, detail }) })
  }

  /** Checks a column; gives how many nulls it has. The first row whose value doesn't fit is an error. */
  const check = (field: Field, column: Column | ByteRanges | undefined, rowCount: number): number => {
    const length = column === undefined ? "none" : "ranges" in column ? column.ranges.length / 2 : column.length
    if (length !== rowCount) fail(field.name, `expected ${rowCount} values, got ${length}`)
    let count = 0
    if ("ranges" in column!) {
      if (field.type.kind !== "binary") fail(field.name, "its values are ranges of bytes")
      for (let i = 0; i < rowCount; i++) if (column.ranges[2 * i]! < 0) count++
    } else {
      for (let i = 0; i < rowCount; i++) {
        const value = column![i]
        if (value === null || value === undefined) count++
        else {
          const problem = problemOf(field.type, value)
          if (problem !== undefined) fail(field.name, `the value of row ${i} ${problem}: ${String(value).slice(0, 80)}`)
        }
      }
    }
    if (count > 0 && field.required) fail(field.name, "it is required, and a value is null")
    return count
  }

  const parts = schema.map((field) =>
    field.type.kind === "list" || field.type.kind === "boolean"
      ? { field, held: [] as Array<unknown> }
      : { field, flat: new FlatChunk(field, compression, writer.compressors[compression]) }
  )
  let rows = 0

  const append = (columns: Columns, rowCount: number): void => {
    const counts = schema.map((field) => check(field, columns[field.name], rowCount))
    for (const [i, { name: column }] of schema.entries()) nulls.set(column, (nulls.get(column) ?? 0) + counts[i]!)
    for (const part of parts) {
      const column = columns[part.field.name]!
      if (part.flat !== undefined) part.flat.append(column, rowCount)
      else for (let i = 0; i < rowCount; i++) part.held.push((column as ReadonlyArray<unknown>)[i])
    }
    rows += rowCount
  }

  /** The chunks of a column that isn't flat, or whose values are bits. */
  const delegate = (field: Field, data: Array<unknown>): ReadonlyArray<ColumnChunk> => {
    const kind: Partial<ColumnSource> = field.type.kind === "list" ? { statistics: false } : { encoding: "PLAIN" }
    const source = { name: field.name, data, columnIndex: false, offsetIndex: false, ...kind }
    // One group whatever its size; everything is in memory, so the write is synchronous.
    void writer.write({ columnData: [source], rowGroupSize: data.length })
    const group = writer.row_groups.pop()!
    writer.num_rows -= group.num_rows
    return group.columns
  }

  const endRowGroup = (): void => {
    if (rows === 0) return
    const began = bytes.offset
    splitOffsets.push(began)
    const columns = parts.flatMap((part) => {
      if (part.flat === undefined) return delegate(part.field, part.held.splice(0))
      return [part.flat.end(bytes.offset, (page) => bytes.appendBytes(page))]
    })
    writer.row_groups.push({
      columns,
      total_byte_size: columns.reduce((n, c) => n + (c.meta_data?.total_uncompressed_size ?? 0n), 0n),
      num_rows: BigInt(rows),
      total_compressed_size: BigInt(bytes.offset - began)
    })
    writer.num_rows += BigInt(rows)
    rows = 0
    drain()
  }

  const finish = (): FileSummary => {
    endRowGroup()
    const summary = summarise()
    // Bounds of decimals are scaled already; the writer scales plain numbers.
    const byPath = new Map(schema.flatMap((f) => leavesOf(f, f.name)).map((l) => [l.path, l]))
    for (const group of writer.row_groups) {
      for (const { meta_data: meta } of group.columns) {
        const s = meta?.statistics
        if (s === undefined || byPath.get(meta!.path_in_schema.join("."))?.field.type.kind !== "decimal") continue
        if (typeof s.min_value === "number") s.min_value = BigInt(s.min_value)
        if (typeof s.max_value === "number") s.max_value = BigInt(s.max_value)
      }
    }
    writer.schema = elements as Array<SchemaElement>
    void writer.finish()
    drain()
    return { ...summary, fileSize: bytes.offset }
  }

  const summarise = (): Omit<FileSummary, "fileSize"> => {
    const columns = schema
      .flatMap((field) => leavesOf(field, field.name))
      .map(({ field, fieldId, path }): ColumnSummary => {
        let [compressedSize, valueCount] = [0, 0]
        let min: Value | undefined
        let max: Value | undefined
        for (const group of writer.row_groups) {
          const meta = group.columns.find((c) => c.meta_data?.path_in_schema.join(".") === path)?.meta_data
          compressedSize += Number(meta?.total_compressed_size ?? 0n)
          valueCount += Number(meta?.num_values ?? 0n)
          const [low, high] = [
            inMemory(field.type, meta?.statistics?.min_value),
            inMemory(field.type, meta?.statistics?.max_value)
          ]
          if (low !== undefined && (min === undefined || compare(low, min) < 0)) min = low
          if (high !== undefined && (max === undefined || compare(high, max) > 0)) max = high
        }
        return { name: path, fieldId, compressedSize, valueCount, nullCount: nulls.get(path) ?? 0, min, max }
      })
    return { rowCount: Number(writer.num_rows), splitOffsets, columns }
  }

  const attempt = <A>(work: () => A): Effect.Effect<A, ParquetError> =>
    Effect.try({
      try: work,
      catch: (cause) => {
        if (cause instanceof ParquetError) return cause
        throw cause
      }
    })
  return {
    append: (columns, rowCount) => attempt(() => append(columns, rowCount)),
    endRowGroup: Effect.sync(endRowGroup),
    writeRowGroup: (columns, rowCount) =>
      attempt(() => {
        append(columns, rowCount)
        endRowGroup()
      }),
    finish: () => Effect.sync(finish)
  }
}

/** A physical bound in its form in memory. */
const inMemory = (type: ColumnType, value: unknown): Value | undefined => {
  if (typeof value === "bigint") return type.kind === "timestamptz" ? Number(value / 1000n) : Number(value)
  if (typeof value === "number") return type.kind === "double" ? value : value + 0
  return typeof value === "string" || typeof value === "boolean" ? value : undefined
}

/** Text by code point, everything else by value. */
const compare = (a: Value, b: Value): number =>
  typeof a === "string" && typeof b === "string" ? Text.compare(a, b) : a < b ? -1 : a > b ? 1 : 0
