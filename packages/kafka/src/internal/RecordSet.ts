/**
 * Reads a partition's part of a fetch: Kafka's record batches (format 2), decoded straight into one batch in the bytes form. No object is
 * made per record.
 *
 * The position after the fetch comes from the batches' headers, not from the records: a batch covers up to its last offset even when
 * compaction has emptied it, its transaction was aborted, or it holds a transaction's marker.
 */
import type { Header, RecordBatch } from "@headrace/core/Batch"
import { crc32c } from "@platformatic/wasm-utils"
import { decompress } from "./Compression.ts"
import { RecordCursor } from "./RecordCursor.ts"

/** An aborted transaction that touches the fetched range, as the broker lists them. */
interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

export interface Input {
  readonly topic: string
  readonly partition: number
  /** The offset that was asked for; a batch that holds it may begin earlier. */
  readonly offset: number
  readonly bytes: Uint8Array
  readonly aborted: ReadonlyArray<AbortedTransaction>
  readonly checkCrcs: boolean
  /** Of what is compressed no more batches are read than come to this many bytes, but one. Default: all. */
  readonly maxBytes?: number
}

/** Thrown for a batch that can't be read. */
export class DamagedBatch extends Error {
  readonly offset: number
  constructor(offset: number, detail: string) {
    super(detail)
    this.offset = offset
  }
}

