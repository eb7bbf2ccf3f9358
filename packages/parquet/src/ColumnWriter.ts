/**
 * Writing a Parquet file row group by row group: memory is bounded by one row group.
 *
 * Pages are compressed with the runtime's own zstd. Statistics are written for every column but binary ones and lists, and summed up per
 * file, so that a table can keep them as bounds.
 */
import { zstdCompressSync } from "node:zlib"
import type { ColumnChunk, CompressionCodec, SchemaElement } from "hyparquet"
import { ByteWriter, type ColumnSource, ParquetWriter } from "hyparquet-writer"
import { snappyCompress } from "hyparquet-writer/src/snappy.js"
import * as Effect from "effect/Effect"
import type { Column, ColumnType, Field, Value } from "./Field.ts"
import * as Chunks from "./internal/ColumnChunk.ts"
import * as Elements from "./internal/Elements.ts"
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

/** A file under way. */
export interface ColumnWriter {
  /** Writes one row group; every column of the schema must be there, `rowCount` long. Nothing is kept of the columns. */
  readonly writeRowGroup: (
    columns: Readonly<Record<string, Column>>,
    rowCount: number
  ) => Effect.Effect<void, ParquetError>
  /** Writes the footer. Nothing may be written after it. */
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

const isInteger = (type: ColumnType): boolean =>
  type.kind === "int" ||
  type.kind === "long" ||
  type.kind === "date" ||
  type.kind === "decimal" ||
  type.kind === "timestamptz"

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

/** So many bytes are handed on before the next column. */
const drained = 1 << 18

const zstd = (page: Uint8Array): Uint8Array => zstdCompressSync(page)

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
  const codecName: CompressionCodec = codec === "zstd" ? "ZSTD" : codec === "snappy" ? "SNAPPY" : "UNCOMPRESSED"
  const compress = codec === "zstd" ? zstd : codec === "snappy" ? snappyCompress : (page: Uint8Array) => page
  const writer = new ParquetWriter({
    writer: bytes,
    schema: Elements.withoutLogical(elements),
    codec: codecName,
    compressors: { ZSTD: zstd },
    kvMetadata: Object.entries(keyValueMetadata).map(([key, value]) => ({ key, value })),
    createdBy: "headrace"
  })
  const nulls = new Map<string, number>()
  const splitOffsets: Array<number> = []

  const fail = (column: string, detail: string): never => {
    throw new ParquetError({ reason: new ValueOutOfRange({ file, column, detail }) })
  }

  /** Checks a column and counts its nulls; gives the first row whose value doesn't fit, as an error. */
  const check = (field: Field, column: Column | undefined, rowCount: number): Column => {
    if (column === undefined || column.length !== rowCount)
      fail(field.name, `expected ${rowCount} values, got ${column?.length ?? "none"}`)
    const values = column!
    let count = 0
    for (let i = 0; i < rowCount; i++) {
      const value = values[i]
      if (value === null || value === undefined) count++
      else {
        const problem = problemOf(field.type, value)
        if (problem !== undefined) fail(field.name, `the value of row ${i} ${problem}: ${String(value).slice(0, 80)}`)
      }
    }
    if (count > 0 && field.required) fail(field.name, "it is required, and a value is null")
    nulls.set(field.name, (nulls.get(field.name) ?? 0) + count)
    return values
  }

  const factorOf = ({ kind }: ColumnType) => (kind === "timestamptz" ? 1000 : 1)
  const isWide = (type: ColumnType) =>
    type.kind === "long" || type.kind === "timestamptz" || (type.kind === "decimal" && type.precision > 9)

  /** A column as `hyparquet-writer` takes it: physical values. */
  const source = (field: Field, column: Column): ColumnSource => {
    const { kind } = field.type
    const plain = { name: field.name, columnIndex: false, offsetIndex: false }
    if (isWide(field.type)) {
      const factor = BigInt(factorOf(field.type))
      return { ...plain, data: Array.from(column, (v) => (v === null ? null : BigInt(v as number) * factor)) }
    }
    if (isInteger(field.type))
      return { ...plain, data: column instanceof Float64Array ? Int32Array.from(column) : [...column] }
    if (kind === "boolean") return { ...plain, data: [...(column as ReadonlyArray<unknown>)], encoding: "PLAIN" }
    if (kind === "binary")
      return { ...plain, data: [...(column as ReadonlyArray<unknown>)], encoding: "PLAIN", statistics: false }
    return {
      ...plain,
      data: column instanceof Float64Array ? column : [...column],
      ...(kind === "list" ? { statistics: false } : {})
    }
  }

  /** The chunks of a column: one, or of a list one a leaf. */
  const chunksOf = (field: Field, column: Column, rowCount: number): ReadonlyArray<ColumnChunk> => {
    const target = { bytes, name: field.name, required: field.required, codec: codecName, compress }
    if (field.type.kind === "string") return [Chunks.texts(target, column as Chunks.Texts)]
    if (isWide(field.type) && column instanceof Float64Array)
      return [Chunks.integers(target, column, factorOf(field.type))]
    // One group whatever its size; everything is in memory, so the write is synchronous.
    void writer.write({ columnData: [source(field, column)], rowGroupSize: rowCount })
    writer.num_rows -= BigInt(rowCount)
    return writer.row_groups.pop()!.columns
  }

  const writeRowGroup = (columns: Readonly<Record<string, Column>>, rowCount: number): void => {
    if (rowCount === 0) return
    const checked = schema.map((field) => check(field, columns[field.name], rowCount))
    const begin = bytes.offset
    splitOffsets.push(begin)
    const chunks: Array<ColumnChunk> = []
    // Column by column, so that what one needs is free before the next.
    for (const [i, field] of schema.entries()) {
      chunks.push(...chunksOf(field, checked[i]!, rowCount))
      if (bytes.index >= drained) drain()
    }
    drain()
    let total = 0n
    for (const { meta_data: meta } of chunks) total += meta?.total_uncompressed_size ?? 0n
    writer.num_rows += BigInt(rowCount)
    writer.row_groups.push({
      columns: chunks,
      total_byte_size: total,
      num_rows: BigInt(rowCount),
      total_compressed_size: BigInt(bytes.offset - begin)
    })
  }

  const finish = (): FileSummary => {
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
    writeRowGroup: (columns, rowCount) => attempt(() => writeRowGroup(columns, rowCount)),
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
const compare = (a: Value, b: Value): number => {
  if (typeof a === "string" && typeof b === "string")
    return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : a > b ? 1 : 0
}
