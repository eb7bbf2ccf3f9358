/** What became of a record at the codec. */
export const Kind = { decoded: 0, poison: 1, tombstone: 2 }
const utf8 = new TextEncoder()
/** Grows a {@link ProducerBatch} record by record without an allocation per record. */
export class BatchBuilder {
  #bytes
  #used = 0
  #count = 0
  #timestamps
  #keys
  #values
  #headers
  constructor(records = 1024, bytes = records * 128) {
    this.#bytes = new Uint8Array(bytes)
    this.#timestamps = new Float64Array(records)
    this.#keys = new Int32Array(2 * records)
    this.#values = new Int32Array(2 * records)
  }
  /** Records added so far. */
  get count() {
    return this.#count
  }
  /** Bytes of keys and values added so far. */
  get size() {
    return this.#used
  }
  /** Adds a record; text is encoded as UTF-8. `timestamp` is in epoch milliseconds. */
  add(key, value, timestamp, headers) {
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
  take() {
    const n = this.#count
    const batch = {
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
  #put(ranges, i, data) {
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
  #reserve(more) {
    if (this.#used + more <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#used + more))
    grown.set(this.#bytes.subarray(0, this.#used))
    this.#bytes = grown
  }
  #growRecords() {
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
export const keyOf = (batch, i) => {
  const start = batch.keys[2 * i]
  return start < 0 ? null : batch.bytes.subarray(start, batch.keys[2 * i + 1])
}
/** The bytes of record `i`'s value, or null for a tombstone. A view on the batch's buffer, not a copy. */
export const valueOf = (batch, i) => {
  const start = batch.values[2 * i]
  return start < 0 ? null : batch.bytes.subarray(start, batch.values[2 * i + 1])
}
