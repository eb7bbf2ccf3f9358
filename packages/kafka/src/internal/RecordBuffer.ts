/** Records on their way out, copied one after the other into buffers that are used again. */
import type { Header, ProducerBatch } from "@headrace/core/Batch"

const noHeaders: ReadonlyArray<Header> = []

export class RecordBuffer {
  /** A Kafka batch's header, and some room. */
  static readonly overhead = 128
  /** What a record has beside its key, value and headers, at most. */
  static readonly #recordOverhead = 40

  #bytes: Buffer = Buffer.alloc(16 << 10)
  #used = 0
  #headerBytes = 0
  #timestamps = new Float64Array(128)
  #keys = new Int32Array(256)
  #values = new Int32Array(256)
  #headers: Array<ReadonlyArray<Header>> | undefined
  count = 0

  /** Bytes of record `i` in a Kafka batch, at most. */
  static sizeOf({ headers, keys, values }: ProducerBatch, i: number): number {
    let size = RecordBuffer.#recordOverhead + keys[2 * i + 1]! - keys[2 * i]! + values[2 * i + 1]! - values[2 * i]!
    const own = headers?.[i]
    if (own !== undefined) for (const { key, value } of own) size += 3 * key.length + (value?.length ?? 0) + 10
    return size
  }

  /** Bytes of all in a Kafka batch, at most, uncompressed. */
  get size(): number {
    return RecordBuffer.overhead + this.#used + this.#headerBytes + this.count * RecordBuffer.#recordOverhead
  }

  /** `from` is the records' bytes. */
  add(records: ProducerBatch, i: number, from: Buffer): void {
    const n = this.count
    if (n === this.#timestamps.length) this.#growRecords()
    this.#put(from, records.keys, this.#keys, i)
    this.#put(from, records.values, this.#values, i)
    this.#timestamps[n] = records.timestamps[i]!
    const own = records.headers?.[i] ?? noHeaders
    if (own.length > 0) {
      this.#headers ??= Array.from({ length: n }, () => noHeaders)
      for (const { key, value } of own) this.#headerBytes += 3 * key.length + (value?.length ?? 0) + 10
    }
    this.#headers?.push(own)
    this.count = n + 1
  }

  /** The records, valid until `clear`. */
  view(): ProducerBatch {
    const n = this.count
    return {
      count: n,
      timestamps: this.#timestamps.subarray(0, n),
      bytes: this.#bytes.subarray(0, this.#used),
      keys: this.#keys.subarray(0, 2 * n),
      values: this.#values.subarray(0, 2 * n),
      headers: this.#headers
    }
  }

  clear(): void {
    this.count = 0
    this.#used = 0
    this.#headerBytes = 0
    this.#headers = undefined
  }

  #put(from: Buffer, source: Int32Array, ranges: Int32Array, i: number): void {
    const start = source[2 * i]!
    const n = 2 * this.count
    if (start < 0) {
      ranges[n] = -1
      ranges[n + 1] = -1
      return
    }
    const at = this.#used
    const end = at + source[2 * i + 1]! - start
    if (end > this.#bytes.length) this.#growBytes(end)
    from.copy(this.#bytes, at, start, start + end - at)
    ranges[n] = at
    ranges[n + 1] = end
    this.#used = end
  }

  #growBytes(needed: number): void {
    const grown = Buffer.alloc(Math.max(2 * this.#bytes.length, needed))
    this.#bytes.copy(grown, 0, 0, this.#used)
    this.#bytes = grown
  }

  #growRecords(): void {
    const n = 2 * this.#timestamps.length
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
