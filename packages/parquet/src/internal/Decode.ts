/**
 * Column chunks to columns. Flat columns are decoded page by page into typed arrays, lists of records leaf by leaf.
 */
import { zstdDecompressSync } from "node:zlib"
import type { ColumnMetaData, Encoding, SchemaTree } from "hyparquet"
import { parquetHeader } from "hyparquet/src/column.js"
import { decompressPage, readDataPage } from "hyparquet/src/datapage.js"
import { readPlain } from "hyparquet/src/plain.js"
import type { ColumnDecoder, DecodedArray, PageHeader } from "hyparquet/src/types.js"
import type { Column } from "../Field.ts"
import { unitsPerMilli } from "./Elements.ts"
import * as Hybrid from "./Hybrid.ts"
import * as Int64 from "./Int64.ts"

/** The bytes `[start, end)` of a leaf of a column in one row group. */
export interface Chunk {
  readonly column: string
  readonly start: number
  readonly end: number
  readonly meta: ColumnMetaData
  readonly node: SchemaTree
}

const compressors = {
  ZSTD: (input: Uint8Array, size: number): Uint8Array => {
    const page: Uint8Array = zstdDecompressSync(input, { maxOutputLength: Math.max(1, size) })
    return page
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const decoderOf = ({ meta, node }: Chunk): ColumnDecoder => {
  const root: SchemaTree = { children: [node], count: 1, element: { name: "root" }, path: [] }
  const schemaPath = pathOf(root, meta.path_in_schema)
  const element = schemaPath.at(-1)!.element
  return {
    ...meta,
    pathInSchema: meta.path_in_schema,
    element,
    schemaPath,
    compressors,
    utf8: false
  } as unknown as ColumnDecoder
}

const pathOf = (root: SchemaTree, names: ReadonlyArray<string>): Array<SchemaTree> => {
  const path = [root]
  for (const name of names) path.push(path.at(-1)!.children.find((c) => c.element.name === name)!)
  return path
}

/** Decodes the chunks of one column, one a leaf. Throws what is wrong with their bytes. */
export const decodeChunk = (
  chunks: ReadonlyArray<Chunk>,
  bytes: ReadonlyArray<Uint8Array>,
  rowCount: number
): Decoded => {
  const [first] = chunks
  if (first === undefined) throw new RangeError("the row group has no such column chunk")
  if (first.node.children.length === 0) return decodeFlat(first, bytes[0]!, rowCount)
  return decodeList(chunks, bytes, rowCount)
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Values of a page (or dictionary) that aren't null, in their form in memory. */
const convert = (raw: DecodedArray, decoder: ColumnDecoder): Float64Array | ReadonlyArray<unknown> => {
  const { element } = decoder
  if (raw instanceof BigInt64Array) {
    const out = new Float64Array(raw.length)
    const units = unitsPerMilli(element)
    if (units !== undefined) Int64.toMillis(raw, units, out, 0)
    else {
      const unsafe = Int64.toNumbers(raw, out, 0)
      if (unsafe >= 0) throw new RangeError(`the value ${raw[unsafe]} isn't a safe integer`)
    }
    return out
  }
  if (raw instanceof Int32Array) {
    const unsigned =
      element.converted_type === "UINT_32" ||
      (element.logical_type?.type === "INTEGER" &&
        !element.logical_type.isSigned &&
        element.logical_type.bitWidth === 32)
    return unsigned ? Float64Array.from(raw, (v) => v >>> 0) : Float64Array.from(raw)
  }
  if (raw instanceof Float64Array) return raw.slice()
  if (raw instanceof Float32Array) return Float64Array.from(raw)
  const text =
    element.type === "BYTE_ARRAY" && (element.converted_type !== undefined || element.logical_type !== undefined)
  return text ? Array.from(raw as ArrayLike<Uint8Array>, (b) => utf8.decode(b)) : Array.from(raw as ArrayLike<unknown>)
}

const isNumeric = (decoder: ColumnDecoder): boolean => decoder.type !== "BYTE_ARRAY" && decoder.type !== "BOOLEAN"

/** Text or bytes as the file holds them mostly: each value as its place in a dictionary, -1 for a null. */
export interface Indexed {
  readonly dictionary: ReadonlyArray<unknown>
  readonly indices: Int32Array
}

/** A decoded column; {@link rows} gives its values. */
export type Decoded = Column | Indexed

/** An array of that length; `Array.from` takes as long for one as decoding a column does. */
const arrayOf = (length: number): Array<unknown> => {
  const out: Array<unknown> = []
  out.length = length
  return out
}

const lookUp = ({ dictionary, indices }: Indexed, from: number, until: number, out: Array<unknown>): void => {
  for (let i = from; i < until; i++) {
    const index = indices[i]!
    out[i - from] = index < 0 ? null : dictionary[index]
  }
}

/** The values of rows `[from, until)`. */
export const rows = (column: Decoded, from: number, until: number): Column => {
  if (column instanceof Float64Array)
    return from === 0 && until === column.length ? column : column.subarray(from, until)
  if (!("indices" in column)) return from === 0 && until === column.length ? column : column.slice(from, until)
  const out = arrayOf(until - from)
  lookUp(column, from, until, out)
  return out
}

/** The next page's header and its bytes, which must lie in the chunk. */
const nextPage = (reader: { readonly view: DataView; offset: number }, bytes: Uint8Array) => {
  const header = parquetHeader(reader)
  const size = header.compressed_page_size
  if (size < 0 || reader.offset + size > bytes.length)
    throw new RangeError(`a page of ${size} bytes goes beyond its column chunk`)
  const compressed = bytes.subarray(reader.offset, reader.offset + size)
  reader.offset += size
  return { header, compressed }
}

const readDictionary = (compressed: Uint8Array, header: PageHeader, decoder: ColumnDecoder) => {
  const page = decompressPage(compressed, header.uncompressed_page_size, decoder.codec, compressors)
  const entries = header.dictionary_page_header!.num_values
  return convert(
    readPlain({ view: viewOf(page), offset: 0 }, decoder.type, entries, decoder.element.type_length),
    decoder
  )
}

const decodeFlat = (chunk: Chunk, bytes: Uint8Array, rowCount: number): Decoded => {
  const decoder = decoderOf(chunk)
  const reader = { view: viewOf(bytes), offset: 0 }
  let numbers = isNumeric(decoder) ? new Float64Array(rowCount) : undefined
  let values: Array<unknown> | undefined
  // Text stays in indices as long as all of it refers to one dictionary.
  let indices = new Int32Array(rowCount)
  let dictionary: Float64Array | ReadonlyArray<unknown> | undefined
  let at = 0
  const output = (): Output => {
    if (numbers !== undefined) return numbers
    if (values === undefined) {
      values = arrayOf(rowCount)
      if (at > 0) lookUp({ dictionary: dictionary as ReadonlyArray<unknown>, indices }, 0, at, values)
      indices = new Int32Array(rowCount)
    }
    return values
  }
  while (at < rowCount) {
    if (reader.offset >= bytes.length) throw new RangeError(`it ends after ${at} of ${rowCount} rows`)
    const { compressed, header } = nextPage(reader, bytes)
    if (header.type === "DICTIONARY_PAGE") {
      if (dictionary !== undefined) throw new RangeError("it has two dictionaries")
      dictionary = readDictionary(compressed, header, decoder)
      continue
    }
    const { body, count, encoding, levels, present } = readPage(compressed, header, decoder)
    if (at + count > rowCount) throw new RangeError(`it has more than ${rowCount} rows`)
    if (levels !== undefined && numbers !== undefined) {
      // The first null: from here on the column is a plain array.
      values = Array.from(numbers)
      numbers = undefined
    }
    if (encoding.endsWith("_DICTIONARY")) {
      if (dictionary === undefined) throw new RangeError("a page refers to a dictionary that isn't there")
      const own = indices.subarray(at, at + count)
      readIndices(body, dictionary.length, present, own)
      if (levels !== undefined) spread(levels, present, own)
      if (numbers !== undefined) for (let i = 0; i < count; i++) numbers[at + i] = dictionary[own[i]!] as number
      else if (values !== undefined)
        for (let i = 0; i < count; i++) values[at + i] = own[i]! < 0 ? null : dictionary[own[i]!]
    } else place(convert(readValues(body, encoding, present, decoder), decoder), levels, output(), at, count)
    at += count
  }
  return numbers ?? values ?? { dictionary: (dictionary ?? []) as ReadonlyArray<unknown>, indices }
}

/** Reads the indices of a page's values; one that the dictionary doesn't have is damage. */
const readIndices = (body: Uint8Array, size: number, present: number, out: Int32Array): void => {
  const width = body[0] ?? 0
  if (width > 32) throw new RangeError(`its indices are said to have ${width} bits`)
  if (width === 0) out.fill(0, 0, present)
  else Hybrid.read(body, 1, body.length, width, out, present)
  for (let i = 0; i < present; i++) {
    if (out[i]! >>> 0 >= size) throw new RangeError(`it refers to entry ${out[i]} of a dictionary of ${size}`)
  }
}

/** Moves the indices of what is present to its rows, in place and so from the last one on, and puts -1 where nulls are. */
const spread = (levels: Uint8Array, present: number, indices: Int32Array): void => {
  let k = present
  for (let i = levels.length - 1; i >= 0; i--) indices[i] = levels[i] === 0 ? -1 : indices[--k]!
}

/** A data page of a flat column, decompressed. */
interface Page {
  readonly count: number
  /** Values that aren't null. */
  readonly present: number
  /** By value, 0 for a null; undefined where none is. */
  readonly levels: Uint8Array | undefined
  readonly encoding: Encoding
  /** The encoded values. */
  readonly body: Uint8Array
}

/** Splits a page into its levels and its values. */
const readPage = (compressed: Uint8Array, header: PageHeader, decoder: ColumnDecoder): Page => {
  const { codec } = decoder
  const optional = decoder.element.repetition_type === "OPTIONAL"
  if (header.type === "DATA_PAGE" && header.data_page_header !== undefined) {
    const { encoding, num_values: count } = header.data_page_header
    const page = decompressPage(compressed, header.uncompressed_page_size, codec, compressors)
    if (!optional) return { count, present: count, levels: undefined, encoding, body: page }
    if (page.length < 4) throw new RangeError("a page ends within its levels")
    const end = 4 + viewOf(page).getUint32(0, true)
    if (end > page.length) throw new RangeError("a page ends within its levels")
    return { ...readLevels(page, 4, end, count), encoding, body: page.subarray(end) }
  }
  if (header.type === "DATA_PAGE_V2" && header.data_page_header_v2 !== undefined) {
    const v2 = header.data_page_header_v2
    const { encoding, num_values: count } = v2
    const from = v2.repetition_levels_byte_length
    const end = from + v2.definition_levels_byte_length
    if (end > compressed.length) throw new RangeError("a page ends within its levels")
    const packed = compressed.subarray(end)
    const body =
      v2.is_compressed === false
        ? packed
        : decompressPage(packed, header.uncompressed_page_size - end, codec, compressors)
    if (!optional) return { count, present: count, levels: undefined, encoding, body }
    return { ...readLevels(compressed, from, end, count), encoding, body }
  }
  throw new RangeError(`it has a page of type ${String(header.type)}`)
}

const readLevels = (bytes: Uint8Array, at: number, end: number, count: number) => {
  if (Hybrid.isOneRun(bytes, at, end, 1, count)) return { count, present: count, levels: undefined }
  const levels = new Uint8Array(count)
  Hybrid.read(bytes, at, end, 1, levels, count)
  let present = 0
  for (let i = 0; i < count; i++) present += levels[i]!
  return { count, present, levels: present === count ? undefined : levels }
}

/** Values of any encoding but a dictionary's. */
const readValues = (body: Uint8Array, encoding: Encoding, present: number, decoder: ColumnDecoder): DecodedArray => {
  const header = {
    num_values: present,
    encoding,
    definition_level_encoding: "RLE" as const,
    repetition_level_encoding: "RLE" as const
  }
  // Levels are read already: to the decoder the column is required.
  return readDataPage(body, header, { ...decoder, schemaPath: decoder.schemaPath.slice(0, 1) }).dataPage
}

/** A page of a leaf of a list: repetition levels, definition levels and the encoded values. */
const splitListPage = (compressed: Uint8Array, header: PageHeader, { codec }: ColumnDecoder) => {
  const v2 = header.data_page_header_v2
  if (header.type === "DATA_PAGE_V2" && v2 !== undefined) {
    const middle = v2.repetition_levels_byte_length
    const end = middle + v2.definition_levels_byte_length
    if (end > compressed.length) throw new RangeError("a page ends within its levels")
    const packed = compressed.subarray(end)
    const size = header.uncompressed_page_size - end
    const body = v2.is_compressed === false ? packed : decompressPage(packed, size, codec, compressors)
    const [repetition, definition] = [compressed.subarray(0, middle), compressed.subarray(middle, end)]
    return { count: v2.num_values, encoding: v2.encoding, repetition, definition, body }
  }
  const v1 = header.data_page_header
  if (header.type !== "DATA_PAGE" || v1 === undefined)
    throw new RangeError(`it has a page of type ${String(header.type)}`)
  const page = decompressPage(compressed, header.uncompressed_page_size, codec, compressors)
  const levels = (at: number): Uint8Array => {
    if (at + 4 > page.length) throw new RangeError("a page ends within its levels")
    const end = at + 4 + viewOf(page).getUint32(at, true)
    if (end > page.length) throw new RangeError("a page ends within its levels")
    return page.subarray(at + 4, end)
  }
  const repetition = levels(0)
  const definition = levels(4 + repetition.length)
  const body = page.subarray(8 + repetition.length + definition.length)
  return { count: v1.num_values, encoding: v1.encoding, repetition, definition, body }
}

/** A list of records, leaf by leaf: the first one makes the lists and their records, the others fill in. */
const decodeList = (chunks: ReadonlyArray<Chunk>, bytes: ReadonlyArray<Uint8Array>, rowCount: number): Column => {
  const out: Array<Array<Record<string, unknown> | null> | null> = []
  const apart = (): never => {
    throw new RangeError("its fields have lists of different lengths")
  }
  for (const [c, chunk] of chunks.entries()) {
    const decoder = decoderOf(chunk)
    const [, list, , element, leaf] = decoder.schemaPath
    const optional = (node: SchemaTree | undefined) => (node?.element.repetition_type === "OPTIONAL" ? 1 : 0)
    const name = leaf!.element.name
    // Definition levels: a list that isn't null, a record (null or not), one that isn't null, a value that isn't null.
    const listed = optional(list)
    const there = listed + 1
    const whole = there + optional(element)
    const full = whole + optional(leaf)
    const reader = { view: viewOf(bytes[c]!), offset: 0 }
    const total = Number(chunk.meta.num_values)
    let dictionary: Float64Array | ReadonlyArray<unknown> | undefined
    let [row, nth] = [-1, 0]
    for (let seen = 0; seen < total;) {
      const { compressed, header } = nextPage(reader, bytes[c]!)
      if (header.type === "DICTIONARY_PAGE") {
        dictionary = readDictionary(compressed, header, decoder)
        continue
      }
      const { body, count, definition, encoding, repetition } = splitListPage(compressed, header, decoder)
      seen += count
      if (count <= 0 || seen > total)
        throw new RangeError(`a page of ${count} values goes beyond the ${total} of its chunk`)
      const [repeated, defined] = [new Uint8Array(count), new Uint8Array(count)]
      Hybrid.read(repetition, 0, repetition.length, 1, repeated, count)
      Hybrid.read(definition, 0, definition.length, 32 - Math.clz32(full), defined, count)
      let present = 0
      for (let i = 0; i < count; i++) if (defined[i] === full) present++
      let values: Float64Array | ReadonlyArray<unknown>
      if (encoding.endsWith("_DICTIONARY")) {
        if (dictionary === undefined) throw new RangeError("a page refers to a dictionary that isn't there")
        const indices = new Int32Array(present)
        readIndices(body, dictionary.length, present, indices)
        values = Array.from(indices, (index) => dictionary![index])
      } else values = convert(readValues(body, encoding, present, decoder), decoder)
      let k = 0
      for (let i = 0; i < count; i++) {
        const level = defined[i]!
        if (repeated[i] === 0) {
          nth = 0
          if (++row === rowCount) throw new RangeError(`it has more than ${rowCount} rows`)
          if (c === 0) out.push(level < listed ? null : [])
        } else nth++
        if (level < there) continue
        const records = out[row] ?? apart()
        const value = level === full ? values[k++] : null
        if (c === 0) records.push(level < whole ? null : { [name]: value })
        else {
          const record = nth < records.length ? records[nth]! : apart()
          if (record !== null) record[name] = value
        }
      }
    }
    if (row + 1 !== rowCount) throw new RangeError(`expected ${rowCount} rows, found ${row + 1}`)
  }
  return out
}

type Output = Float64Array | Array<unknown>

const place = (
  values: Float64Array | ReadonlyArray<unknown>,
  levels: Uint8Array | undefined,
  out: Output,
  at: number,
  count: number
): void => {
  if (levels === undefined && values instanceof Float64Array && out instanceof Float64Array) {
    out.set(values, at)
    return
  }
  let k = 0
  for (let i = 0; i < count; i++) out[at + i] = (levels !== undefined && levels[i] === 0 ? null : values[k++]) as number
}
