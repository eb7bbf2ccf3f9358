/**
 * CSV as rows: each becomes a JSON object by the header's names. The text must be UTF-8; cells may be quoted and hold line ends; lines that
 * are empty are no rows. A row with another number of cells than the header, with a quote in the wrong place or that isn't UTF-8 is bad.
 *
 * The parser is given bytes as Latin-1, which tells delimiters and quotes of UTF-8 as well, so that broken UTF-8 shows.
 */
import { isUtf8 } from "node:buffer"
import { BatchBuilder } from "@headrace/core/Batch"
import type { ColumnSpec } from "@headrace/core/TopicSchema"
import { CsvError, parse } from "csv-parse"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { printerOf } from "./Cells.ts"
import { Failure, type Next } from "./Failure.ts"
import { type Bad, keptBytes, type Reader, slice, type TextRows } from "./Rows.ts"

/** How CSV is read. */
export interface CsvOptions {
  /** Between cells. Default `","`. */
  readonly delimiter?: string
  /** The names of the columns, when the objects have no header line. */
  readonly header?: ReadonlyArray<string>
}

/** Bytes that are parsed at a time. */
const step = 1 << 18

/** A cell's text, or undefined when it isn't UTF-8. */
const textOf = (cell: string): string | undefined => {
  for (let i = 0; i < cell.length; i++) {
    if (cell.charCodeAt(i) < 0x80) continue
    const bytes = Buffer.from(cell, "latin1")
    return isUtf8(bytes) ? bytes.toString("utf8") : undefined
  }
  return cell
}

/** Whether quotes stand only around whole cells, and doubled within them. */
const wellQuoted = (row: string, delimiter: string): boolean => {
  if (!row.includes('"')) return true
  for (let at = 0; ;) {
    let end: number
    if (row[at] === '"') {
      end = row.indexOf('"', at + 1)
      while (end >= 0 && row[end + 1] === '"') end = row.indexOf('"', end + 2)
      if (end++ < 0) return false
    } else {
      end = row.indexOf(delimiter, at)
      if (end < 0) end = row.length
      const quote = row.indexOf('"', at)
      if (quote >= 0 && quote < end) return false
    }
    if (end === row.length) return true
    if (!row.startsWith(delimiter, end)) return false
    at = end + delimiter.length
  }
}

