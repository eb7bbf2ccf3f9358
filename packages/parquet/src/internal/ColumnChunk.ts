/**
 * A column chunk of text or of wide integers without nulls, written straight into bytes: no object per value, and one page buffer for all.
 *
 * `hyparquet-writer` encodes the other kinds; what is written here is what it would write: pages of 1 MiB, a dictionary where it halves the
 * values, bounds by code point.
 */
import type { ColumnChunk, CompressionCodec, Encoding } from "hyparquet"
import { ByteWriter } from "hyparquet-writer"
import { writePageHeader } from "hyparquet-writer/src/datapage.js"
import { writeRleBitPackedHybrid } from "hyparquet-writer/src/encoding.js"
import * as Int64 from "./Int64.ts"

/** What text columns hold. */
export type Texts = ReadonlyArray<string | null | undefined>

export interface Target {
  readonly bytes: ByteWriter
  readonly name: string
  readonly required: boolean
  readonly codec: CompressionCodec
  readonly compress: (page: Uint8Array) => Uint8Array
}

const pageBytes = 1 << 20
/** Entries of a page of dictionary indexes. */
const pageEntries = 1 << 18
const sampled = 1000

/** The page under way: a page is encoded and compressed in one go, so that all columns share it. */
let page: Buffer = Buffer.allocUnsafe(pageBytes + (1 << 16))

const room = (at: number, more: number): void => {
  if (at + more <= page.length) return
  const grown = Buffer.allocUnsafe(2 * (at + more))
  page.copy(grown, 0, 0, at)
  page = grown
}

/** Writes a text with its length before it; gives where it ends. */
const writeText = (text: string, at: number): number => {
  const { length } = text
  room(at, 4 + 3 * length)
  let end = at + 4
  let i = 0
  if (length < 32)
    for (; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x80) break
      page[end++] = code
    }
  if (i < length) end = at + 4 + page.write(text, at + 4, "utf8")
  page.writeUInt32LE(end - at - 4, at)
  return end
}

/** Text by code point. */
const isBelow = (a: string, b: string): boolean => Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0

// oxlint-disable-next-line no-control-regex
const notAscii = /[^\u0000-\u007f]/

/** The bounds of texts that aren't null, by code point: as code units where all are ASCII. */
const boundsOf = (values: Iterable<string | null | undefined>): { min: string; max: string } | undefined => {
  let bounds: { min: string; max: string } | undefined
  for (const value of values) {
    if (value === null || value === undefined) continue
    if (bounds === undefined) bounds = { min: value, max: value }
    // Most values are within; of two ASCII texts code units decide.
    else if (notAscii.test(value) || notAscii.test(bounds.min) || notAscii.test(bounds.max)) {
      if (isBelow(value, bounds.min)) bounds.min = value
      if (isBelow(bounds.max, value)) bounds.max = value
    } else if (value < bounds.min) bounds.min = value
    else if (value > bounds.max) bounds.max = value
  }
  return bounds
}

/** The distinct values, and the place of each value that isn't null among them; undefined where that would not halve their bytes. */
const dictionaryOf = <A extends string | number>(
  values: ArrayLike<A | null | undefined>,
  sizeOf: (value: A) => number
): { readonly distinct: ReadonlyArray<A>; readonly indexes: Int32Array } | undefined => {
  const n = values.length
  const sample = new Set<A | null | undefined>()
  const step = Math.max(1, Math.floor(n / sampled))
  let taken = 0
  for (let i = 0; i < n; i += step, taken++) sample.add(values[i])
  if (sample.size > 0.9 * taken) return undefined
  const places = new Map<A, number>()
  const distinct: Array<A> = []
  const indexes = new Int32Array(n)
  let [count, whole, once] = [0, 0, 0]
  for (let i = 0; i < n; i++) {
    const value = values[i]
    if (value === null || value === undefined) continue
    let index = places.get(value)
    const size = sizeOf(value)
    if (index === undefined) {
      index = distinct.length
      distinct.push(value)
      places.set(value, index)
      once += size
    }
    whole += size
    indexes[count++] = index
    // Not worth it any more, whatever comes.
    if (count >= 4096 && 2 * once > whole && 2 * distinct.length > count) return undefined
  }
  if (count === 0) return undefined
  const width = bitsOf(distinct.length)
  if (2 * (once + Math.ceil((count * width) / 8)) > whole) return undefined
  return { distinct, indexes: indexes.subarray(0, count) }
}

