/**
 * Iceberg's partition transforms as functions of a column's value in memory (see `Field.Value`). Pure; null stays null everywhere.
 *
 * Time counts from 1970 and rounds down, before 1970 too. `bucket` hashes by 32-bit Murmur3 over the bytes that the format prescribes, so an int
 * and the long that it was widened to fall into one bucket.
 */
import * as Bounds from "./Bounds.ts"
import type { ColumnType, Value } from "./Field.ts"

/** A transform, by its name in the format. */
export type Transform =
  | { readonly kind: "identity" | "year" | "month" | "day" | "hour" }
  /** `size` buckets. */
  | { readonly kind: "bucket"; readonly size: number }
  /** Numbers down to a multiple of `width`; text and bytes to their first `width` code points or bytes. */
  | { readonly kind: "truncate"; readonly width: number }

const rotl = (n: number, bits: number): number => (n << bits) | (n >>> (32 - bits))
const mixed = (k: number): number => Math.imul(rotl(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593)

/** The 32-bit Murmur3 hash (x86, seed 0), signed. */
export const murmur3 = (bytes: Uint8Array): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const whole = bytes.length & ~3
  let hash = 0
  for (let i = 0; i < whole; i += 4)
    hash = (Math.imul(rotl(hash ^ mixed(view.getInt32(i, true)), 13), 5) + 0xe6546b64) | 0
  let tail = 0
  for (let i = bytes.length - 1; i >= whole; i--) tail = (tail << 8) | bytes[i]!
  hash ^= mixed(tail) ^ bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

const long = (value: bigint): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigInt64(0, value, true)
  return bytes
}

const isNumber = (value: Value): value is number | bigint => typeof value === "number" || typeof value === "bigint"

/** The hash of a value, or `undefined` for a type or value that has none. */
export const hash = (type: ColumnType, value: Value): number | undefined => {
  switch (type.kind) {
    case "int":
    case "long":
    case "date":
      return isNumber(value) ? murmur3(long(BigInt(value))) : undefined
    case "timestamptz":
      return isNumber(value) ? murmur3(long(BigInt(value) * 1000n)) : undefined
    case "decimal": {
      const bytes = Bounds.encode(type, value, "lower")
      return bytes === undefined ? undefined : murmur3(bytes)
    }
    case "string":
      return typeof value === "string" ? murmur3(new TextEncoder().encode(value)) : undefined
    case "binary":
      return value instanceof Uint8Array ? murmur3(value) : undefined
    default:
      return undefined
  }
}

const millisPer = { hour: 3_600_000, day: 86_400_000 }

const timePart = (kind: "year" | "month" | "day" | "hour", type: ColumnType, value: number): number | undefined => {
  if (type.kind !== "timestamptz" && type.kind !== "date") return undefined
  const millis = type.kind === "date" ? value * millisPer.day : value
  switch (kind) {
    case "year":
      return new Date(millis).getUTCFullYear() - 1970
    case "month":
      return (new Date(millis).getUTCFullYear() - 1970) * 12 + new Date(millis).getUTCMonth()
    case "day":
      return Math.floor(millis / millisPer.day)
    case "hour":
      return type.kind === "date" ? undefined : Math.floor(millis / millisPer.hour)
  }
}

const truncated = (type: ColumnType, value: Value, width: number): Value | undefined => {
  switch (type.kind) {
    case "int":
    case "long":
    case "decimal": {
      if (typeof value === "number") return value - (((value % width) + width) % width)
      const w = BigInt(width)
      return typeof value === "bigint" ? value - (((value % w) + w) % w) : undefined
    }
    case "string":
      return typeof value === "string" ? Array.from(value).slice(0, width).join("") : undefined
    case "binary":
      return value instanceof Uint8Array ? value.slice(0, width) : undefined
    default:
      return undefined
  }
}

/** The type of a transform's values, or `undefined` where a column of this type can't be transformed so. */
export const typeOf = (transform: Transform, source: ColumnType): ColumnType | undefined => {
  const { kind } = source
  switch (transform.kind) {
    case "identity":
      return kind === "list" ? undefined : source
    case "year":
    case "month":
      return kind === "date" || kind === "timestamptz" ? { kind: "int" } : undefined
    case "day":
      return kind === "date" || kind === "timestamptz" ? { kind: "date" } : undefined
    case "hour":
      return kind === "timestamptz" ? { kind: "int" } : undefined
    case "bucket":
      return kind === "boolean" || kind === "double" || kind === "list" ? undefined : { kind: "int" }
    case "truncate":
      return ["int", "long", "decimal", "string", "binary"].includes(kind) ? source : undefined
  }
}

/** A value's partition value, or `undefined` where the value isn't of the type or the type can't be transformed so. */
export const apply = (transform: Transform, type: ColumnType, value: Value | null): Value | null | undefined => {
  if (typeOf(transform, type) === undefined) return undefined
  if (value === null) return null
  switch (transform.kind) {
    case "identity":
      return value
    case "bucket": {
      const hashed = hash(type, value)
      return hashed === undefined ? undefined : (hashed & 0x7fffffff) % transform.size
    }
    case "truncate":
      return truncated(type, value, transform.width)
    default:
      return typeof value === "number" ? timePart(transform.kind, type, value) : undefined
  }
}

const positive = (text: string | undefined): number | undefined => {
  const n = Number(text)
  return Number.isSafeInteger(n) && n >= 1 && n <= 0x7fffffff ? n : undefined
}

/** Reads a transform's name, e.g. `bucket[16]`; `undefined` for one that isn't known. */
export const parse = (text: string): Transform | undefined => {
  if (text === "identity" || text === "year" || text === "month" || text === "day" || text === "hour") {
    return { kind: text }
  }
  const match = /^(bucket|truncate)\[(\d{1,10})\]$/.exec(text)
  const n = positive(match?.[2])
  if (n === undefined) return undefined
  return match![1] === "bucket" ? { kind: "bucket", size: n } : { kind: "truncate", width: n }
}

/** A transform's name in the format. */
export const print = (transform: Transform): string =>
  transform.kind === "bucket"
    ? `bucket[${transform.size}]`
    : transform.kind === "truncate"
      ? `truncate[${transform.width}]`
      : transform.kind
