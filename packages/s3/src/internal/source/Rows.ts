/**
 * Rows of an object on their way to a batch, in two forms: texts, as line formats give them, and slices of a table.
 *
 * A reader gives an object's rows in order; what can't be a row is one, too, with the reason why, so that numbers of rows don't depend on the
 * policy for bad rows.
 */
import type * as Batch from "@headrace/core/Batch"
import type { PoisonCode } from "@headrace/core/DeadLetter"
import type { Next } from "./Failure.ts"

/** What is wrong with a row that could not be read by its format. */
export interface Bad {
  readonly code: PoisonCode
  readonly detail: string
}

/** Rows as JSON texts. */
export interface TextRows {
  readonly _tag: "text"
  readonly count: number
  readonly bytes: Uint8Array
  /** `[start, end)` of row `i` in `bytes` at `2 * i` and `2 * i + 1`. */
  readonly values: Int32Array
  /** Lines by row, from 1. */
  readonly lines: Float64Array
  readonly bad: ReadonlyMap<number, Bad> | undefined
}

/** Rows `[from, from + count)` of a group of rows, read when they are asked for. */
export interface TableRows {
  readonly _tag: "table"
  readonly count: number
  readonly from: number
  readonly lines: Float64Array
  readonly columns: (from: number, until: number) => Readonly<Record<string, Batch.Column>>
}

export type Rows = TextRows | TableRows

/** A place between two lines: so many bytes and lines are before it. */
export interface Position {
  readonly byte: number
  readonly line: number
}

/** Reads one object. */
export interface Reader {
  readonly next: Next<Rows>
  /** The last line that was read, whole or not. */
  readonly line: () => number
  /** What was read of the line at which a failure stands. */
  readonly rest: () => Uint8Array
  /** Where the rows given so far end, if a reader can begin there. */
  readonly position?: (() => Position) | undefined
}

/** How much of a bad row's bytes is kept. */
export const keptBytes = 1 << 16

/** Rows `[from, until)` of rows; a view. */
export const slice = (rows: Rows, from: number, until: number): Rows => {
  if (from === 0 && until === rows.count) return rows
  const lines = rows.lines.subarray(from, until)
  if (rows._tag === "table") return { ...rows, count: until - from, from: rows.from + from, lines }
  let bad: Map<number, Bad> | undefined
  for (const [i, why] of rows.bad ?? []) if (i >= from && i < until) (bad ??= new Map()).set(i - from, why)
  return { ...rows, count: until - from, lines, values: rows.values.subarray(2 * from, 2 * until), bad }
}

/** A bad row alone. */
export const badRow = (bytes: Uint8Array, line: number, bad: Bad): TextRows => ({
  _tag: "text",
  count: 1,
  bytes,
  values: Int32Array.of(0, bytes.length),
  lines: Float64Array.of(line),
  bad: new Map([[0, bad]])
})
