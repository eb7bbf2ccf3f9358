/** Tables of text for people. */

export interface Column {
  readonly name: string
  readonly align?: "left" | "right"
}

/** A whole number with its thousands apart. */
export const number = (n: number): string => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ",")

/** Text from data can't steer the terminal, and a cell is one line. */
const cellOf = (text: string): string =>
  // oxlint-disable-next-line no-control-regex
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** Columns side by side under their names, each as wide as it must be; every line begins with two spaces. */
export const render = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const cells = rows.map((row) => row.map(cellOf))
  const widths = columns.map((c, i) => cells.reduce((w, row) => Math.max(w, row[i]!.length), c.name.length))
  const line = (texts: ReadonlyArray<string>) =>
    `  ${texts.map((t, i) => (columns[i]!.align === "right" ? t.padStart(widths[i]!) : t.padEnd(widths[i]!))).join("  ")}`.trimEnd()
  return [line(columns.map((c) => c.name)), line(widths.map((w) => "─".repeat(w))), ...cells.map(line)].join("\n")
}