/** Reads CSV. Declared columns that the header lacks and that can't be null are another schema. */
export const make = Effect.fnUntraced(function* (
  input: Next<Uint8Array>,
  options: CsvOptions & {
    readonly columns: ReadonlyArray<ColumnSpec> | undefined
    readonly maxLineBytes: number
    readonly maxRows: number
    /** Keeps the bytes of bad rows, which costs time. */
    readonly keep: boolean
  }
): Effect.fn.Return<Reader, never, Scope.Scope> {
  const { columns, delimiter = "," } = options
  const builder = new BatchBuilder(1024)
  let lines: Array<number> = []
  let bad: Map<number, Bad> | undefined
  let line = 0
  let prefixes: ReadonlyArray<string> | undefined
  let printers: ReadonlyArray<(cell: string) => string> = []
  let problem: Failure | undefined

  const add = (value: string | Uint8Array, why: Bad | undefined) => {
    if (why !== undefined) (bad ??= new Map()).set(builder.count, why)
    builder.add(null, value, 0)
    lines.push(line)
  }
  const begin = (names: ReadonlyArray<string>) => {
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    const lacking = columns?.find((c) => !c.nullable && !names.includes(c.name))
    if (twice !== undefined)
      problem = new Failure({ kind: "schema", detail: `its header names column "${twice}" twice` })
    else if (lacking !== undefined)
      problem = new Failure({
        kind: "schema",
        detail: `its header has no column "${lacking.name}"; it has ${names.join(", ")}`
      })
    const wanted = names.map((name) => columns === undefined || columns.some((c) => c.name === name))
    prefixes = names.map((name, i) => (wanted[i] ? `${JSON.stringify(name)}:` : ""))
    printers = names.map((name) => printerOf(columns?.find((c) => c.name === name)))
  }
  const onRecord = (cells: ReadonlyArray<string>, lines: number, source: string | undefined) => {
    line = lines
    const row = source?.replace(/^[\r\n]+|[\r\n]+$/g, "")
    if (prefixes === undefined) {
      const names = cells.map((cell) => textOf(cell) ?? cell)
      begin(names)
      return
    }
    const raw = () => Buffer.from(row ?? "", "latin1")
    if (row !== undefined && !wellQuoted(row, delimiter))
      return add(raw().subarray(0, keptBytes), { code: "malformed", detail: "it has a quote in the wrong place" })
    if (cells.length !== prefixes.length) {
      const detail = `it has ${cells.length} cells, the header ${prefixes.length}`
      return add(raw().subarray(0, keptBytes), { code: "malformed", detail })
    }
    let text = "{"
    for (let i = 0; i < cells.length; i++) {
      const prefix = prefixes[i]!
      const cell = textOf(cells[i]!)
      if (cell === undefined) {
        const detail = `its cell ${i + 1} isn't UTF-8`
        return add(raw().subarray(0, keptBytes), { code: "malformed", detail })
      }
      if (prefix !== "") text += (text.length > 1 ? "," : "") + prefix + printers[i]!(cell)
    }
    add(text + "}", undefined)
  }

  /** A fault in quoting; the rows after it can't be told from it. One that isn't ended takes the rest of the object. */
  const onSkip = (error: CsvError | undefined, raw: string | undefined) => {
    if (error === undefined) return
    if (error.code === "CSV_MAX_RECORD_SIZE") throw error
    line = typeof error["lines"] === "number" ? error["lines"] : line
    add(Buffer.from(raw ?? "", "latin1").subarray(0, keptBytes), { code: "malformed", detail: error.message })
  }

  type Found = ReadonlyArray<string> | { readonly record: ReadonlyArray<string>; readonly raw: string }
  const parser = parse({
    delimiter,
    encoding: "latin1",
    skip_empty_lines: true,
    relax_column_count: true,
    skip_records_with_error: true,
    // A quote in the wrong place would take the rows that follow: where bad rows are kept, the row's bytes are looked at instead.
    raw: options.keep,
    relax_quotes: options.keep,
    max_record_size: options.maxLineBytes,
    on_record: ((found: Found, { lines }: { readonly lines: number }) => {
      if ("record" in found) onRecord(found.record, lines, found.raw)
      else onRecord(found, lines, undefined)
      return undefined
    }) as never,
    on_skip: onSkip as never
  })
  parser.on("error", () => undefined)
  yield* Effect.addFinalizer(() => Effect.sync(() => parser.destroy()))
  if (options.header !== undefined) begin(options.header)

  const call = (f: (done: (error?: Error | null) => void) => void): Effect.Effect<void, Failure> =>
    Effect.callback((resume) => {
      f((error) =>
        resume(
          error === undefined || error === null
            ? Effect.void
            : Effect.fail(new Failure({ kind: "broken", detail: error.message }))
        )
      )
    })
  /** Rows of what was parsed. */
  const take = (): TextRows | undefined => {
    if (builder.count === 0) return undefined
    const { bytes, count, values } = builder.take()
    const rows: TextRows = { _tag: "text", count, bytes, values, lines: Float64Array.from(lines), bad }
    lines = []
    bad = undefined
    return rows
  }

  let atStart = true
  let piece: Uint8Array = new Uint8Array(0)
  let failure: Failure | undefined
  let ended = false
  let ready: TextRows | undefined
  const next: Next<TextRows> = Effect.gen(function* () {
    for (;;) {
      if (ready !== undefined) {
        const rows = ready
        const until = Math.min(rows.count, options.maxRows)
        ready = until < rows.count ? (slice(rows, until, rows.count) as TextRows) : undefined
        return slice(rows, 0, until) as TextRows
      }
      if (problem !== undefined) return yield* problem
      if (failure !== undefined) return yield* failure
      if (ended) return undefined
      if (piece.length === 0) {
        const chunk = yield* input
        if (chunk === undefined) {
          ended = true
          yield* Effect.catch(
            call((done) => {
              parser.once("finish", () => done())
              parser.once("error", done)
              parser.end()
            }),
            (cause) => Effect.sync(() => void (failure = cause))
          )
          ready = take()
          continue
        }
        piece = atStart && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? chunk.subarray(3) : chunk
        atStart = false
      }
      const part = Buffer.from(piece.buffer, piece.byteOffset, Math.min(step, piece.length))
      piece = piece.subarray(part.length)
      yield* Effect.catch(
        call((done) => parser.write(part, done)),
        (cause) => Effect.sync(() => void (failure = cause))
      )
      ready = take()
    }
  })
  return { next, line: () => line, rest: () => new Uint8Array(0) }
})
