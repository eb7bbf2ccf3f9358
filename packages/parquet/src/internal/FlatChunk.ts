/**
 * A column chunk of a flat column under way: values are encoded as they come, so that a row group holds bytes and no objects.
 *
 * A chunk begins with a dictionary. When its distinct values turn out to be too many, those so far are written out and all others too (PLAIN),
 * and the column's later chunks begin so. Pages of plain values are compressed as soon as they are full. Values must have been checked.
 */
import type { ColumnChunk, Statistics } from "hyparquet"
import type { Column, Field } from "../Field.ts"
import { Growing } from "./Growing.ts"
import * as Hybrid from "./Hybrid.ts"
import * as Pages from "./Pages.ts"
import * as Text from "./Text.ts"

/** Bytes of many records in one buffer; `ranges` has `[start, end)` of record `i` at `2 * i` and `2 * i + 1`, a start of -1 is null. */
export interface ByteRanges {
  readonly bytes: Uint8Array
  readonly ranges: Int32Array
}

type Physical = "INT32" | "INT64" | "DOUBLE" | "BYTE_ARRAY"
type Scalar = number | string

/** Uncompressed, from which on a page is full. */
const pageBytes = 1 << 20
/** Values after which a dictionary is looked at, again and again. */
const trial = 8_192
const maxDistinct = 1 << 20

const physicalOf = ({ type }: Field): Physical => {
  switch (type.kind) {
    case "int":
    case "date":
      return "INT32"
    case "decimal":
      return type.precision <= 9 ? "INT32" : "INT64"
    case "double":
      return "DOUBLE"
    case "string":
    case "binary":
      return "BYTE_ARRAY"
    default:
      return "INT64"
  }
}

const two32 = 4294967296

/** Page buffers between two chunks: a process may have many files open, but it encodes one row group after the other. */
const spare: Array<Growing> = []
const mostSpare = 32

export class FlatChunk {
  readonly #field: Field
  readonly #compress: Pages.Compress
  readonly #codec: "ZSTD" | "SNAPPY" | "UNCOMPRESSED"
  readonly #physical: Physical
  readonly #factor: number
  /** Whether the column's chunks begin with a dictionary. */
  #hopeful: boolean
  #dictionary: Map<Scalar, number> | undefined
  #distinct: Array<Scalar> = []
  #indices = new Int32Array(0)
  #count = 0
  #plain = new Growing(0)
  #pages: Array<Pages.Page> = []
  #levels = new Uint8Array(0)
  #pageRows = 0
  #pageNulls = 0
  #rows = 0
  #nulls = 0
  #min: Scalar | undefined
  #max: Scalar | undefined

