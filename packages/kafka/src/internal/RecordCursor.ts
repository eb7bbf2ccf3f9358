/** A cursor over records in Kafka's format 2, whose numbers are zigzag varints. Reading beyond the end gives zeros; the caller checks lengths. */
import type { Header } from "@headrace/core/Batch"

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })

export class RecordCursor {
  readonly bytes: Uint8Array
  readonly end: number
  at: number

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  skip(size: number): void {
    this.at += size
  }

  varint(): number {
    const { bytes } = this
    let byte = bytes[this.at++]!
    let raw = byte & 0x7f
    for (let shift = 7; byte >= 0x80 && shift < 35; shift += 7) {
      byte = bytes[this.at++]!
      raw |= (byte & 0x7f) << shift
    }
    return (raw >>> 1) ^ -(raw & 1)
  }

  /** Of up to 64 bits; exact below 2^53. */
  varlong(): number {
    const { bytes } = this
    const start = this.at
    let byte = bytes[this.at++]!
    let raw = byte & 0x7f
    for (let shift = 7; byte >= 0x80 && shift < 28; shift += 7) {
      byte = bytes[this.at++]!
      raw |= (byte & 0x7f) << shift
    }
    if (byte < 0x80) return (raw >>> 1) ^ -(raw & 1)
    this.at = start
    let long = 0n
    let shift = 0n
    do {
      byte = bytes[this.at++]!
      long |= BigInt(byte & 0x7f) << shift
      shift += 7n
    } while (byte >= 0x80 && shift < 70n)
    return Number((long >> 1n) ^ -(long & 1n))
  }

  /** Reads a counted stretch and notes `[start, end)` for record `i`, or -1 for null. */
  range(ranges: Int32Array, i: number): void {
    const size = this.varint()
    if (size < 0) {
      ranges[2 * i] = -1
      ranges[2 * i + 1] = -1
      return
    }
    ranges[2 * i] = this.at
    this.at += size
    ranges[2 * i + 1] = this.at
  }

  /** A record's headers, or `undefined` when it has none. Their values are copies. */
  headers(): ReadonlyArray<Header> | undefined {
    const count = this.varint()
    if (count <= 0) return undefined
    const headers: Array<Header> = []
    for (let i = 0; i < count && this.at < this.end; i++) {
      const keySize = this.varint()
      const key = utf8.decode(this.bytes.subarray(this.at, this.at + keySize))
      this.at += keySize
      const valueSize = this.varint()
      headers.push({ key, value: valueSize < 0 ? null : this.bytes.slice(this.at, this.at + valueSize) })
      if (valueSize > 0) this.at += valueSize
    }
    return headers
  }
}
