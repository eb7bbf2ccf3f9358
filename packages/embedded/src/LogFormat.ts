/**
 * The bytes of a stored batch, little-endian. The header, 40 bytes:
 *
 * | at | type | what |
 * | --- | --- | --- |
 * | 0 | u8 | format |
 * | 1 | u8 | flags: 1 = headers, 2 = offsets with holes, 4 = timestamps in full |
 * | 2, 3 | u8 | bytes of a key's length, of a value's: 0 (all are null), 2 or 4 |
 * | 4 | u32 | records `n` |
 * | 8, 16 | f64 | base and next: the offsets that the batch covers |
 * | 24 | f64 | the smallest timestamp |
 * | 32, 36 | u32 | bytes of the data, of the headers |
 *
 * Then, each padded to a multiple of 4: timestamps (`n` f64, or u32 above the smallest), offsets (`n` u32 above base, only with holes),
 * the keys' lengths plus one (0 is null), the values' likewise, the data (key, value, key, value …), the headers (see `LogHeaders.ts`).
 *
 * A record costs 8 bytes beside its key and value. The data is read in place; the arrays are spread into the wider ones of a
 * {@link RecordBatch}, which costs a few nanoseconds a record and saves a tenth of the disk's bandwidth, the bound of an append.
 */
import type { ProducerBatch, RecordBatch } from "@headrace/core/Batch"
import * as LogHeaders from "./LogHeaders.ts"

/** The newest format that this version reads, and the one that it writes. */
export const format = 1

const headerSize = 40
const hasHeaders = 1
const hasOffsets = 2
const fullTimestamps = 4

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4

/** Offsets of the records, where they aren't consecutive. */
export interface Holes {
  /** By record, ascending. */
  readonly offsets: Float64Array
  /** The offset after the last one that is covered. */
  readonly next: number
}

const widthOf = (ranges: Int32Array, from: number, to: number): 0 | 2 | 4 => {
  let longest = -1
  for (let i = 2 * from; i < 2 * to; i += 2)
    if (ranges[i]! >= 0) longest = Math.max(longest, ranges[i + 1]! - ranges[i]!)
  return longest < 0 ? 0 : longest < 0xffff ? 2 : 4
}

const writeLengths = (out: Uint8Array, at: number, width: number, ranges: Int32Array, from: number, to: number) => {
  if (width === 0) return
  const lengths = width === 2 ? new Uint16Array(out.buffer, at, to - from) : new Uint32Array(out.buffer, at, to - from)
  for (let i = from; i < to; i++) lengths[i - from] = ranges[2 * i]! < 0 ? 0 : ranges[2 * i + 1]! - ranges[2 * i]! + 1
}

/** Where the data of records `[from, to)` stands in one piece, key before value, or -1. */
const oneStretch = (batch: ProducerBatch, from: number, to: number): number => {
  let start = -1
  let at = 0
  for (let i = 2 * from; i < 2 * to; i += 2) {
    for (const ranges of [batch.keys, batch.values]) {
      if (ranges[i]! < 0) continue
      if (start < 0) start = at = ranges[i]!
      if (ranges[i]! !== at) return -1
      at = ranges[i + 1]!
    }
  }
  return start
}

const writeData = (out: Uint8Array, at: number, size: number, batch: ProducerBatch, from: number, to: number): void => {
  const start = oneStretch(batch, from, to)
  if (start >= 0) {
    out.set(batch.bytes.subarray(start, start + size), at)
    return
  }
  for (let i = 2 * from; i < 2 * to; i += 2) {
    for (const ranges of [batch.keys, batch.values]) {
      if (ranges[i]! < 0) continue
      out.set(batch.bytes.subarray(ranges[i]!, ranges[i + 1]!), at)
      at += ranges[i + 1]! - ranges[i]!
    }
  }
}

/** Bytes of the keys and values of records `[from, to)`. */
export const dataSize = (batch: ProducerBatch, from: number, to: number): number => {
  let size = 0
  for (let i = 2 * from; i < 2 * to; i += 2) {
    if (batch.keys[i]! >= 0) size += batch.keys[i + 1]! - batch.keys[i]!
    if (batch.values[i]! >= 0) size += batch.values[i + 1]! - batch.values[i]!
  }
  return size
}

