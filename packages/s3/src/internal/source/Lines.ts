/**
 * Lines as rows, without decoding them: a batch's texts are ranges of the bytes as they came. Lines end with LF or CRLF; the last one may
 * lack it. Blank lines are no rows but count as lines; a byte order mark at the start is skipped.
 */
import * as Effect from "effect/Effect"
import type { Next } from "./Failure.ts"
import { type Bad, badRow, keptBytes, type Position, type Reader, type TextRows } from "./Rows.ts"

const empty = new Uint8Array(0)

const isBlank = (bytes: Uint8Array, start: number, end: number): boolean => {
  for (let i = start; i < end; i++) if (bytes[i] !== 0x20 && bytes[i] !== 0x09 && bytes[i] !== 0x0d) return false
  return true
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (parts.length === 1) return parts[0]!
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Reads lines of at most `maxLineBytes`, a longer one being a bad row, in batches of at most `maxRows`; `input` begins at `start`. */
export const make = (
  input: Next<Uint8Array>,
  options: { readonly maxLineBytes: number; readonly maxRows: number; readonly start: Position }
): Required<Reader> => {
  const { maxLineBytes, maxRows, start } = options
  let bytes: Uint8Array = empty
  let at = 0
  /** What comes after `bytes` and is here already. */
  let after: Uint8Array = empty
  /** Bytes that came, with those before `start`. */
  let received = start.byte
  let line = start.line
  /** The beginning of a line whose end hasn't come. */
  let carry: Array<Uint8Array> = []
  let carried = 0
  /** The beginning of a line that is too long, while its end is sought. */
  let tooLong: Uint8Array | undefined
  let atStart = start.byte === 0
  let ended = false
  const tooLongBad: Bad = { code: "malformed", detail: `the line has more than ${maxLineBytes} bytes` }

  /** The next lines that end in `bytes`. */
  const scan = (): TextRows | undefined => {
    const room = Math.min(maxRows, bytes.length - at)
    const starts = new Int32Array(2 * room)
    const lines = new Float64Array(room)
    const begin = at
    let bad: Map<number, Bad> | undefined
    let n = 0
    while (n < room) {
      const end = bytes.indexOf(10, at)
      if (end < 0) break
      const begins = at
      at = end + 1
      line++
      const stop = end > begins && bytes[end - 1] === 13 ? end - 1 : end
      if (stop === begins || (bytes[begins]! <= 0x20 && isBlank(bytes, begins, stop))) continue
      starts[2 * n] = begins - begin
      starts[2 * n + 1] = stop - begin
      if (stop - begins > maxLineBytes) {
        ;(bad ??= new Map()).set(n, tooLongBad)
        starts[2 * n + 1] = begins + Math.min(keptBytes, maxLineBytes) - begin
      }
      lines[n++] = line
    }
    if (n === 0) return undefined
    const values = starts.subarray(0, 2 * n)
    return {
      _tag: "text",
      count: n,
      bytes: bytes.subarray(begin, at),
      values,
      lines: lines.subarray(0, n),
      bad
    }
  }

  /** Takes bytes that came; gives the row of a line that was too long, when its end came with them. */
  const take = (chunk: Uint8Array): TextRows | undefined => {
    received += chunk.length
    let from = atStart && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? 3 : 0
    atStart = false
    const first = chunk.indexOf(10, from)
    let found: TextRows | undefined
    if (tooLong !== undefined) {
      if (first < 0) return undefined
      found = badRow(tooLong, ++line, tooLongBad)
      tooLong = undefined
      from = first + 1
    } else if (first < 0) {
      carry.push(from === 0 ? chunk : chunk.subarray(from))
      carried += chunk.length - from
      if (carried > maxLineBytes) {
        tooLong = concat(carry).slice(0, Math.min(keptBytes, maxLineBytes))
        carry = []
        carried = 0
      }
      return undefined
    }
    // The line that began before is completed alone, so that the rest needs no copy.
    if (carried > 0) after = chunk.subarray(first + 1)
    bytes = carried === 0 ? chunk : concat([...carry, chunk.subarray(from, first + 1)])
    at = carried === 0 ? from : 0
    carry = []
    carried = 0
    return found
  }

  const finish = (): TextRows | undefined => {
    ended = true
    if (tooLong !== undefined) return badRow(tooLong, ++line, tooLongBad)
    if (carried === 0) return undefined
    bytes = concat([...carry, Uint8Array.of(10)])
    at = 0
    carry = []
    carried = 0
    return scan()
  }

  const next: Next<TextRows> = Effect.gen(function* () {
    for (;;) {
      const rows = at < bytes.length ? scan() : undefined
      if (rows !== undefined) return rows
      if (ended) return undefined
      if (at < bytes.length) {
        carry = [bytes.subarray(at)]
        carried = bytes.length - at
      }
      bytes = after
      at = 0
      after = empty
      if (bytes.length > 0) continue
      const chunk = yield* input
      const found = chunk === undefined ? finish() : take(chunk)
      if (found !== undefined) return found
    }
  })
  return {
    next,
    line: () => line,
    position: () => ({ byte: received - after.length - (bytes.length - at), line }),
    rest: () => tooLong ?? (carry.length === 0 ? empty : concat(carry).slice(0, keptBytes))
  }
}
