/**
 * Batches of records: the unit in which everything in Headrace moves.
 *
 * A batch belongs to one partition and is ordered by offset. It comes in two forms: the *bytes form* ({@link RecordBatch}), as a log
 * gives it, and the *column form* ({@link ColumnBatch}), as a codec or the archive gives it and as a fold consumes it.
 *
 * Every batch *covers* the offsets `[base, next)` of its partition: an offset in that range without a record in the batch holds none
 * (a transaction marker, a compacted record). Consecutive batches of a source chain: `base` equals the `next` of the one before.
 */
import type { Poison } from "./DeadLetter.ts"

/** A record header. Keys may repeat; order is kept. */
export interface Header {
  readonly key: string
  readonly value: Uint8Array | null
}

/** Records without offsets: what a producer hands to a log. All arrays are indexed by record. */
export interface ProducerBatch {
  readonly count: number
  /** Record timestamps, epoch milliseconds. */
  readonly timestamps: Float64Array
  /** One buffer that holds all keys and values. */
  readonly bytes: Uint8Array
  /** `[start, end)` of record `i`'s key in `bytes` at `2 * i` and `2 * i + 1`; a start of -1 is a null key. */
  readonly keys: Int32Array
  /** `[start, end)` of record `i`'s value in `bytes`, as for `keys`; a start of -1 is a null value: a tombstone. */
  readonly values: Int32Array
  /** Headers by record, or `undefined` when no record of the batch has any. */
  readonly headers: ReadonlyArray<ReadonlyArray<Header>> | undefined
}

/** The bytes form: records of one partition as the log holds them, in ascending offset order. */
export interface RecordBatch extends ProducerBatch {
  readonly topic: string
  readonly partition: number
  /** The first offset that this batch covers. */
  readonly base: number
  /** The offset after the last one that this batch covers: where to read on. */
  readonly next: number
  /** Offsets by record, ascending, each in `[base, next)`. */
  readonly offsets: Float64Array
}

/** Values of one column by record. Numbers that are never null come as `Float64Array`; nulls are `null`. */
export type Column = Float64Array | ReadonlyArray<unknown>

/** What became of a record at the codec. */
export const Kind = { decoded: 0, poison: 1, tombstone: 2 } as const

/**
 * The column form: the declared columns of one partition's records, in ascending offset order.
 *
 * Values in memory: integers, dates (days) and instants (epoch milliseconds) are numbers, decimals are their scaled integers, text is
 * `string`, `boolean` is itself. At a record whose kind isn't `decoded` a column holds an arbitrary value.
 */
export interface ColumnBatch {
  readonly topic: string
  readonly partition: number
  readonly base: number
  readonly next: number
  readonly count: number
  readonly offsets: Float64Array
  readonly columns: Readonly<Record<string, Column>>
  /** {@link Kind} by record, or `undefined` when all are decoded. */
  readonly kinds: Uint8Array | undefined
  /** What is known of each poison record, by its index in the batch. */
  readonly poison: ReadonlyMap<number, Poison>
}

/** A column to be filled: `Array.from({ length })` takes 20 ns a record, as long as decoding one. */
export const emptyColumn = <A>(count: number): Array<A> => {
  const column: Array<A> = []
  column.length = count
  return column
}

const utf8 = new TextEncoder()

/** Grows a {@link ProducerBatch} record by record without an allocation per record. */
export class BatchBuilder {
  #bytes: Uint8Array
  #used = 0
  #count = 0
  #timestamps: Float64Array
  #keys: Int32Array
  #values: Int32Array
  #headers: Array<ReadonlyArray<Header>> | undefined

  constructor(records = 1024, bytes = records * 128) {
    this.#bytes = new Uint8Array(bytes)
    this.#timestamps = new Float64Array(records)
    this.#keys = new Int32Array(2 * records)
    this.#values = new Int32Array(2 * records)
  }

  /** Records added so far. */
  get count(): number {
    return this.#count
  }

  /** Bytes of keys and values added so far. */
  get size(): number {
    return this.#used
  }

