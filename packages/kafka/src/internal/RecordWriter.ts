/** Writes records as one Kafka batch (format 2): what a produce request carries for a partition. */
import type { Header, ProducerBatch } from "@headrace/core/Batch"
import { crc32c } from "@platformatic/wasm-utils"
import type { Compression } from "../Driver.ts"
import * as Codec from "./Compression.ts"

const headerSize = 61
const utf8 = new TextEncoder()

/** Who sends: the broker knows a repeated batch by producer, epoch and sequence. */
export interface Sequence {
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
  readonly transactional: boolean
}

const varintSize = (value: number): number => {
  const raw = ((value << 1) ^ (value >> 31)) >>> 0
  return raw < 0x80 ? 1 : raw < 0x4000 ? 2 : raw < 0x200000 ? 3 : raw < 0x10000000 ? 4 : 5
}

const isSmall = (value: number): boolean => value >= -0x40000000 && value < 0x40000000

const varlongSize = (value: number): number => {
  if (isSmall(value)) return varintSize(value)
  let raw = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  let size = 1
  while (raw >= 0x80n) {
    raw >>= 7n
    size++
  }
  return size
}

const putVarint = (bytes: Uint8Array, at: number, value: number): number => {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  while (raw >= 0x80) {
    bytes[at++] = (raw & 0x7f) | 0x80
    raw >>>= 7
  }
  bytes[at++] = raw
  return at
}

const putVarlong = (bytes: Uint8Array, at: number, value: number): number => {
  if (isSmall(value)) return putVarint(bytes, at, value)
  let raw = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  while (raw >= 0x80n) {
    bytes[at++] = Number(raw & 0x7fn) | 0x80
    raw >>= 7n
  }
  bytes[at++] = Number(raw)
  return at
}

interface EncodedHeader {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

const encodeHeaders = (headers: ReadonlyArray<Header>): ReadonlyArray<EncodedHeader> =>
  headers.map(({ key, value }) => ({ key: utf8.encode(key), value }))

const headersSize = (headers: ReadonlyArray<EncodedHeader>): number => {
  let size = varintSize(headers.length)
  for (const { key, value } of headers)
    size += varintSize(key.length) + key.length + (value === null ? 1 : varintSize(value.length) + value.length)
  return size
}

const noHeaders: ReadonlyArray<EncodedHeader> = []

/** Short stretches are cheaper to copy byte by byte than through a view. */
const copy = (from: Buffer, start: number, end: number, to: Uint8Array, at: number): number => {
  if (end - start <= 24) {
    for (let i = start; i < end; i++) to[at++] = from[i]!
    return at
  }
  from.copy(to, at, start, end)
  return at + end - start
}

/** The records alone, one after the other. */
const putRecords = (records: ProducerBatch, firstTimestamp: number, reserve: number) => {
  const { count, keys, timestamps, values } = records
  const from = Buffer.from(records.bytes.buffer, records.bytes.byteOffset, records.bytes.byteLength)
  const headers = records.headers?.slice(0, count).map(encodeHeaders)
  let room = reserve
  for (let i = 0; i < 2 * count; i += 2) {
    if (keys[i]! >= 0) room += keys[i + 1]! - keys[i]!
    if (values[i]! >= 0) room += values[i + 1]! - values[i]!
  }
  // Length, attributes, time and offset deltas, two lengths, a count of headers.
  room += count * 37
  if (headers !== undefined) for (const own of headers) room += headersSize(own)
  // Every byte up to `end` is written.
  const bytes = Buffer.allocUnsafeSlow(room)
  let at = reserve
  for (let i = 0; i < count; i++) {
    const delta = timestamps[i]! - firstTimestamp
    const keyStart = keys[2 * i]!
    const valueStart = values[2 * i]!
    const keySize = keyStart < 0 ? -1 : keys[2 * i + 1]! - keyStart
    const valueSize = valueStart < 0 ? -1 : values[2 * i + 1]! - valueStart
    const own = headers === undefined ? noHeaders : headers[i]!
    const size =
      1 +
      varlongSize(delta) +
      varintSize(i) +
      varintSize(keySize) +
      Math.max(keySize, 0) +
      varintSize(valueSize) +
      Math.max(valueSize, 0) +
      (own.length === 0 ? 1 : headersSize(own))
    at = putVarint(bytes, at, size)
    bytes[at++] = 0
    at = putVarlong(bytes, at, delta)
    at = putVarint(bytes, at, i)
    at = putVarint(bytes, at, keySize)
    if (keySize > 0) at = copy(from, keyStart, keyStart + keySize, bytes, at)
    at = putVarint(bytes, at, valueSize)
    if (valueSize > 0) at = copy(from, valueStart, valueStart + valueSize, bytes, at)
    at = putVarint(bytes, at, own.length)
    for (const { key, value } of own) {
      at = putVarint(bytes, at, key.length)
      bytes.set(key, at)
      at += key.length
      at = putVarint(bytes, at, value === null ? -1 : value.length)
      if (value !== null) {
        bytes.set(value, at)
        at += value.length
      }
    }
  }
  return { bytes, end: at }
}

/** The batch, of one record or more, whole but for who sends it: {@link seal} adds that. */
export const encode = (records: ProducerBatch, compression: Compression): Uint8Array => {
  const { count, timestamps } = records
  const firstTimestamp = timestamps[0]!
  let maxTimestamp = firstTimestamp
  for (let i = 1; i < count; i++) if (timestamps[i]! > maxTimestamp) maxTimestamp = timestamps[i]!
  let batch: Uint8Array
  if (compression === "none") {
    const { bytes, end } = putRecords(records, firstTimestamp, headerSize)
    batch = bytes.subarray(0, end)
  } else {
    const { bytes, end } = putRecords(records, firstTimestamp, 0)
    const compressed = Codec.compress(compression, bytes.subarray(0, end))
    batch = new Uint8Array(headerSize + compressed.length)
    batch.set(compressed, headerSize)
  }
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength)
  view.setBigInt64(0, 0n)
  view.setInt32(8, batch.length - 12)
  view.setInt32(12, -1)
  view.setInt8(16, 2)
  view.setInt16(21, Codec.codeOf(compression))
  view.setInt32(23, count - 1)
  view.setBigInt64(27, BigInt(firstTimestamp))
  view.setBigInt64(35, BigInt(maxTimestamp))
  view.setInt32(57, count)
  return batch
}

/** Writes who sends the batch into it, and the checksum. A sealed batch may be sealed again. */
export const seal = (batch: Uint8Array, { epoch, producerId, sequence, transactional }: Sequence): void => {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength)
  const attributes = view.getInt16(21) & ~0x10
  view.setInt16(21, attributes | (transactional ? 0x10 : 0))
  view.setBigInt64(43, producerId)
  view.setInt16(51, epoch)
  view.setInt32(53, sequence)
  view.setUint32(17, crc32c(Buffer.from(batch.buffer, batch.byteOffset + 21, batch.byteLength - 21)))
}