/** Of base offset and length: what stands before the bytes that the length counts. */
const overhead = 12
const headerSize = 61
const attribute = { compression: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const
const abortMarker = 0

interface Stored {
  readonly base: number
  readonly attributes: number
  readonly firstTimestamp: number
  readonly maxTimestamp: number
  readonly count: number
  /** Of the records, in the record set. */
  readonly start: number
  readonly end: number
}

const int64 = (view: DataView, at: number): number => view.getInt32(at) * 4294967296 + view.getUint32(at + 4)

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Which batches hold records to give, and the offset after the last whole batch. Pure. */
const plan = (input: Input): { readonly stored: ReadonlyArray<Stored>; readonly next: number } => {
  const { bytes, checkCrcs, offset } = input
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const aborted = [...input.aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  const abortedNow = new Set<bigint>()
  const stored: Array<Stored> = []
  let next = offset
  let at = 0
  let nextAborted = 0
  // The last batch may be cut off: the broker stops at the byte limit.
  while (at + overhead <= bytes.length) {
    const base = int64(view, at)
    const end = at + overhead + view.getInt32(at + 8)
    if (end > bytes.length) break
    const magic = view.getInt8(at + 16)
    if (magic !== 2)
      throw new DamagedBatch(base, `message format ${magic} isn't supported: only 2, of Kafka 0.11 and later`)
    if (end < at + headerSize) throw new DamagedBatch(base, "it is shorter than its header")
    if (checkCrcs && crc32c(asBuffer(bytes.subarray(at + 21, end))) !== view.getUint32(at + 17))
      throw new DamagedBatch(base, "its checksum differs")
    const attributes = view.getInt16(at + 21)
    const last = base + view.getInt32(at + 23)
    const producerId = view.getBigInt64(at + 43)
    while (nextAborted < aborted.length && aborted[nextAborted]!.firstOffset <= last)
      abortedNow.add(aborted[nextAborted++]!.producerId)
    const count = view.getInt32(at + 57)
    const start = at + headerSize
    at = end
    if (last + 1 > next) next = last + 1
    if ((attributes & attribute.control) !== 0) {
      if (count > 0 && markerType(bytes.subarray(start, end)) === abortMarker) abortedNow.delete(producerId)
      continue
    }
    if ((attributes & attribute.transactional) !== 0 && abortedNow.has(producerId)) continue
    if (count === 0 || last < offset) continue
    stored.push({
      base,
      attributes,
      firstTimestamp: int64(view, start - headerSize + 27),
      maxTimestamp: int64(view, start - headerSize + 35),
      count,
      start,
      end
    })
  }
  return { stored, next }
}

/** The type in a control record's key: two int16, a version and the type. */
const markerType = (record: Uint8Array): number => {
  const cursor = new RecordCursor(record)
  cursor.varint()
  cursor.skip(1)
  cursor.varlong()
  cursor.varint()
  return cursor.varint() < 4 ? -1 : (record[cursor.at + 2]! << 8) | record[cursor.at + 3]!
}

/** The bytes that the records of each batch stand in, in one buffer, with where each begins: of the first ones, when all would be too many. */
const gather = (bytes: Uint8Array, stored: ReadonlyArray<Stored>, maxBytes: number) => {
  const starts: Array<number> = []
  const ends: Array<number> = []
  if (stored.every(({ attributes }) => (attributes & attribute.compression) === 0)) {
    for (const { end, start } of stored) {
      starts.push(start)
      ends.push(end)
    }
    return { bytes, starts, ends }
  }
  let compressed = 0
  for (const { end, start } of stored) compressed += end - start
  let all: Uint8Array | undefined
  let at = 0
  let expected = 0
  for (const { attributes, base, end, start } of stored) {
    const raw = bytes.subarray(start, end)
    const code = attributes & attribute.compression
    let part: Uint8Array
    try {
      part = code === 0 ? raw : decompress(code, raw, expected)
    } catch (cause) {
      throw new DamagedBatch(
        base,
        `it can't be decompressed: ${cause instanceof Error ? cause.message : String(cause)}`
      )
    }
    if (at > 0 && at + part.length > maxBytes) break
    starts.push(at)
    ends.push(at + part.length)
    if (stored.length === 1) return { bytes: part, starts, ends }
    // Sized by the first batch, then by what it takes; no part is kept.
    if (all === undefined) {
      const guess = Math.ceil((1.05 * compressed * part.length) / raw.length)
      all = new Uint8Array(Math.max(part.length, Math.min(guess, maxBytes)))
    } else if (at + part.length > all.length) {
      const grown: Uint8Array = new Uint8Array(Math.ceil(1.5 * (at + part.length)))
      grown.set(all.subarray(0, at))
      all = grown
    }
    all.set(part, at)
    at += part.length
    expected = part.length
  }
  return { bytes: all === undefined ? noBytes : all.subarray(0, at), starts, ends }
}

export interface Decoded {
  readonly batch: RecordBatch
  /** How many bytes of the set the batch covers. */
  readonly covered: number
}

/** Decodes the record set. The batch's buffer is the set's own where nothing is compressed. Throws {@link DamagedBatch}. */
export const decode = (input: Input): Decoded => {
  const { maxBytes = Infinity, offset, partition, topic } = input
  const { next, stored } = plan(input)
  const { bytes, ends, starts } = gather(input.bytes, stored, maxBytes)
  const read = starts.length
  let room = 0
  for (let b = 0; b < read; b++) room += stored[b]!.count
  const offsets = new Float64Array(room)
  const timestamps = new Float64Array(room)
  const keys = new Int32Array(2 * room)
  const values = new Int32Array(2 * room)
  let headers: Array<ReadonlyArray<Header>> | undefined
  let n = 0
  for (let b = 0; b < read; b++) {
    const { attributes, base, count, firstTimestamp, maxTimestamp } = stored[b]!
    const appended = (attributes & attribute.logAppendTime) !== 0
    const cursor = new RecordCursor(bytes, starts[b]!, ends[b]!)
    for (let i = 0; i < count; i++) {
      const size = cursor.varint()
      const end = cursor.at + size
      if (size < 0 || end > cursor.end) throw new DamagedBatch(base, `record ${i} of ${count} ends beyond the batch`)
      cursor.at++
      const delta = cursor.varlong()
      const at = base + cursor.varint()
      // A batch is stored whole: records before the wanted offset come with it.
      if (at < offset) {
        cursor.at = end
        continue
      }
      offsets[n] = at
      timestamps[n] = appended ? maxTimestamp : firstTimestamp + delta
      cursor.range(keys, n)
      cursor.range(values, n)
      const own = cursor.headers()
      if (own !== undefined) (headers ??= Array.from({ length: n }, () => noHeaders)).push(own)
      else headers?.push(noHeaders)
      if (cursor.at !== end) throw new DamagedBatch(base, `record ${i} of ${count} has another length than it says`)
      n++
    }
  }
  const full = n === room
  const unread = stored[read]
  const batch = {
    topic,
    partition,
    base: offset,
    next: unread?.base ?? next,
    count: n,
    offsets: full ? offsets : offsets.slice(0, n),
    timestamps: full ? timestamps : timestamps.slice(0, n),
    keys: full ? keys : keys.slice(0, 2 * n),
    values: full ? values : values.slice(0, 2 * n),
    bytes: n === 0 ? noBytes : bytes,
    headers
  }
  return { batch, covered: unread === undefined ? input.bytes.length : unread.start - headerSize }
}

const noHeaders: ReadonlyArray<Header> = []
const noBytes = new Uint8Array()
