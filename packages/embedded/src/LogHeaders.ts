/**
 * The bytes of a stored batch's record headers: for each record their number, and for each of them the length of its key, its key as
 * UTF-8, the length of its value plus one (0 is null) and its value. Numbers are u32, little-endian, on any byte.
 */
import type { Header } from "@headrace/core/Batch"

type Headers = ReadonlyArray<ReadonlyArray<Header>>

const utf8 = new TextEncoder()
const text = new TextDecoder("utf-8", { ignoreBOM: true })

/** Encodes the headers of records `[from, to)`. */
export const encode = (headers: Headers, from: number, to: number): Uint8Array => {
  const parts: Array<Uint8Array> = []
  let size = 0
  const add = (part: Uint8Array): void => {
    parts.push(part)
    size += part.length
  }
  const number = (n: number): void => {
    const part = new Uint8Array(4)
    new DataView(part.buffer).setUint32(0, n, true)
    add(part)
  }
  for (let i = from; i < to; i++) {
    const own = headers[i]!
    number(own.length)
    for (const { key, value } of own) {
      const name = utf8.encode(key)
      number(name.length)
      add(name)
      number(value === null ? 0 : value.length + 1)
      if (value !== null) add(value)
    }
  }
  const out = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Reads the headers of `count` records; values are views. Throws a `RangeError` when the bytes can't be theirs. */
export const decode = (stored: Uint8Array, count: number): Headers => {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength)
  let at = 0
  const number = (): number => {
    at += 4
    return view.getUint32(at - 4, true)
  }
  const bytes = (length: number): Uint8Array => {
    at += length
    return stored.subarray(at - length, at)
  }
  const headers = Array.from({ length: count }, () =>
    Array.from({ length: number() }, () => {
      const key = text.decode(bytes(number()))
      const length = number()
      return { key, value: length === 0 ? null : bytes(length - 1) }
    })
  )
  if (at !== stored.length) throw new RangeError("a stored batch's headers don't end where its bytes do")
  return headers
}
