/**
 * Parquet's hybrid of runs and bit-packed groups, in which levels and dictionary indices stand.
 *
 * A run is a header `length << 1` and a value of whole bytes; a packed stretch is a header `groups << 1 | 1` and 8 values a group, `width`
 * bits each, from the lowest bit on. Bytes that end too early throw a `RangeError`.
 */
import type { Growing } from "./Growing.ts"

const endsEarly = (): never => {
  throw new RangeError("its levels or indices end too early")
}

/** The values of `bytes[at, end)`, the first `count` of them, into `out`. `width` is at most 32. */
export const read = (
  bytes: Uint8Array,
  at: number,
  end: number,
  width: number,
  out: Int32Array | Uint8Array,
  count: number
): void => {
  const mask = width === 32 ? -1 : (1 << width) - 1
  const valueBytes = (width + 7) >> 3
  let n = 0
  while (n < count) {
    let header = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= end || shift > 28) endsEarly()
      const byte = bytes[at++]!
      header |= (byte & 127) << shift
      if (byte < 128) break
    }
    const stretch = header >>> 1
    if ((header & 1) === 0) {
      if (at + valueBytes > end) endsEarly()
      let value = 0
      for (let i = 0; i < valueBytes; i++) value |= bytes[at + i]! << (8 * i)
      at += valueBytes
      const stop = Math.min(count, n + stretch)
      out.fill(value, n, stop)
      n = stop
      // A run of nothing would never end.
      if (stretch === 0) endsEarly()
      continue
    }
    const values = Math.min(count - n, stretch * 8)
    // What pads the last group may be missing.
    if (at + Math.ceil((values * width) / 8) > end || stretch === 0) endsEarly()
    n =
      width <= 24
        ? unpack(bytes, at, width, mask, out, n, n + values)
        : unpackWide(bytes, at, width, out, n, n + values)
    at += stretch * width
  }
}

/** Up to 24 bits: a value and the rest of the one before it fit into 32. */
const unpack = (
  bytes: Uint8Array,
  at: number,
  width: number,
  mask: number,
  out: Int32Array | Uint8Array,
  from: number,
  until: number
): number => {
  let held = 0
  let bits = 0
  for (let n = from; n < until; n++) {
    while (bits < width) {
      held |= bytes[at++]! << bits
      bits += 8
    }
    out[n] = held & mask
    held >>>= width
    bits -= width
  }
  return until
}

const unpackWide = (
  bytes: Uint8Array,
  at: number,
  width: number,
  out: Int32Array | Uint8Array,
  from: number,
  until: number
): number => {
  for (let n = from; n < until; n++) {
    let value = 0
    const first = (n - from) * width
    for (let b = 0; b < width; b++) {
      const bit = first + b
      value |= ((bytes[at + (bit >> 3)]! >> (bit & 7)) & 1) << b
    }
    out[n] = value
  }
  return until
}

/** Whether the first `count` values, of at most 8 bits, are one run of `value`: what levels without a null mostly are. */
export const isOneRun = (bytes: Uint8Array, at: number, end: number, value: number, count: number): boolean => {
  let header = 0
  for (let shift = 0; shift <= 28 && at < end; shift += 7) {
    const byte = bytes[at++]!
    header |= (byte & 127) << shift
    if (byte < 128) return (header & 1) === 0 && header >>> 1 >= count && at < end && bytes[at] === value
  }
  return false
}

/** Appends the first `count` values, each below `2 ** width`; `width` is at most 24. Runs of 8 and more are runs, all else is packed. */
export const write = (values: Int32Array | Uint8Array, count: number, width: number, out: Growing): void => {
  const pack = (from: number, until: number) => {
    if (from === until) return
    const groups = Math.ceil((until - from) / 8)
    out.varint(groups * 2 + 1)
    let [bits, held] = [0, 0]
    for (let i = from; i < from + 8 * groups; i++) {
      bits |= (i < count ? values[i]! : 0) << held
      for (held += width; held >= 8; held -= 8, bits >>>= 8) out.byte(bits & 255)
    }
  }
  let packed = 0
  let i = 0
  while (i < count) {
    const value = values[i]!
    let end = i + 1
    while (end < count && values[end] === value) end++
    if (end - i < 8) {
      i += 8
      continue
    }
    pack(packed, i)
    out.varint((end - i) * 2)
    for (let b = 0; b < width; b += 8) out.byte((value >>> b) & 255)
    packed = i = end
  }
  pack(packed, count)
}
