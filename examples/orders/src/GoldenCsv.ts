/**
 * The golden CSV form: the one text that a result has, so that two results are equal when their bytes are.
 *
 * - A header line, then one line a row. Cells are separated by `,`, lines end with a line feed, the last one too. UTF-8.
 * - Rows are sorted by all columns, from left to right: text by code point (the order of its UTF-8 bytes), everything else by value (so 9
 *   comes before 10), ascending, nothing before anything. Rows that are equal in all columns stay as they are: both are there.
 * - Integers are decimal digits. Decimals have exactly their declared places (`0.50`). Instants are epoch milliseconds. Dates are ISO days
 *   (`2026-03-25`), in UTC. A null is an empty cell.
 * - Text is written as it is, and in double quotes (its own doubled) only if it has `,`, `"` or a line break in it, or is empty.
 */
import * as Decimal from "@headrace/core/Decimal"

/** A typed cell. All cells of a column are of one type, or null. */
export type Cell =
  | null
  | { readonly type: "text"; readonly value: string }
  | { readonly type: "integer" | "instant" | "day"; readonly value: number | bigint }
  | { readonly type: "decimal"; readonly value: number | bigint; readonly places: number }

export const text = (value: string): Cell => ({ type: "text", value })

const whole = (value: number | bigint): number | bigint => {
  if (typeof value === "number" && !Number.isSafeInteger(value))
    throw new RangeError(`expected a whole number that a double holds exactly, got ${value}`)
  return value
}

export const integer = (value: number | bigint): Cell => ({ type: "integer", value: whole(value) })

/** `decimal(1234, 2)` is 12.34. */
export const decimal = (scaled: number | bigint, places: number): Cell => ({
  type: "decimal",
  value: whole(scaled),
  places
})

/** An instant, in epoch milliseconds. */
export const instant = (milliseconds: number | bigint): Cell => ({ type: "instant", value: whole(milliseconds) })

/** A date, in days since 1970-01-01. */
export const isoDay = (days: number | bigint): Cell => ({ type: "day", value: whole(days) })

/** Texts by code point: -1, 0 or 1. JavaScript's own order is by UTF-16 unit, which puts U+FF5E after U+1F600. */
export const compareText = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  let i = 0
  while (i < length && a.charCodeAt(i) === b.charCodeAt(i)) i++
  // -1 past the end: a text comes before those that it begins. In a pair whose first halves are equal the second halves decide.
  return Math.sign((a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1))
}

/** The order of two cells of a column: negative, 0 or positive. */
export const compareCells = (a: Cell, b: Cell): number => {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1
  if (a.type === "text" && b.type === "text") return compareText(a.value, b.value)
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0
}

/** The order of two rows: that of the first column in which they differ. */
export const compareRows = (a: ReadonlyArray<Cell>, b: ReadonlyArray<Cell>): number => {
  for (let i = 0; i < a.length; i++) {
    const order = compareCells(a[i]!, b[i]!)
    if (order !== 0) return order
  }
  return 0
}

const quoted = (value: string): string =>
  value === "" || /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value

const render = (cell: Cell): string => {
  if (cell === null) return ""
  switch (cell.type) {
    case "text":
      return quoted(cell.value)
    case "integer":
    case "instant":
      return String(cell.value === 0 ? 0 : cell.value)
    case "decimal":
      return Decimal.format(cell.value === 0 ? 0 : cell.value, cell.places)
    case "day":
      return new Date(Number(cell.value) * 86_400_000).toISOString().slice(0, 10)
  }
}

const typeOf = (cell: Exclude<Cell, null>): string =>
  cell.type === "decimal" ? `decimal with ${cell.places} places` : cell.type

/** Throws a `TypeError` where the rows aren't a table of the header's columns, each of one type. */
const check = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<Cell>>): void => {
  const types = new Map<number, string>()
  for (const row of rows) {
    if (row.length !== header.length)
      throw new TypeError(`a row has ${row.length} cells under a header of ${header.length}`)
    row.forEach((cell, column) => {
      if (cell === null) return
      const type = types.get(column) ?? typeOf(cell)
      if (typeOf(cell) !== type)
        throw new TypeError(`column "${header[column]}" has both ${type} and ${typeOf(cell)} in it`)
      types.set(column, type)
    })
  }
}

/** The rows in the golden CSV form. They may come in any order and are left as they are. */
export const csv = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<Cell>>): string => {
  check(header, rows)
  const lines = [header.map(quoted).join(",")]
  for (const row of rows.toSorted(compareRows)) lines.push(row.map(render).join(","))
  return lines.join("\n") + "\n"
}
