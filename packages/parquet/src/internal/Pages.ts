/** Pages with their headers, in Thrift's compact protocol: data pages of version 2, and dictionaries. */
import { Growing } from "./Growing.ts"

/** Compresses a page's values; `undefined` leaves them as they are. */
export type Compress = ((bytes: Uint8Array) => Uint8Array) | undefined

/** A page as it stands in the file, and how long it is with its values uncompressed. */
export interface Page {
  readonly bytes: Uint8Array
  readonly uncompressed: number
}

/** Encodings by their numbers in the format. */
export const Encoding = { PLAIN: 0, RLE_DICTIONARY: 8 } as const

const i32 = 5
const struct = 12
const isFalse = 2

/** A field header; `step` is how far the field's id is from the one before. */
const field = (out: Growing, step: number, type: number) => out.byte((step << 4) | type)

const integer = (out: Growing, step: number, value: number) => {
  field(out, step, i32)
  out.varint(value * 2)
}

const assemble = (header: Growing, levels: Uint8Array, stored: Uint8Array, values: Uint8Array): Page => {
  const uncompressed = header.length + levels.length + values.length
  header.bytes(levels)
  header.bytes(stored)
  return { bytes: header.written, uncompressed }
}

const sizes = (type: number, levels: Uint8Array, values: Uint8Array, stored: Uint8Array): Growing => {
  const out = new Growing(64 + levels.length + stored.length)
  integer(out, 1, type)
  integer(out, 1, levels.length + values.length)
  integer(out, 1, levels.length + stored.length)
  return out
}

/** A page of so many rows of a flat column; of its values without the nulls. */
export const data = (
  page: {
    readonly rows: number
    readonly nulls: number
    readonly encoding: number
    /** Definition levels. */
    readonly levels: Uint8Array
    readonly values: Uint8Array
  },
  compress: Compress
): Page => {
  const { encoding, levels, nulls, rows, values } = page
  const stored = compress?.(values) ?? values
  const out = sizes(3, levels, values, stored)
  field(out, 5, struct)
  integer(out, 1, rows)
  integer(out, 1, nulls)
  integer(out, 1, rows)
  integer(out, 1, encoding)
  integer(out, 1, levels.length)
  integer(out, 1, 0)
  if (compress === undefined) field(out, 1, isFalse)
  out.byte(0)
  out.byte(0)
  return assemble(out, levels, stored, values)
}

const none = new Uint8Array(0)

/** The page of a chunk's distinct values. */
export const dictionary = (count: number, values: Uint8Array, compress: Compress): Page => {
  const stored = compress?.(values) ?? values
  const out = sizes(2, none, values, stored)
  field(out, 4, struct)
  integer(out, 1, count)
  integer(out, 1, Encoding.PLAIN)
  out.byte(0)
  out.byte(0)
  return assemble(out, none, stored, values)
}