const bitsOf = (count: number): number => (count < 2 ? 0 : 32 - Math.clz32(count - 1))

/** A chunk under way. */
class Chunk {
  readonly #target: Target
  readonly #begin: number
  #uncompressed = 0
  #dictionaryAt: bigint | undefined
  #dataAt: bigint | undefined
  #pages = 0

  constructor(target: Target) {
    this.#target = target
    this.#begin = target.bytes.offset
  }

  /** The distinct values: the first `size` bytes of the page. */
  dictionary(size: number, count: number): void {
    this.#dictionaryAt = BigInt(this.#target.bytes.offset)
    this.#put(size, new Uint8Array(0), (lengths) => ({
      type: "DICTIONARY_PAGE",
      ...lengths,
      dictionary_page_header: { num_values: count, encoding: "PLAIN" }
    }))
  }

  /** The values of the rows `[from, to)`, of which `levels` says which are null; undefined when none is. */
  data(values: Uint8Array, encoding: Encoding, levels: Uint8Array | undefined, from: number, to: number): void {
    this.#dataAt ??= BigInt(this.#target.bytes.offset)
    this.#pages++
    const rows = to - from
    const levelBytes = new ByteWriter(16)
    let nulls = 0
    if (!this.#target.required) {
      const own = levels?.subarray(from, to) ?? new Uint8Array(rows).fill(1)
      for (let i = 0; i < rows; i++) nulls += 1 - own[i]!
      writeRleBitPackedHybrid(levelBytes, own, 1)
    }
    const before = levelBytes.getBytes()
    this.#put(values, before, (lengths) => ({
      type: "DATA_PAGE_V2",
      ...lengths,
      data_page_header_v2: {
        num_values: rows,
        num_nulls: nulls,
        num_rows: rows,
        encoding,
        definition_levels_byte_length: before.length,
        repetition_levels_byte_length: 0,
        is_compressed: true
      }
    }))
  }

  #put(
    values: Uint8Array | number,
    before: Uint8Array,
    header: (lengths: {
      readonly uncompressed_page_size: number
      readonly compressed_page_size: number
    }) => Parameters<typeof writePageHeader>[1]
  ): void {
    const { bytes, compress } = this.#target
    const plain = typeof values === "number" ? page.subarray(0, values) : values
    const packed = compress(plain)
    const start = bytes.offset
    writePageHeader(
      bytes,
      header({
        uncompressed_page_size: before.length + plain.length,
        compressed_page_size: before.length + packed.length
      })
    )
    this.#uncompressed += bytes.offset - start + before.length + plain.length
    bytes.appendBytes(before)
    bytes.appendBytes(packed)
  }

  /** Pages of indexes into the dictionary. */
  indexes(indexes: Int32Array, count: number, levels: Uint8Array | undefined, rows: number): void {
    const width = bitsOf(count)
    let used = 0
    for (let from = 0; from < rows; from += pageEntries) {
      const to = Math.min(rows, from + pageEntries)
      let present = to - from
      if (levels !== undefined) for (let i = from; i < to; i++) present -= 1 - levels[i]!
      const writer = new ByteWriter(((to - from) * width) / 8 + 64)
      writer.appendUint8(width)
      writeRleBitPackedHybrid(writer, indexes.subarray(used, used + present), width)
      this.data(writer.getBytes(), "RLE_DICTIONARY", levels, from, to)
      used += present
    }
  }

  finish(
    type: "BYTE_ARRAY" | "INT64",
    rows: number,
    statistics: { readonly min_value: string | bigint | undefined; readonly max_value: string | bigint | undefined },
    nulls: number
  ): ColumnChunk {
    const { bytes, codec, name } = this.#target
    const withDictionary = this.#dictionaryAt !== undefined
    return {
      file_offset: BigInt(this.#begin),
      meta_data: {
        type,
        encodings: withDictionary ? ["PLAIN", "RLE_DICTIONARY"] : ["PLAIN"],
        path_in_schema: [name],
        codec,
        num_values: BigInt(rows),
        total_uncompressed_size: BigInt(this.#uncompressed),
        total_compressed_size: BigInt(bytes.offset - this.#begin),
        data_page_offset: this.#dataAt!,
        dictionary_page_offset: this.#dictionaryAt,
        statistics: { ...statistics, null_count: BigInt(nulls) },
        encoding_stats: [
          ...(withDictionary ? [{ page_type: "DICTIONARY_PAGE", encoding: "PLAIN", count: 1 } as const] : []),
          { page_type: "DATA_PAGE_V2", encoding: withDictionary ? "RLE_DICTIONARY" : "PLAIN", count: this.#pages }
        ]
      }
    } as ColumnChunk
  }
}

/** Writes text; every value is well-formed or null. */
export const texts = (target: Target, values: Texts): ColumnChunk => {
  const chunk = new Chunk(target)
  const rows = values.length
  let levels: Uint8Array | undefined
  let nulls = 0
  for (let i = 0; i < rows; i++) {
    if (values[i] !== null && values[i] !== undefined) continue
    levels ??= new Uint8Array(rows).fill(1)
    levels[i] = 0
    nulls++
  }
  const found = dictionaryOf(values, (value) => value.length + 4)
  const bounds = boundsOf(found?.distinct ?? values)
  let at = 0
  if (found !== undefined) {
    for (const value of found.distinct) at = writeText(value, at)
    chunk.dictionary(at, found.distinct.length)
    chunk.indexes(found.indexes, found.distinct.length, levels, rows)
  } else {
    let from = 0
    for (let i = 0; i < rows; i++) {
      const value = values[i]
      if (value !== null && value !== undefined) at = writeText(value, at)
      if (at < pageBytes) continue
      chunk.data(page.subarray(0, at), "PLAIN", levels, from, i + 1)
      from = i + 1
      at = 0
    }
    if (from < rows) chunk.data(page.subarray(0, at), "PLAIN", levels, from, rows)
  }
  return chunk.finish("BYTE_ARRAY", rows, { min_value: bounds?.min, max_value: bounds?.max }, nulls)
}

/** Writes safe integers times `factor` as 64-bit integers. */
export const integers = (target: Target, values: Float64Array, factor: number): ColumnChunk => {
  const chunk = new Chunk(target)
  const rows = values.length
  let [min, max] = [values[0]!, values[0]!]
  for (let i = 1; i < rows; i++) {
    const value = values[i]!
    if (value < min) min = value
    else if (value > max) max = value
  }
  const bytesOf = (numbers: Float64Array) => new Uint8Array(Int64.fromNumbers(numbers, factor).buffer)
  const found = dictionaryOf(values, () => 8)
  if (found !== undefined) {
    const bytes = bytesOf(Float64Array.from(found.distinct))
    room(0, bytes.length)
    page.set(bytes)
    chunk.dictionary(bytes.length, found.distinct.length)
    chunk.indexes(found.indexes, found.distinct.length, undefined, rows)
  } else
    for (let from = 0; from < rows; from += pageBytes / 8) {
      const to = Math.min(rows, from + pageBytes / 8)
      chunk.data(bytesOf(values.subarray(from, to)), "PLAIN", undefined, from, to)
    }
  const statistics = { min_value: BigInt(min) * BigInt(factor), max_value: BigInt(max) * BigInt(factor) }
  return chunk.finish("INT64", rows, statistics, 0)
}
