/** Text as the format has it: UTF-8, in the order of its bytes. */
import type { Growing } from "./Growing.ts"

const utf8 = new TextEncoder()

/** Appends the text's length in bytes and its bytes. */
export const put = (out: Growing, text: string): void => {
  const units = text.length
  out.reserve(4 + 3 * units)
  const at = out.length + 4
  const { data } = out
  let i = 0
  // Most text is short and ASCII, and a call of the encoder takes longer than a loop.
  for (; i < units && i < 64; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 127) break
    data[at + i] = unit
  }
  const size = i === units ? units : utf8.encodeInto(text, data.subarray(at)).written
  out.view.setUint32(out.length, size, true)
  out.length = at + size
}

/** Surrogates come after all other units: they stand for code points above them. */
const rank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800)

/** By code point, which is the order of UTF-8's bytes. */
export const compare = (a: string, b: string): number => {
  const common = Math.min(a.length, b.length)
  for (let i = 0; i < common; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}
