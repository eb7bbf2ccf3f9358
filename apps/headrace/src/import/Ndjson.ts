/** NDJSON: a JSON object a line, taken byte for byte. Empty lines are passed over. */
import { createReadStream } from "node:fs"
import { BadRow, Page, type Row, type Wanted } from "./Row.ts"

/** A longer line is no line of a record. */
const maxLine = 64 << 20

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const rowOf = (bytes: Uint8Array, line: number, wanted: Wanted): Row => {
  let text: string
  try {
    text = strict.decode(bytes)
  } catch {
    throw new BadRow(line, "it isn't UTF-8")
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new BadRow(line, `it isn't JSON (${cause instanceof Error ? cause.message : String(cause)})`)
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new BadRow(line, "it isn't a JSON object")
  const fields = value as Readonly<Record<string, unknown>>
  const of = (column: string | undefined) => (column === undefined ? undefined : fields[column])
  return { line, text, key: of(wanted.key), timestamp: of(wanted.timestamp) }
}

const isBlank = (bytes: Uint8Array): boolean => bytes.every((b) => b === 32 || b === 9 || b === 13)

/** The line without what may end it on other systems, and the file without its byte order mark. */
const trim = (bytes: Uint8Array, line: number): Uint8Array => {
  const end = bytes.at(-1) === 13 ? bytes.length - 1 : bytes.length
  const start = line === 1 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  return bytes.subarray(start, end)
}

/** The rows of a file, page by page. */
export async function* read(file: string, wanted: Wanted): AsyncGenerator<ReadonlyArray<Row>, void> {
  const page = new Page()
  let line = 0
  let rest: Uint8Array = new Uint8Array(0)
  const take = (bytes: Uint8Array): boolean => {
    line++
    const own = trim(bytes, line)
    return isBlank(own) ? false : page.add(rowOf(own, line, wanted))
  }
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const piece = chunk.subarray(from, end)
      from = end + 1
      const whole = rest.length === 0 ? piece : Buffer.concat([rest, piece])
      rest = new Uint8Array(0)
      if (take(whole)) yield page.take()
    }
    if (from < chunk.length) rest = Buffer.concat([rest, chunk.subarray(from)])
    if (rest.length > maxLine) throw new BadRow(line + 1, `it has more than ${maxLine >> 20} MB`)
  }
  if (rest.length > 0) take(rest)
  const last = page.take()
  if (last.length > 0) yield last
}