/** Encodes records `[from, to)` of a batch; the first gets the offset `base`, unless `holes` tells all of theirs. */
export const encode = (batch: ProducerBatch, from: number, to: number, base: number, holes?: Holes): Uint8Array => {
  const n = to - from
  let first = Infinity
  let last = -Infinity
  let narrow = true
  for (let i = from; i < to; i++) {
    const at = batch.timestamps[i]!
    if (at < first) first = at
    if (at > last) last = at
    narrow &&= Number.isSafeInteger(at)
  }
  narrow &&= last - first <= 0xffffffff
  const headers =
    batch.headers?.slice(from, to).some((of) => of.length > 0) === true
      ? LogHeaders.encode(batch.headers, from, to)
      : undefined
  const keyWidth = widthOf(batch.keys, from, to)
  const valueWidth = widthOf(batch.values, from, to)
  const size = dataSize(batch, from, to)

  const offsetsAt = headerSize + (narrow ? 4 : 8) * n
  const keysAt = offsetsAt + (holes === undefined ? 0 : 4 * n)
  const valuesAt = keysAt + padded(keyWidth * n)
  const dataAt = valuesAt + padded(valueWidth * n)
  const headersAt = dataAt + padded(size)

  const out = new Uint8Array(headersAt + (headers?.length ?? 0))
  const view = new DataView(out.buffer)
  out[0] = format
  out[1] =
    (headers === undefined ? 0 : hasHeaders) | (holes === undefined ? 0 : hasOffsets) | (narrow ? 0 : fullTimestamps)
  out[2] = keyWidth
  out[3] = valueWidth
  view.setUint32(4, n, true)
  view.setFloat64(8, base, true)
  view.setFloat64(16, holes?.next ?? base + n, true)
  view.setFloat64(24, n === 0 ? 0 : first, true)
  view.setUint32(32, size, true)
  view.setUint32(36, headers?.length ?? 0, true)
  if (narrow) {
    const deltas = new Uint32Array(out.buffer, headerSize, n)
    for (let i = 0; i < n; i++) deltas[i] = batch.timestamps[from + i]! - first
  } else new Float64Array(out.buffer, headerSize, n).set(batch.timestamps.subarray(from, to))
  if (holes !== undefined) {
    const deltas = new Uint32Array(out.buffer, offsetsAt, n)
    for (let i = 0; i < n; i++) deltas[i] = holes.offsets[from + i]! - base
  }
  writeLengths(out, keysAt, keyWidth, batch.keys, from, to)
  writeLengths(out, valuesAt, valueWidth, batch.values, from, to)
  writeData(out, dataAt, size, batch, from, to)
  if (headers !== undefined) out.set(headers, headersAt)
  return out
}

const lengthsAt = (stored: Uint8Array, at: number, width: number, n: number): Uint16Array | Uint32Array | undefined =>
  width === 0
    ? undefined
    : width === 2
      ? new Uint16Array(stored.buffer, stored.byteOffset + at, n)
      : new Uint32Array(stored.buffer, stored.byteOffset + at, n)

/** The format of a stored batch. */
export const formatOf = (stored: Uint8Array): number => stored[0] ?? 0

/** Reads a stored batch of {@link format}; its keys and values stay in `stored`. Throws a `RangeError` when its bytes can't be one. */
export const decode = (topic: string, partition: number, bytes: Uint8Array): RecordBatch => {
  const stored = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice()
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength)
  const flags = stored[1]!
  const keyWidth = stored[2]!
  const valueWidth = stored[3]!
  const n = view.getUint32(4, true)
  const base = view.getFloat64(8, true)
  const first = view.getFloat64(24, true)
  const size = view.getUint32(32, true)
  const headersSize = view.getUint32(36, true)

  const offsetsAt = headerSize + (flags & fullTimestamps ? 8 : 4) * n
  const keysAt = offsetsAt + (flags & hasOffsets ? 4 * n : 0)
  const valuesAt = keysAt + padded(keyWidth * n)
  const dataAt = valuesAt + padded(valueWidth * n)
  const headersAt = dataAt + padded(size)
  if (headersAt + headersSize !== stored.length) throw new RangeError("a stored batch's parts don't add up to its size")
  for (const width of [keyWidth, valueWidth])
    if (width !== 0 && width !== 2 && width !== 4) throw new RangeError(`a stored batch's lengths take ${width} bytes`)

  let timestamps: Float64Array
  if (flags & fullTimestamps) timestamps = new Float64Array(stored.buffer, stored.byteOffset + headerSize, n)
  else {
    const deltas = new Uint32Array(stored.buffer, stored.byteOffset + headerSize, n)
    timestamps = new Float64Array(n)
    for (let i = 0; i < n; i++) timestamps[i] = first + deltas[i]!
  }
  const offsets = new Float64Array(n)
  if (flags & hasOffsets) {
    const deltas = new Uint32Array(stored.buffer, stored.byteOffset + offsetsAt, n)
    for (let i = 0; i < n; i++) offsets[i] = base + deltas[i]!
  } else for (let i = 0; i < n; i++) offsets[i] = base + i

  const keyLengths = lengthsAt(stored, keysAt, keyWidth, n)
  const valueLengths = lengthsAt(stored, valuesAt, valueWidth, n)
  const keys = new Int32Array(2 * n).fill(-1)
  const values = new Int32Array(2 * n).fill(-1)
  let at = 0
  for (let i = 0; i < n; i++) {
    const key = keyLengths === undefined ? 0 : keyLengths[i]!
    if (key > 0) {
      keys[2 * i] = at
      keys[2 * i + 1] = at += key - 1
    }
    const value = valueLengths === undefined ? 0 : valueLengths[i]!
    if (value > 0) {
      values[2 * i] = at
      values[2 * i + 1] = at += value - 1
    }
  }
  if (at !== size) throw new RangeError("a stored batch's lengths don't add up to its data")
  return {
    topic,
    partition,
    base,
    next: view.getFloat64(16, true),
    count: n,
    offsets,
    timestamps,
    keys,
    values,
    bytes: stored.subarray(dataAt, dataAt + size),
    headers: flags & hasHeaders ? LogHeaders.decode(stored.subarray(headersAt), n) : undefined
  }
}