  /** Adds a record; text is encoded as UTF-8. `timestamp` is in epoch milliseconds. */
  add(
    key: Uint8Array | string | null,
    value: Uint8Array | string | null,
    timestamp: number,
    headers?: ReadonlyArray<Header>
  ): void {
    const i = this.#count
    if (i === this.#timestamps.length) this.#growRecords()
    this.#put(this.#keys, i, key)
    this.#put(this.#values, i, value)
    this.#timestamps[i] = timestamp
    if (headers !== undefined && headers.length > 0) {
      this.#headers ??= Array.from({ length: i }, () => [])
      this.#headers.push(headers)
    } else this.#headers?.push([])
    this.#count = i + 1
  }

  /** Hands over what was added and starts anew with fresh buffers. */
  take(): ProducerBatch {
    const n = this.#count
    const batch: ProducerBatch = {
      count: n,
      timestamps: this.#timestamps.slice(0, n),
      bytes: this.#bytes.slice(0, this.#used),
      keys: this.#keys.slice(0, 2 * n),
      values: this.#values.slice(0, 2 * n),
      headers: this.#headers
    }
    this.#count = 0
    this.#used = 0
    this.#headers = undefined
    return batch
  }

  #put(ranges: Int32Array, i: number, data: Uint8Array | string | null): void {
    if (data === null) {
      ranges[2 * i] = -1
      ranges[2 * i + 1] = -1
      return
    }
    const start = this.#used
    this.#reserve(typeof data === "string" ? data.length * 3 : data.length)
    if (typeof data === "string") this.#used += utf8.encodeInto(data, this.#bytes.subarray(start)).written
    else {
      this.#bytes.set(data, start)
      this.#used += data.length
    }
    ranges[2 * i] = start
    ranges[2 * i + 1] = this.#used
  }

  #reserve(more: number): void {
    if (this.#used + more <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#used + more))
    grown.set(this.#bytes.subarray(0, this.#used))
    this.#bytes = grown
  }

  #growRecords(): void {
    const n = Math.max(16, 2 * this.#timestamps.length)
    const timestamps = new Float64Array(n)
    timestamps.set(this.#timestamps)
    this.#timestamps = timestamps
    const keys = new Int32Array(2 * n)
    keys.set(this.#keys)
    this.#keys = keys
    const values = new Int32Array(2 * n)
    values.set(this.#values)
    this.#values = values
  }
}

/** The bytes of record `i`'s key, or null. A view on the batch's buffer, not a copy. */
export const keyOf = (batch: ProducerBatch, i: number): Uint8Array | null => {
  const start = batch.keys[2 * i]!
  return start < 0 ? null : batch.bytes.subarray(start, batch.keys[2 * i + 1])
}

/** The bytes of record `i`'s value, or null for a tombstone. A view on the batch's buffer, not a copy. */
export const valueOf = (batch: ProducerBatch, i: number): Uint8Array | null => {
  const start = batch.values[2 * i]!
  return start < 0 ? null : batch.bytes.subarray(start, batch.values[2 * i + 1])
}

/** The first index at which `offsets` is `offset` or more. */
const indexOf = (offsets: Float64Array, offset: number): number => {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (offsets[middle]! < offset) low = middle + 1
    else high = middle
  }
  return low
}

/** What the batch has of `[from, until)`, at most `maxRecords`; covers up to `until`, or the last of `maxRecords`. A view. */
export const slice = (batch: RecordBatch, from: number, until: number, maxRecords: number): RecordBatch => {
  const first = from <= batch.base ? 0 : indexOf(batch.offsets, from)
  const end = until >= batch.next ? batch.count : indexOf(batch.offsets, until)
  const last = Math.min(end, first + maxRecords)
  if (first === 0 && last === batch.count && from === batch.base && until >= batch.next) return batch
  return {
    ...batch,
    base: from,
    next: last < end ? batch.offsets[last - 1]! + 1 : Math.min(until, batch.next),
    count: last - first,
    offsets: batch.offsets.subarray(first, last),
    timestamps: batch.timestamps.subarray(first, last),
    keys: batch.keys.subarray(2 * first, 2 * last),
    values: batch.values.subarray(2 * first, 2 * last),
    headers: batch.headers?.slice(first, last)
  }
}
