/**
 * Where the frames of a zstd file end, without decompressing (RFC 8878, section 3.1).
 *
 * The runtimes' own decoders stop after the first frame, and some take a truncated file for a whole one; both would lose rows in silence. So
 * each frame goes to a decoder of its own, and the file must end where a frame does.
 */

/** Bytes of one frame; `last` when they are its last. */
export interface Segment {
  readonly bytes: Uint8Array
  readonly last: boolean
}

/** What is read next: a header of unknown length, or so many bytes. */
type State = "magic" | "header" | "block" | "body" | "skip-size" | "skip"

/** Splits bytes that come in pieces into segments of frames. Throws a `RangeError` where there is no frame. */
export class ZstdFrames {
  #state: State = "magic"
  /** Bytes of a header that isn't whole yet. */
  #header: Array<number> = []
  #need = 4
  /** Bytes left of a block's body or a skippable frame. */
  #left = 0
  #lastBlock = false
  #checksum = false

  /** Whether the bytes so far end where a frame does. */
  get atEnd(): boolean {
    return this.#state === "magic" && this.#header.length === 0
  }

  push(bytes: Uint8Array): ReadonlyArray<Segment> {
    const out: Array<Segment> = []
    let begin = 0
    for (let i = 0; i < bytes.length;) {
      if (this.#state === "body" || this.#state === "skip") {
        const taken = Math.min(this.#left, bytes.length - i)
        this.#left -= taken
        i += taken
        if (this.#left > 0) continue
      } else {
        this.#header.push(bytes[i++]!)
        if (this.#header.length < this.#need) continue
      }
      if (this.#step()) {
        out.push({ bytes: bytes.subarray(begin, i), last: true })
        begin = i
      }
    }
    if (begin < bytes.length) out.push({ bytes: bytes.subarray(begin), last: false })
    return out
  }

  /** What follows a header or a body that is whole; true when it was the last of a frame. */
  #step(): boolean {
    const h = this.#header
    const ended = this.#next(h)
    if (ended) {
      this.#state = "magic"
      this.#need = 4
    }
    if (ended || h.length >= this.#need || this.#state === "body" || this.#state === "skip") this.#header = []
    return ended
  }

  #next(h: ReadonlyArray<number>): boolean {
    switch (this.#state) {
      case "magic": {
        if (h[1] === 0xb5 && h[0] === 0x28 && h[2] === 0x2f && h[3] === 0xfd) {
          this.#enter("header", 1)
          return false
        }
        if ((h[0]! & 0xf0) === 0x50 && h[1] === 0x2a && h[2] === 0x4d && h[3] === 0x18) {
          this.#enter("skip-size", 4)
          return false
        }
        throw new RangeError("there is something else where a zstd frame should begin")
      }
      case "skip-size":
        return this.#body("skip", h[0]! + h[1]! * 2 ** 8 + h[2]! * 2 ** 16 + h[3]! * 2 ** 24)
      case "header": {
        const descriptor = h[0]!
        const single = (descriptor & 0x20) !== 0
        const size = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!
        const length = 1 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + size
        if (h.length < length) {
          this.#need = length
          return false
        }
        this.#checksum = (descriptor & 4) !== 0
        this.#enter("block", 3)
        return false
      }
      case "block": {
        const word = h[0]! + h[1]! * 2 ** 8 + h[2]! * 2 ** 16
        this.#lastBlock = (word & 1) === 1
        const type = (word >> 1) & 3
        if (type === 3) throw new RangeError("it has a zstd block of a reserved type")
        return this.#body("body", (type === 1 ? 1 : word >> 3) + (this.#lastBlock && this.#checksum ? 4 : 0))
      }
      case "skip":
        return true
      case "body":
        if (this.#lastBlock) return true
        this.#enter("block", 3)
        return false
    }
  }

  #enter(state: State, need: number): void {
    this.#state = state
    this.#need = need
    this.#header = []
  }

  #body(state: "body" | "skip", length: number): boolean {
    if (length > 0) {
      this.#enter(state, 0)
      this.#left = length
      return false
    }
    if (state === "skip" || this.#lastBlock) return true
    this.#enter("block", 3)
    return false
  }
}
