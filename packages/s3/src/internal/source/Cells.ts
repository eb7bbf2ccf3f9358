/** Cells of text as JSON, by the columns that are declared: how CSV rows and folder names become values. */
import type { ColumnSpec } from "@headrace/core/TopicSchema"

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/**
 * How a cell of a column is written in JSON. A number keeps all of its digits; an empty cell is null where the column may be, or isn't text.
 * Of an undeclared column it is text.
 */
export const printerOf = (declared: ColumnSpec | undefined): ((cell: string) => string) => {
  if (declared === undefined) return JSON.stringify
  const { nullable, type } = declared
  if (type.kind === "string") return nullable ? (cell) => (cell === "" ? "null" : JSON.stringify(cell)) : JSON.stringify
  return (cell) =>
    cell === "" ? "null" : number.test(cell) || cell === "true" || cell === "false" ? cell : JSON.stringify(cell)
}