  constructor(field: Field, codec: "ZSTD" | "SNAPPY" | "UNCOMPRESSED", compress: Pages.Compress) {
    this.#field = field
    this.#codec = codec
    this.#compress = compress
    this.#physical = physicalOf(field)
    this.#factor = field.type.kind === "timestamptz" ? 1000 : 1
    this.#hopeful = field.type.kind !== "binary"
    if (this.#hopeful) this.#dictionary = new Map()
  }

  /** Bytes that are held. */
  get held(): number {
    return this.#pages.reduce((n, p) => n + p.bytes.length, 0) + this.#plain.data.length + this.#indices.byteLength
  }

  /** Appends so many values. */
  append(column: Column | ByteRanges, count: number): void {
    if (this.#plain.data.length === 0) this.#plain = spare.pop() ?? new Growing(1 << 12)
    this.#reserve(count)
    if ("ranges" in column) this.#appendRanges(column, count)
    else if (this.#field.type.kind === "binary") this.#appendBytes(column as ReadonlyArray<Uint8Array | null>, count)
    else if (column instanceof Float64Array && this.#dictionary === undefined) this.#appendNumbers(column, count)
    else
      for (let i = 0; i < count; i++) {
        const value = column[i] as Scalar | null | undefined
        if (value === null || value === undefined) this.#null()
        else this.#scalar(value)
      }
  }

  /** Room for the levels of so many more rows. */
  #reserve(count: number): void {
    if (this.#pageRows + count <= this.#levels.length) return
    const grown = new Uint8Array(Math.max(2 * this.#levels.length, this.#pageRows + count))
    grown.set(this.#levels.subarray(0, this.#pageRows))
    this.#levels = grown
  }

  #null(): void {
    this.#levels[this.#pageRows++] = 0
    this.#pageNulls++
  }

  /** A value was appended to the page. */
  #present(): void {
    this.#levels[this.#pageRows++] = 1
    if (this.#plain.length >= pageBytes) this.#endPage()
  }

  #scalar(value: Scalar): void {
    const dictionary = this.#dictionary
    if (dictionary === undefined) {
      this.#note(value)
      this.#put(value)
      this.#present()
      return
    }
    // -0 isn't 0, but a map's key is.
    const key = Object.is(value, -0) ? "-0" : value
    let index = dictionary.get(key)
    if (index === undefined) {
      index = this.#distinct.length
      dictionary.set(key, index)
      this.#distinct.push(value)
      this.#note(value)
    }
    if (this.#count === this.#indices.length) {
      const grown = new Int32Array(Math.max(trial, 2 * this.#count))
      grown.set(this.#indices)
      this.#indices = grown
    }
    this.#indices[this.#count++] = index
    this.#levels[this.#pageRows++] = 1
    if (this.#count % trial === 0 && (2 * this.#distinct.length > this.#count || this.#distinct.length > maxDistinct)) {
      this.#hopeful = false
      this.#giveUpDictionary()
    }
  }

  /** Writes out what the dictionary stands for. */
  #giveUpDictionary(): void {
    const distinct = this.#distinct
    for (let i = 0; i < this.#count; i++) this.#put(distinct[this.#indices[i]!]!)
    this.#dictionary = undefined
    this.#distinct = []
    this.#indices = new Int32Array(0)
    this.#count = 0
  }

  #appendNumbers(column: Float64Array, count: number): void {
    for (let i = 0; i < count; i++) {
      const value = column[i]!
      this.#note(value)
      this.#putNumber(value)
      this.#present()
    }
  }

  #appendBytes(column: ReadonlyArray<Uint8Array | null>, count: number): void {
    for (let i = 0; i < count; i++) {
      const value = column[i]
      if (value === null || value === undefined) this.#null()
      else {
        this.#putBytes(value, 0, value.length)
        this.#present()
      }
    }
  }

  #appendRanges({ bytes, ranges }: ByteRanges, count: number): void {
    for (let i = 0; i < count; i++) {
      const start = ranges[2 * i]!
      if (start < 0) this.#null()
      else {
        this.#putBytes(bytes, start, ranges[2 * i + 1]!)
        this.#present()
      }
    }
  }

  /** Widens the bounds. */
  #note(value: Scalar): void {
    if (typeof value === "string") {
      if (this.#min === undefined || Text.compare(value, this.#min as string) < 0) this.#min = value
      if (this.#max === undefined || Text.compare(value, this.#max as string) > 0) this.#max = value
    } else {
      if (Number.isNaN(value)) return
      if (this.#min === undefined || value < (this.#min as number)) this.#min = value
      if (this.#max === undefined || value > (this.#max as number)) this.#max = value
    }
  }

  #put(value: Scalar): void {
    if (typeof value === "string") Text.put(this.#plain, value)
    else this.#putNumber(value)
  }

  #putNumber(value: number): void {
    const plain = this.#plain
    plain.reserve(8)
    const at = plain.length
    switch (this.#physical) {
      case "INT32":
        plain.view.setInt32(at, value, true)
        plain.length = at + 4
        return
      case "DOUBLE":
        plain.view.setFloat64(at, value, true)
        plain.length = at + 8
        return
      default: {
        const high = Math.floor(value / two32)
        const low = (value - high * two32) * this.#factor
        const carry = Math.floor(low / two32)
        plain.view.setInt32(at, low - carry * two32, true)
        plain.view.setInt32(at + 4, high * this.#factor + carry, true)
        plain.length = at + 8
      }
    }
  }

  #putBytes(bytes: Uint8Array, start: number, end: number): void {
    const plain = this.#plain
    const size = end - start
    plain.reserve(4 + size)
    plain.view.setUint32(plain.length, size, true)
    const at = plain.length + 4
    // A view of a few bytes takes longer than the bytes.
    if (size > 64) plain.data.set(bytes.subarray(start, end), at)
    else for (let i = 0; i < size; i++) plain.data[at + i] = bytes[start + i]!
    plain.length = at + size
  }

  /** The levels of the page; a required column has none. */
  #levelBytes(): Uint8Array {
    const out = new Growing(16)
    if (!this.#field.required) {
      if (this.#pageNulls === 0) {
        out.varint(this.#pageRows * 2)
        out.byte(1)
      } else Hybrid.write(this.#levels, this.#pageRows, 1, out)
    }
    return out.written
  }

  #addPage(encoding: number, values: Uint8Array): void {
    const page = { rows: this.#pageRows, nulls: this.#pageNulls, encoding, levels: this.#levelBytes(), values }
    this.#pages.push(Pages.data(page, this.#compress))
    this.#rows += this.#pageRows
    this.#nulls += this.#pageNulls
    this.#pageRows = 0
    this.#pageNulls = 0
  }

  /** Ends a page of plain values. Room is left for the levels of the rows to come. */
  #endPage(): void {
    this.#addPage(Pages.Encoding.PLAIN, this.#plain.written)
    this.#plain.length = 0
  }

  #endDictionary(): Pages.Page {
    for (const value of this.#distinct) this.#put(value)
    const page = Pages.dictionary(this.#distinct.length, this.#plain.written, this.#compress)
    const width = Math.ceil(Math.log2(Math.max(1, this.#distinct.length)))
    const out = new Growing(1 << 12)
    out.byte(width)
    Hybrid.write(this.#indices, this.#count, width, out)
    this.#addPage(Pages.Encoding.RLE_DICTIONARY, out.written)
    this.#plain.length = 0
    return page
  }

  /** Ends the chunk, which begins at `offset` of the file, and begins another; its bytes go to `sink`. */
  end(offset: number, sink: (bytes: Uint8Array) => void): ColumnChunk {
    if (this.#dictionary !== undefined && 2 * this.#distinct.length >= this.#count) this.#giveUpDictionary()
    const dictionary = this.#dictionary === undefined ? undefined : this.#endDictionary()
    if (dictionary === undefined && this.#pageRows > 0) this.#endPage()
    const all = dictionary === undefined ? this.#pages : [dictionary, ...this.#pages]
    for (const page of all) sink(page.bytes)
    const sum = (of: (page: Pages.Page) => number) => BigInt(all.reduce((n, page) => n + of(page), 0))
    const statistics = this.#statistics()
    const encoding = dictionary === undefined ? "PLAIN" : "RLE_DICTIONARY"
    const first = BigInt(offset)
    const chunk: ColumnChunk = {
      file_offset: first,
      meta_data: {
        type: this.#physical,
        encodings: dictionary === undefined ? ["PLAIN"] : ["PLAIN", "RLE_DICTIONARY"],
        path_in_schema: [this.#field.name],
        codec: this.#codec,
        num_values: BigInt(this.#rows),
        total_compressed_size: sum((p) => p.bytes.length),
        total_uncompressed_size: sum((p) => p.uncompressed),
        data_page_offset: first + BigInt(dictionary?.bytes.length ?? 0),
        ...(dictionary === undefined ? {} : { dictionary_page_offset: first }),
        ...(statistics === undefined ? {} : { statistics }),
        encoding_stats: [
          ...(dictionary === undefined
            ? []
            : [{ page_type: "DICTIONARY_PAGE" as const, encoding: "PLAIN" as const, count: 1 }]),
          { page_type: "DATA_PAGE_V2", encoding, count: this.#pages.length }
        ]
      }
    }
    this.#begin()
    return chunk
  }

  #statistics(): Statistics | undefined {
    if (this.#field.type.kind === "binary") return undefined
    const physical = (bound: Scalar | undefined, zero: number) =>
      typeof bound !== "number"
        ? bound
        : this.#physical === "INT64"
          ? BigInt(bound) * BigInt(this.#factor)
          : bound === 0
            ? zero
            : bound
    // The format has a lower bound of 0 be -0, and an upper one 0.
    const min = physical(this.#min, this.#physical === "DOUBLE" ? -0 : 0)
    const max = physical(this.#max, 0)
    const bounds = min === undefined || max === undefined ? {} : { min_value: min, max_value: max }
    return { ...bounds, null_count: BigInt(this.#nulls) }
  }

  #begin(): void {
    this.#dictionary = this.#hopeful ? new Map() : undefined
    this.#distinct = []
    this.#indices = new Int32Array(0)
    this.#count = 0
    this.#levels = new Uint8Array(0)
    this.#pages = []
    this.#rows = 0
    this.#nulls = 0
    this.#min = undefined
    this.#max = undefined
    if (spare.length < mostSpare && this.#plain.data.length <= 4 * pageBytes) spare.push(this.#plain)
    this.#plain = new Growing(0)
  }
}
