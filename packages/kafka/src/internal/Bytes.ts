/** Kafka's wire primitives: big-endian integers, compact (varint-counted) strings and arrays, tagged fields. Offsets are safe integers. */

const utf8Encoder = new TextEncoder()
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** Thrown when a message ends before what it announces, or holds a number that isn't one. */
export class MalformedBytes extends Error {
  override readonly name = "MalformedBytes"
}

const hex = (byte: number) => byte.toString(16).padStart(2, "0")

/** A UUID's text, of its 16 bytes. */
const uuidText = (bytes: Uint8Array): string => {
  const text = Array.from(bytes, hex).join("")
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`
}

/** The UUID that stands for none. */
export const noUuid = "00000000-0000-0000-0000-000000000000"

/** Bytes of this size and more go out as they are, without a copy. */
const largeBytes = 8 << 10

/** Writes a message. */
export class Writer {
  readonly #chunks: Array<Uint8Array> = []
  #bytes: Uint8Array
  #view: DataView
  /** Where the bytes begin that aren't in a chunk yet. */
  #start = 0
  #at = 0

  constructor(size = 256) {
    this.#bytes = new Uint8Array(size)
    this.#view = new DataView(this.#bytes.buffer)
  }

  #cut(): void {
    if (this.#at > this.#start) this.#chunks.push(this.#bytes.subarray(this.#start, this.#at))
    this.#start = this.#at
  }
  /** What was written, in pieces; what was large is a view. */
  take(): ReadonlyArray<Uint8Array> {
    this.#cut()
    return this.#chunks
  }
  #reserve(size: number): number {
    if (this.#at + size > this.#bytes.length) {
      const held = this.#at - this.#start
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, held + size))
      grown.set(this.#bytes.subarray(this.#start, this.#at))
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
      this.#start = 0
      this.#at = held
    }
    const at = this.#at
    this.#at = at + size
    return at
  }
  int8(value: number): this {
    const at = this.#reserve(1)
    this.#view.setInt8(at, value)
    return this
  }
  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }
  int16(value: number): this {
    const at = this.#reserve(2)
    this.#view.setInt16(at, value)
    return this
  }
  int32(value: number): this {
    const at = this.#reserve(4)
    this.#view.setInt32(at, value)
    return this
  }
  int64(value: number | bigint): this {
    const at = this.#reserve(8)
    if (typeof value === "bigint") this.#view.setBigInt64(at, value)
    else {
      this.#view.setInt32(at, Math.floor(value / 4294967296))
      this.#view.setUint32(at + 4, value >>> 0)
    }
    return this
  }
  uvarint(value: number): this {
    let rest = value >>> 0
    while (rest >= 0x80) {
      this.int8((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    return this.int8(rest)
  }
  raw(bytes: Uint8Array): this {
    if (bytes.length >= largeBytes) {
      this.#cut()
      this.#chunks.push(bytes)
      return this
    }
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }
  /** A compact string; null where the field may be null. */
  string(value: string | null): this {
    if (value === null) return this.uvarint(0)
    const bytes = utf8Encoder.encode(value)
    return this.uvarint(bytes.length + 1).raw(bytes)
  }
  bytes(value: Uint8Array): this {
    return this.uvarint(value.length + 1).raw(value)
  }
  uuid(text: string): this {
    const digits = text.replaceAll("-", "")
    const at = this.#reserve(16)
    for (let i = 0; i < 16; i++) this.#bytes[at + i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)
    return this
  }
  /** A compact array; each element writes its own tagged fields when it is a struct. */
  array<A>(items: ReadonlyArray<A>, write: (item: A) => void): this {
    this.uvarint(items.length + 1)
    for (const item of items) write(item)
    return this
  }
  /** The old form: a count of four bytes and strings of two, as the consumer protocol inside group messages has it. */
  classicArray<A>(items: ReadonlyArray<A>, write: (item: A) => void): this {
    this.int32(items.length)
    for (const item of items) write(item)
    return this
  }
  classicString(value: string): this {
    const bytes = utf8Encoder.encode(value)
    return this.int16(bytes.length).raw(bytes)
  }
  classicBytes(value: Uint8Array | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).raw(value)
  }
  /** No tagged fields. */
  tags(): this {
    return this.uvarint(0)
  }
}

/** Reads a message. */
export class Reader {
  readonly bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  #advance(size: number): number {
    const at = this.#at
    if (size < 0 || at + size > this.bytes.length)
      throw new MalformedBytes(`${size} bytes announced at ${at} of ${this.bytes.length}`)
    this.#at = at + size
    return at
  }
  int8(): number {
    return this.#view.getInt8(this.#advance(1))
  }
  boolean(): boolean {
    return this.int8() !== 0
  }
  int16(): number {
    return this.#view.getInt16(this.#advance(2))
  }
  int32(): number {
    return this.#view.getInt32(this.#advance(4))
  }
  /** An int64 that is an offset, a time or a size: safe integers only. */
  int64(): number {
    const at = this.#advance(8)
    const value = this.#view.getInt32(at) * 4294967296 + this.#view.getUint32(at + 4)
    if (!Number.isSafeInteger(value)) throw new MalformedBytes(`the number at ${at} is 2^53 or more`)
    return value
  }
  bigint64(): bigint {
    return this.#view.getBigInt64(this.#advance(8))
  }
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.#advance(1)]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new MalformedBytes(`the varint before ${this.#at} has more than 5 bytes`)
  }
  /** A view. */
  raw(size: number): Uint8Array {
    const at = this.#advance(size)
    return this.bytes.subarray(at, at + size)
  }
  nullableString(): string | null {
    const size = this.uvarint()
    return size === 0 ? null : utf8Decoder.decode(this.raw(size - 1))
  }
  string(): string {
    return this.nullableString() ?? ""
  }
  /** A view; null comes as empty. */
  compactBytes(): Uint8Array {
    const size = this.uvarint()
    return size === 0 ? new Uint8Array() : this.raw(size - 1)
  }
  uuid(): string {
    return uuidText(this.raw(16))
  }
  /** Null comes as empty. */
  array<A>(read: (reader: this) => A): Array<A> {
    const count = this.uvarint() - 1
    const items: Array<A> = []
    for (let i = 0; i < count; i++) items.push(read(this))
    return items
  }
  classicArray<A>(read: (reader: this) => A): Array<A> {
    const count = this.int32()
    const items: Array<A> = []
    for (let i = 0; i < count; i++) items.push(read(this))
    return items
  }
  classicString(): string {
    return utf8Decoder.decode(this.raw(this.int16()))
  }
  /** A view; null comes as empty. */
  classicBytes(): Uint8Array {
    return this.raw(Math.max(this.int32(), 0))
  }
  get isAtEnd(): boolean {
    return this.#at === this.bytes.length
  }
  /** Passes over tagged fields, but for those that `known` reads, by tag. */
  tags(known?: (tag: number, field: Reader) => void): void {
    for (let n = this.uvarint(); n > 0; n--) {
      const tag = this.uvarint()
      const field = this.raw(this.uvarint())
      known?.(tag, new Reader(field))
    }
  }
}
