/** Bytes that are appended to, in one buffer that doubles. Integers are little-endian. */
export class Growing {
  data: Uint8Array
  view: DataView
  length = 0

  constructor(size: number) {
    this.data = new Uint8Array(size)
    this.view = new DataView(this.data.buffer)
  }

  /** Makes room for so many more bytes; `data` and `view` may be other ones afterwards. */
  reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.data.length) return
    const grown = new Uint8Array(Math.max(2 * this.data.length, needed))
    grown.set(this.data.subarray(0, this.length))
    this.data = grown
    this.view = new DataView(grown.buffer)
  }

  byte(value: number): void {
    this.reserve(1)
    this.data[this.length++] = value
  }

  /** An unsigned 32-bit integer in groups of 7 bits, the lowest first. */
  varint(value: number): void {
    this.reserve(5)
    for (; value > 127; value >>>= 7) this.data[this.length++] = (value & 127) | 128
    this.data[this.length++] = value
  }

  bytes(value: Uint8Array): void {
    this.reserve(value.length)
    this.data.set(value, this.length)
    this.length += value.length
  }

  /** What was appended: a view that holds until more is. */
  get written(): Uint8Array {
    return this.data.subarray(0, this.length)
  }
}
