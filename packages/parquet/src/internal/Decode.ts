/**
 * Column chunks to columns. Flat columns are decoded page by page into typed arrays here; lists are assembled by `hyparquet`.
 */
import { zstdDecompressSync } from "node:zlib"
import type { ColumnMetaData, SchemaTree } from "hyparquet"
import { assembleNested } from "hyparquet/src/assemble.js"
import { parquetHeader, readColumn } from "hyparquet/src/column.js"
import { decompressPage, readDataPage, readDataPageV2 } from "hyparquet/src/datapage.js"
import { readPlain } from "hyparquet/src/plain.js"
import type { ColumnDecoder, DataPage, DecodedArray, PageHeader, ParquetParsers } from "hyparquet/src/types.js"
import type { Column } from "../Field.ts"
import { unitsPerMilli } from "./Elements.ts"
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
const parsers = { stringFromBytes: (bytes: Uint8Array) => bytes && utf8.decode(bytes) }

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
    parsers,
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
): Column => {
  const [first] = chunks
  if (first === undefined) throw new RangeError("the row group has no such column chunk")
  if (first.node.children.length === 0) return decodeFlat(first, bytes[0]!, rowCount)
  const leaves = new Map<string, Array<unknown>>()
  for (const [i, chunk] of chunks.entries()) {
    const reader = { view: viewOf(bytes[i]!), offset: 0 }
    const { data } = readColumn(
      reader,
      { groupStart: 0, selectStart: 0, selectEnd: rowCount, groupRows: rowCount },
      decoderOf(chunk)
    )
    leaves.set(
      chunk.meta.path_in_schema.join("."),
      data.flatMap((page) => Array.from(page as ArrayLike<unknown>))
    )
  }
  assembleNested(leaves, first.node, parsers as unknown as ParquetParsers)
  const rows = leaves.get(first.column)
  if (rows?.length !== rowCount) throw new RangeError(`expected ${rowCount} rows, found ${rows?.length ?? 0}`)
  return rows.map((row) => row ?? null)
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

const decodeFlat = (chunk: Chunk, bytes: Uint8Array, rowCount: number): Column => {
  const decoder = decoderOf(chunk)
  const { codec } = decoder
  const reader = { view: viewOf(bytes), offset: 0 }
  let numbers = isNumeric(decoder) ? new Float64Array(rowCount) : undefined
  const others: Array<unknown> = numbers === undefined ? Array.from({ length: rowCount }) : []
  let dictionary: Float64Array | ReadonlyArray<unknown> | undefined
  let values: Array<unknown> | undefined = numbers === undefined ? others : undefined
  let at = 0
  while (at < rowCount) {
    if (reader.offset >= bytes.length) throw new RangeError(`it ends after ${at} of ${rowCount} rows`)
    const header = parquetHeader(reader)
    const size = header.compressed_page_size
    if (size < 0 || reader.offset + size > bytes.length)
      throw new RangeError(`a page of ${size} bytes goes beyond its column chunk`)
    const compressed = bytes.subarray(reader.offset, reader.offset + size)
    reader.offset += size
    if (header.type === "DICTIONARY_PAGE") {
      const page = decompressPage(compressed, header.uncompressed_page_size, codec, compressors)
      dictionary = convert(
        readPlain(
          { view: viewOf(page), offset: 0 },
          decoder.type,
          header.dictionary_page_header!.num_values,
          decoder.element.type_length
        ),
        decoder
      )
      continue
    }
    const { count, encoding, page } = readPage(compressed, header, decoder)
    if (at + count > rowCount) throw new RangeError(`it has more than ${rowCount} rows`)
    const indexed = encoding.endsWith("_DICTIONARY")
    if (indexed && dictionary === undefined) throw new RangeError("a page refers to a dictionary that isn't there")
    const own = indexed ? undefined : convert(page.dataPage, decoder)
    const present = page.dataPage.length
    if (present < count && numbers !== undefined) {
      // The first null: from here on the column is a plain array.
      values = Array.from(numbers.subarray(0, rowCount))
      numbers = undefined
    }
    const levels = present < count ? page.definitionLevels! : undefined
    if (indexed) gather(dictionary!, page.dataPage as ArrayLike<number>, levels, numbers ?? values!, at, count)
    else place(own!, levels, numbers ?? values!, at, count)
    at += count
  }
  return numbers ?? values!
}

const readPage = (
  compressed: Uint8Array,
  header: PageHeader,
  decoder: ColumnDecoder
): { readonly count: number; readonly encoding: string; readonly page: DataPage } => {
  if (header.type === "DATA_PAGE" && header.data_page_header !== undefined) {
    const { encoding, num_values: count } = header.data_page_header
    const page = decompressPage(compressed, header.uncompressed_page_size, decoder.codec, compressors)
    return { count, encoding, page: readDataPage(page, header.data_page_header, decoder) }
  }
  if (header.type === "DATA_PAGE_V2" && header.data_page_header_v2 !== undefined) {
    const { encoding, num_values: count } = header.data_page_header_v2
    return { count, encoding, page: readDataPageV2(compressed, header, decoder) }
  }
  throw new RangeError(`it has a page of type ${String(header.type)}`)
}

type Output = Float64Array | Array<unknown>

/** Looks values up in the dictionary; a level of 0 is a null. */
const gather = (
  dictionary: Float64Array | ReadonlyArray<unknown>,
  indices: ArrayLike<number>,
  levels: ArrayLike<number> | undefined,
  out: Output,
  at: number,
  count: number
): void => {
  const size = dictionary.length
  let k = 0
  for (let i = 0; i < count; i++) {
    if (levels !== undefined && levels[i] === 0) {
      out[at + i] = null as never
      continue
    }
    const index = indices[k++]!
    if (!(index < size)) throw new RangeError(`it refers to entry ${index} of a dictionary of ${size}`)
    out[at + i] = dictionary[index] as number
  }
}

const place = (
  values: Float64Array | ReadonlyArray<unknown>,
  levels: ArrayLike<number> | undefined,
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
