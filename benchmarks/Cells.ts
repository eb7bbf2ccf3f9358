/** Results as text, a cell a line, so that sides can be compared: `category start applied late`, or `category start count`. */
import { createHash } from "node:crypto"

/** A hash of cells, whatever their order. */
export const fingerprint = (cells: ReadonlyArray<string>): string =>
  createHash("sha256").update(cells.toSorted().join("\n")).digest("hex").slice(0, 32)

/** Applied and late together: what a query without lateness counts. */
export const totalOf = (cell: string): string => {
  const [category, start, applied, late] = cell.split(" ")
  return `${category} ${start} ${Number(applied) + Number(late)}`
}
