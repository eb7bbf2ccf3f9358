/**
 * Parquet as rows, a row group at a time: only the declared columns are read. Columns are checked against the declared ones once an object, by
 * type, and their values as those of any other format.
 */
import { emptyColumn } from "@headrace/core/Batch"
import type { ColumnSpec, ColumnType } from "@headrace/core/TopicSchema"
import * as ColumnReader from "@headrace/parquet/ColumnReader"
import type { Field } from "@headrace/parquet/Field"
import type { ParquetError } from "@headrace/parquet/ParquetError"
import * as Effect from "effect/Effect"
import type { ObjectHead, Service } from "../../ObjectStore.ts"
import { Failure, type Next } from "./Failure.ts"
import { readRange, readRanges } from "./ObjectBytes.ts"
import { type Reader, type TableRows } from "./Rows.ts"

const failureOf = ({ reason }: ParquetError): Failure => {
  if (reason._tag === "ReadFailed")
    return reason.cause instanceof Failure ? reason.cause : new Failure({ kind: "broken", detail: reason.message })
  const other = reason._tag === "MissingColumn" || reason._tag === "UnsupportedColumn"
  return new Failure({ kind: other ? "schema" : "broken", detail: reason.message })
}

const nameOf = (type: ColumnType | Field["type"]): string => {
  if (type.kind !== "decimal") return type.kind
  return "precision" in type ? `decimal(${type.precision}, ${type.scale})` : `decimal of ${type.scale} places`
}

const fits = (declared: ColumnType, found: Field["type"]): boolean => {
  switch (declared.kind) {
    case "string":
    case "boolean":
    case "date":
      return found.kind === declared.kind
    case "integer":
      return found.kind === "int" || found.kind === "long"
    case "double":
      return found.kind === "double" || found.kind === "int"
    case "instant":
      return found.kind === "timestamptz"
    case "decimal":
      return found.kind === "decimal" && found.scale === declared.scale
  }
}

/** What is wrong with a file's columns for what is declared. */
const mismatch = (file: ColumnReader.ParquetFile, columns: ReadonlyArray<ColumnSpec>): string | undefined => {
  for (const { name, nullable, type } of columns) {
    const found = file.schema.find((f) => f.name === name)
    if (found !== undefined) {
      if (!fits(type, found.type)) return `its column "${name}" is ${nameOf(found.type)}, declared is ${nameOf(type)}`
    } else if (file.unreadable.includes(name)) return `its column "${name}" is of a type that can't be read`
    else if (!nullable) return `it has no column "${name}"; it has ${file.schema.map((f) => f.name).join(", ")}`
  }
  return undefined
}

/** Opens a Parquet object and reads its rows from `skip` on. */
export const make = Effect.fnUntraced(function* (
  store: Service,
  key: string,
  head: ObjectHead,
  options: {
    readonly columns: ReadonlyArray<ColumnSpec>
    readonly skip: number
    readonly maxRows: number
    readonly maxRowGroupBytes: number
  }
): Effect.fn.Return<Reader, Failure> {
  const file = yield* Effect.mapError(
    ColumnReader.open({
      name: key,
      byteLength: head.size,
      read: (start, end) => readRange(store, key, head, start, end),
      readMany: (ranges) => readRanges(store, key, head, ranges)
    }),
    failureOf
  )
  const problem = mismatch(file, options.columns)
  if (problem !== undefined) return yield* new Failure({ kind: "schema", detail: problem })
  const present = options.columns.map((c) => c.name).filter((name) => file.schema.some((f) => f.name === name))
  const absent = options.columns.map((c) => c.name).filter((name) => !present.includes(name))
  let group = 0
  let row = 0
  let skip = options.skip
  /** Of the group that is read: its rows, where they begin in the file, and the next. */
  let current: { readonly slices: ColumnReader.Slices; readonly count: number; readonly begin: number } | undefined
  let at = 0

  const readGroup = Effect.gen(function* () {
    const { rowCount } = file.rowGroups[group]!
    const size = ColumnReader.plan(file, group, present).reduce(
      (sum, c) => sum + Number(c.meta.total_uncompressed_size),
      0
    )
    if (size > options.maxRowGroupBytes)
      return yield* new Failure({
        kind: "broken",
        detail: `its row group ${group} takes ${size} bytes, more than maxRowGroupBytes ${options.maxRowGroupBytes}`
      })
    const slices = yield* Effect.mapError(ColumnReader.readSlices(file, group, present), failureOf)
    return { slices, count: rowCount, begin: row }
  })

  const next: Next<TableRows> = Effect.gen(function* () {
    for (;;) {
      if (current === undefined) {
        const here = file.rowGroups[group]
        if (here === undefined) return undefined
        if (skip >= here.rowCount) {
          skip -= here.rowCount
          row += here.rowCount
          group++
          continue
        }
        current = yield* readGroup
        at = skip
        skip = 0
      }
      const { begin, count, slices } = current
      const from = at
      const n = Math.min(options.maxRows, count - from)
      at += n
      if (at === count) {
        current = undefined
        group++
        row += count
      }
      if (n === 0) continue
      return {
        _tag: "table",
        count: n,
        from,
        lines: Float64Array.from({ length: n }, (_, i) => begin + from + i + 1),
        columns: (a, b) => ({
          ...Object.fromEntries(absent.map((name) => [name, emptyColumn<null>(b - a).fill(null)])),
          ...slices(a, b).columns
        })
      }
    }
  })
  return { next, line: () => row + (current === undefined ? 0 : at), rest: () => new Uint8Array(0) }
})
