/**
 * Iceberg's single-value binary form of column bounds, and its order of values. Pure.
 *
 * Integers, dates and timestamps are little-endian, a timestamptz in microseconds; decimals are big-endian two's complement in as few bytes
 * as it takes; strings are UTF-8. Long strings and bytes are cut to 16 code points or bytes, and an upper bound that was cut is incremented.
 */
import { compareKeys } from "@headrace/s3/Key"
import type { ColumnType, Value } from "./Field.ts"

/** Code points, or bytes, that a bound keeps. */
export const truncation = 16

/** Which end of a range a bound is: a value that can't be held exactly is rounded down for "lower" and up for "upper". */
export type Side = "lower" | "upper"

const littleEndian = (size: number, set: (view: DataView) => void): Uint8Array => {
  const bytes = new Uint8Array(size)
  set(new DataView(bytes.buffer))
  return bytes
}

const decimalBytes = (value: bigint): Uint8Array => {
  const bytes: Array<number> = []
  let rest = value
  for (;;) {
    const low = Number(BigInt.asUintN(8, rest))
    bytes.push(low)
    rest >>= 8n
    if ((rest === 0n && low < 0x80) || (rest === -1n && low >= 0x80)) return Uint8Array.from(bytes.reverse())
  }
}

/** A string's next one among those of the same number of code points: the last code point that can be is incremented, what follows dropped. */
const incrementString = (points: Array<string>): string | undefined => {
  for (let i = points.length - 1; i >= 0; i--) {
    const next = points[i]!.codePointAt(0)! + 1
    if (next > 0x10ffff) continue
    const stepped = next >= 0xd800 && next <= 0xdfff ? 0xe000 : next
    return points.slice(0, i).join("") + String.fromCodePoint(stepped)
  }
  return undefined
}

const incrementBytes = (bytes: Uint8Array): Uint8Array | undefined => {
  for (let i = bytes.length - 1; i >= 0; i--) {
    if (bytes[i] === 0xff) continue
    const out = bytes.slice(0, i + 1)
    out[i]!++
    return out
  }
  return undefined
}

/** The first `truncation` code points of a string, without walking the rest. */
const leading = (value: string): Array<string> => {
  const points: Array<string> = []
  for (const point of value) {
    if (points.push(point) === truncation) break
  }
  return points
}

const encodeString = (value: string, side: Side): Uint8Array | undefined => {
  const points = leading(value)
  const cut = points.join("")
  const bound = cut.length === value.length || side === "lower" ? cut : incrementString(points)
  // Half of a surrogate pair has no UTF-8 form, so a bound that holds one would lie.
  return bound === undefined || /\p{Surrogate}/u.test(bound) ? undefined : new TextEncoder().encode(bound)
}

const encodeBytes = (value: Uint8Array, side: Side): Uint8Array | undefined => {
  if (value.length <= truncation) return value.slice()
  const cut = value.slice(0, truncation)
  return side === "lower" ? cut : incrementBytes(cut)
}

/** A value of a column as a bound, or `undefined` when it has none: NaN, a value of another type, or an upper bound past every value. */
export const encode = (type: ColumnType, value: Value, side: Side): Uint8Array | undefined => {
  const integer = typeof value === "bigint" ? value : Number.isInteger(value) ? BigInt(value as number) : undefined
  const fits = (bits: number) => integer !== undefined && BigInt.asIntN(bits, integer) === integer
  switch (type.kind) {
    case "boolean":
      return typeof value === "boolean" ? Uint8Array.of(value ? 1 : 0) : undefined
    case "int":
    case "date":
      return fits(32) ? littleEndian(4, (view) => view.setInt32(0, Number(integer), true)) : undefined
    case "long":
      return fits(64) ? littleEndian(8, (view) => view.setBigInt64(0, integer!, true)) : undefined
    case "timestamptz":
      return fits(53) ? littleEndian(8, (view) => view.setBigInt64(0, integer! * 1000n, true)) : undefined
    case "double": {
      if (typeof value !== "number" || Number.isNaN(value)) return undefined
      // −0 sorts before +0: a bound of zero is the one that holds both.
      const bound = value === 0 ? (side === "lower" ? -0 : 0) : value
      return littleEndian(8, (view) => view.setFloat64(0, bound, true))
    }
    case "decimal":
      return integer === undefined ? undefined : decimalBytes(integer)
    case "string":
      return typeof value === "string" ? encodeString(value, side) : undefined
    case "binary":
      return value instanceof Uint8Array ? encodeBytes(value, side) : undefined
    case "list":
      return undefined
  }
}

const exact = (value: bigint): number | bigint => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** Whole milliseconds of microseconds, rounded towards the side's outside. */
export const millisOf = (micros: bigint, side: Side): number => {
  const rest = ((micros % 1000n) + 1000n) % 1000n
  return Number((micros - rest) / 1000n) + (rest > 0n && side === "upper" ? 1 : 0)
}

/** A bound's value, or `undefined` when the bytes aren't of the type. Int and date bounds of 4 bytes also serve a column widened to long. */
export const decode = (type: ColumnType, bytes: Uint8Array, side: Side): Value | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (type.kind) {
    case "boolean":
      return bytes.length === 1 ? bytes[0] !== 0 : undefined
    case "int":
    case "date":
      return bytes.length === 4 ? view.getInt32(0, true) : undefined
    case "long":
      if (bytes.length === 4) return view.getInt32(0, true)
      return bytes.length === 8 ? exact(view.getBigInt64(0, true)) : undefined
    case "timestamptz":
      return bytes.length === 8 ? millisOf(view.getBigInt64(0, true), side) : undefined
    case "double":
      if (bytes.length === 4) return view.getFloat32(0, true)
      return bytes.length === 8 ? view.getFloat64(0, true) : undefined
    case "decimal": {
      if (bytes.length === 0) return undefined
      let value = BigInt.asIntN(8, BigInt(bytes[0]!))
      for (const byte of bytes.subarray(1)) value = (value << 8n) | BigInt(byte)
      return exact(value)
    }
    case "string":
      return new TextDecoder().decode(bytes)
    case "binary":
      return bytes.slice()
    case "list":
      return undefined
  }
}

const compareBytes = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}

/** The order of two values of one type: false before true, numbers by size, strings by code point, bytes unsigned. */
export const compare = (a: Value, b: Value): number => {
  if (typeof a === "string" && typeof b === "string") return compareKeys(a, b)
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b)
  return a < b ? -1 : a > b ? 1 : 0
}
