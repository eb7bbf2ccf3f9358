/**
 * CSV with a header. A view of the project that reads the topic says which columns are text; without one, what looks like a JSON number or
 * like true or false becomes that. An empty cell is null, but in a column of text that is never null.
 */
import { createReadStream } from "node:fs"
import type { ColumnSpec, TopicSchema } from "@headrace/core/TopicSchema"
import { CsvError, parse } from "csv-parse"
import { BadRow, Page, type Row, type Wanted } from "./Row.ts"

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

const bare = (cell: string): string | undefined =>
  number.test(cell) || cell === "true" || cell === "false" ? cell : undefined

/** How a cell of a column is written in JSON; a number keeps all of its digits. */
const printerOf = (declared: ColumnSpec | undefined, known: boolean): ((cell: string) => string) => {
  const text = JSON.stringify
  if (declared === undefined) return known ? text : (cell) => (cell === "" ? "null" : (bare(cell) ?? text(cell)))
  if (declared.type.kind === "string") return (cell) => (cell === "" && declared.nullable ? "null" : text(cell))
  return (cell) => (cell === "" ? "null" : (bare(cell) ?? text(cell)))
}

const headerOf = (cells: ReadonlyArray<string>, wanted: Wanted): ReadonlyArray<string> => {
  const twice = cells.find((c, i) => cells.indexOf(c) !== i)
  if (twice !== undefined) throw new BadRow(1, `its header names the column "${twice}" twice`)
  const lacking = [wanted.key, wanted.timestamp].find((c) => c !== undefined && !cells.includes(c))
  if (lacking !== undefined) throw new BadRow(1, `there is no column "${lacking}"; there are ${cells.join(", ")}`)
  return cells
}

/** The rows of a file, page by page. */
export async function* read(
  file: string,
  wanted: Wanted,
  schema: TopicSchema | undefined
): AsyncGenerator<ReadonlyArray<Row>, void> {
  const page = new Page()
  const input = createReadStream(file, { highWaterMark: 1 << 20 })
  const parser = parse({ bom: true, info: true, skip_empty_lines: true, max_record_size: 64 << 20 })
  input.on("error", (error) => parser.destroy(error))
  input.pipe(parser)
  let header: ReadonlyArray<string> | undefined
  let printers: ReadonlyArray<(cell: string) => string> = []
  try {
    for await (const { info, record } of parser as AsyncIterable<{
      readonly info: { readonly lines: number }
      readonly record: ReadonlyArray<string>
    }>) {
      if (header === undefined) {
        header = headerOf(record, wanted)
        printers = header.map((name) =>
          printerOf(
            schema?.columns.find((c) => c.name === name),
            schema !== undefined
          )
        )
        continue
      }
      const names = header
      const fields = record.map((cell, i) => `${JSON.stringify(names[i])}:${printers[i]!(cell)}`)
      const of = (column: string | undefined) => {
        const cell = column === undefined ? undefined : record[names.indexOf(column)]
        return cell === "" ? null : cell
      }
      const row = {
        line: info.lines,
        text: `{${fields.join(",")}}`,
        key: of(wanted.key),
        timestamp: of(wanted.timestamp)
      }
      if (page.add(row)) yield page.take()
    }
  } catch (cause) {
    if (cause instanceof CsvError && typeof cause["lines"] === "number") throw new BadRow(cause["lines"], cause.message)
    throw cause
  } finally {
    input.destroy()
  }
  const last = page.take()
  if (last.length > 0) yield last
}
