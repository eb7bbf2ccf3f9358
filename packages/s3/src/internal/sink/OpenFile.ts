/** A file under way: rows in memory, and those that were handed to its upload. */
import type { Column } from "@headrace/core/Batch"
import type { ColumnSpec } from "@headrace/core/TopicSchema"
import { ColumnBuffer } from "./ColumnBuffer.ts"

/** Rows of a file that came from one partition. */
export interface Span {
  /** Offsets of the first and the last of them. */
  first: number
  last: number
  rows: number
  /** Where the source goes on to get all of them again; `undefined` when the first of them are kept with the commits. */
  readonly back: { readonly next: number; readonly resume: unknown } | undefined
}

/** Memory that a file takes without any row, in bytes. */
export const overhead = 2048

export class OpenFile {
  readonly folder: string
  readonly kind: "data" | "bad"
  readonly specs: ReadonlyArray<ColumnSpec>
  /** The first row's coordinates, which name the file. */
  readonly partition: number
  readonly offset: number
  readonly spans = new Map<number, Span>()
  readonly #columns: ReadonlyArray<ColumnBuffer>
  /** All rows, encoded or not. */
  rows = 0
  /** Rows and bytes in memory. */
  pendingRows = 0
  pendingBytes = 0
  /** Bytes that were handed to the upload; a compressor may keep some back. */
  written = 0
  /** When it is to be committed, epoch milliseconds. */
  due = Infinity
  /** It has only late rows, which may wait for long. */
  late = true
  /** Some of its rows are in the last commit as rows that wait. */
  parked = false

  constructor(
    folder: string,
    kind: "data" | "bad",
    specs: ReadonlyArray<ColumnSpec>,
    first: { readonly partition: number; readonly offset: number }
  ) {
    this.folder = folder
    this.kind = kind
    this.specs = specs
    this.partition = first.partition
    this.offset = first.offset
    this.#columns = specs.map((spec) => new ColumnBuffer(spec.type))
  }

  /** Whether all of its rows are in memory. */
  get inMemory(): boolean {
    return this.pendingRows === this.rows
  }

  /** Adds the rows `rows[from, to)` of columns in the order of the specs. */
  append(columns: ReadonlyArray<Column | undefined>, rows: Int32Array, from: number, to: number): void {
    for (let c = 0; c < columns.length; c++) this.pendingBytes += this.#columns[c]!.append(columns[c], rows, from, to)
    this.pendingRows += to - from
    this.rows += to - from
  }

  /** The rows in memory, as views until more are added. */
  get columns(): ReadonlyArray<Column> {
    return this.#columns.map((column) => column.view())
  }

  /** Forgets the rows in memory, which were encoded. */
  clear(): void {
    for (const column of this.#columns) column.clear()
    this.pendingRows = 0
    this.pendingBytes = 0
  }
}
