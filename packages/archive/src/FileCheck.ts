/**
 * One data file of an archive, read whole and compared with what the table's manifest says of it: its size, rows, nulls and bounds; its partition
 * and day; and its offsets, each greater than the one before.
 */
import * as Bounds from "@headrace/iceberg/Bounds"
import type { Field, Value } from "@headrace/iceberg/Field"
import type { DataFile } from "@headrace/iceberg/Manifest"
import * as PartitionSpec from "@headrace/iceberg/PartitionSpec"
import * as Scan from "@headrace/iceberg/Scan"
import * as ColumnReader from "@headrace/parquet/ColumnReader"
import type { ParquetError } from "@headrace/parquet/ParquetError"
import { ObjectStore } from "@headrace/s3/ObjectStore"
import type { ObjectStoreError } from "@headrace/s3/ObjectStoreError"
import * as Effect from "effect/Effect"

/** What is wrong with a file. */
export interface Problem {
  readonly kind:
    | "file-missing"
    | "file-size"
    | "file-unreadable"
    | "file-rows"
    | "file-bounds"
    | "file-partition"
    | "file-offsets"
  readonly detail: string
}

/** What a file holds. */
export interface Checked {
  readonly rows: number
  /** The first and the last offset; undefined of a file that holds none or can't be read. */
  readonly first: number | undefined
  readonly last: number | undefined
  readonly problems: ReadonlyArray<Problem>
}

/** Of a column, over all row groups. */
interface Found {
  nulls: number
  min: Value | undefined
  max: Value | undefined
}

const note = (found: Found, column: ArrayLike<unknown>, isList: boolean): void => {
  for (let i = 0; i < column.length; i++) {
    const value = column[i] as Value | null
    if (value === null) found.nulls++
    else if (!isList && !Number.isNaN(value)) {
      if (found.min === undefined || Bounds.compare(value, found.min) < 0) found.min = value
      if (found.max === undefined || Bounds.compare(value, found.max) > 0) found.max = value
    }
  }
}

/** How the manifest's counts and bounds of a column differ from what is there. */
const compare = (file: DataFile, field: Field, rows: number, found: Found): ReadonlyArray<Problem> => {
  const out: Array<Problem> = []
  const says = (kind: Problem["kind"], what: string, manifest: unknown, data: unknown) =>
    out.push({
      kind,
      detail: `${what} of the column "${field.name}": the manifest says ${String(manifest)}, the file ${String(data)}`
    })
  if (field.type.kind === "list") return out
  const [nulls, values] = [file.nullValueCounts.get(field.fieldId!), file.valueCounts.get(field.fieldId!)]
  if (nulls !== undefined && nulls !== found.nulls) says("file-rows", "nulls", nulls, found.nulls)
  if (values !== undefined && values !== rows) says("file-rows", "values", values, rows)
  const { lower, upper } = Scan.bounds(file, field)
  const { max, min } = found
  // Offsets are found by their bounds, so those must be exact.
  const exact = field.name === "__offset"
  if (min !== undefined && (lower === undefined ? exact : exact ? lower !== min : Bounds.compare(lower, min) > 0))
    says("file-bounds", "the lower bound", lower, min)
  if (max !== undefined && (upper === undefined ? exact : exact ? upper !== max : Bounds.compare(upper, max) < 0))
    says("file-bounds", "the upper bound", upper, max)
  return out
}

/** Where the rows don't belong to the file's partition. */
const misplaced = (file: DataFile, found: ReadonlyMap<string, Found>): ReadonlyArray<Problem> => {
  const out: Array<Problem> = []
  const expect = (column: string, field: string, of: (value: number) => number) => {
    const { max, min } = found.get(column) ?? {}
    for (const value of new Set([min, max]))
      if (typeof value === "number" && of(value) !== file.partition[field])
        out.push({
          kind: "file-partition",
          detail: `it is in the table's partition ${field} = ${String(file.partition[field])} and holds "${column}" ${value}`
        })
  }
  expect("__partition", "__partition", (value) => value)
  expect("__arrived", "__arrived_day", PartitionSpec.day)
  return out
}

/** Reads and compares a file. Fails only where the store can't be read. */
export const run = Effect.fnUntraced(function* (options: {
  readonly key: string
  readonly file: DataFile
  /** The table's columns. */
  readonly fields: ReadonlyArray<Field>
  readonly onProgress: (rows: number) => Effect.Effect<void>
}): Effect.fn.Return<Checked, ObjectStoreError | ParquetError, ObjectStore> {
  const { fields, file, key, onProgress } = options
  const store = yield* ObjectStore
  const head = yield* store.head(key)
  const only = (problem: Problem): Checked => ({ rows: 0, first: undefined, last: undefined, problems: [problem] })
  if (head === undefined) return only({ kind: "file-missing", detail: "the table names it, and it isn't there" })
  if (head.size !== file.fileSize)
    return only({ kind: "file-size", detail: `the manifest says ${file.fileSize} bytes, it has ${head.size}` })
  const problems: Array<Problem> = []
  const whole = Effect.gen(function* () {
    const parquet = yield* ColumnReader.open({
      name: file.path,
      byteLength: head.size,
      read: (start, end) => store.getRange(key, start, end),
      readMany: (ranges) => store.getRanges(key, ranges)
    })
    const found = new Map<string, Found>(
      parquet.schema.map((f) => [f.name, { nulls: 0, min: undefined, max: undefined }])
    )
    let last = -1
    let ascending = true
    for (const [g, { rowCount }] of parquet.rowGroups.entries()) {
      // A column at a time, which bounds the memory.
      for (const { name, type } of parquet.schema) {
        const column = (yield* ColumnReader.readRowGroup(parquet, g, [name])).columns[name]!
        note(found.get(name)!, column, type.kind === "list")
        if (name !== "__offset") continue
        for (let i = 0; i < rowCount; i++) {
          const offset = column[i] as number
          if (offset <= last && ascending) {
            ascending = false
            problems.push({ kind: "file-offsets", detail: `offset ${offset} comes behind ${last}` })
          }
          last = offset
        }
      }
      yield* onProgress(rowCount)
    }
    if (parquet.rowCount !== file.recordCount)
      problems.push({
        kind: "file-rows",
        detail: `the manifest says ${file.recordCount} rows, it has ${parquet.rowCount}`
      })
    for (const field of fields) {
      const own = parquet.schema.find((f) => f.fieldId === field.fieldId)
      if (own !== undefined) problems.push(...compare(file, field, parquet.rowCount, found.get(own.name)!))
    }
    problems.push(...misplaced(file, found))
    const { max, min } = found.get("__offset") ?? {}
    if (typeof min !== "number" || typeof max !== "number")
      problems.push({ kind: "file-unreadable", detail: 'it has no column "__offset"' })
    return { rows: parquet.rowCount, first: min as number | undefined, last: max as number | undefined, problems }
  })
  return yield* Effect.catchIf(
    whole,
    (error) => error.reason._tag !== "ReadFailed",
    (error) => Effect.succeed(only({ kind: "file-unreadable", detail: error.message }))
  )
})
