/** What a file's reader gives: rows as JSON texts, a page at a time. */

/** A row that is to become a record's value. */
export interface Row {
  /** From 1. */
  readonly line: number
  /** A JSON object. */
  readonly text: string
  /** What stands in the column of the key, and in that of the timestamp; undefined where there is none. */
  readonly key: unknown
  readonly timestamp: unknown
}

/** Which columns are looked at beside the value. */
export interface Wanted {
  readonly key: string | undefined
  readonly timestamp: string | undefined
}

/** Rows of a page at most. */
const pageRows = 4_096
/** Characters of a page at most, unless one row alone has more. */
const pageLength = 4 << 20

/** Thrown by a reader at a row that it can't use. */
export class BadRow extends Error {
  readonly line: number
  constructor(line: number, detail: string) {
    super(detail)
    this.line = line
  }
}

/** Gathers rows to pages. */
export class Page {
  #rows: Array<Row> = []
  #length = 0

  /** Whether it is time to {@link take}. */
  add(row: Row): boolean {
    this.#rows.push(row)
    this.#length += row.text.length
    return this.#rows.length >= pageRows || this.#length >= pageLength
  }

  take(): ReadonlyArray<Row> {
    const rows = this.#rows
    this.#rows = []
    this.#length = 0
    return rows
  }
}
