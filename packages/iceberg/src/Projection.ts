/**
 * Reading a data file as a table's columns are now. Pure: a plan says which columns to read from the file, and what to make of them.
 *
 * A column is found by its field id whatever its name was when the file was written. One that came later is null; one whose type was widened is
 * read with its old type, whose values are the same in memory.
 */
import * as Result from "effect/Result"
import type { ColumnType, Field } from "./Field.ts"
import { corrupt, type IcebergError, unsupported } from "./IcebergError.ts"

/** A column of a row group: numbers, or values of any type, null where there is none. The same as in `@headrace/parquet`. */
export type Column = Float64Array | ReadonlyArray<unknown>

/** What to read. */
export interface Plan {
  /** Names of the columns in the file, each once. */
  readonly read: ReadonlyArray<string>
  /** The table's columns, in the order asked for, and the name of each in the file; `undefined` where the file hasn't got it. */
  readonly columns: ReadonlyArray<{ readonly name: string; readonly from: string | undefined }>
}

/** Whether values of a file's column can stand in a table's. */
const fits = (file: ColumnType, table: ColumnType): boolean => {
  if (file.kind === "decimal" && table.kind === "decimal")
    return file.scale === table.scale && file.precision <= table.precision
  if (file.kind === "list" && table.kind === "list") {
    return (
      file.element.length === table.element.length &&
      table.element.every((field, i) => {
        const own = file.element[i]!
        return own.fieldId === field.fieldId && own.name === field.name && fits(own.type, field.type)
      })
    )
  }
  return file.kind === table.kind || (file.kind === "int" && table.kind === "long")
}

/**
 * Plans to read columns of the table (see `Table.fields`) from a file with these columns. Fails with `UnsupportedFormat` for a file without
 * field ids or a column that was changed otherwise than by widening it, and with `Corrupt` for one without a required column. `path` names
 * the file in errors.
 */
export const plan = (
  fields: ReadonlyArray<Field>,
  file: ReadonlyArray<Field>,
  path: string
): Result.Result<Plan, IcebergError> => {
  const byId = new Map(file.flatMap((field) => (field.fieldId === undefined ? [] : [[field.fieldId, field] as const])))
  if (byId.size === 0 && file.length > 0) return Result.fail(unsupported(path, "no field ids"))
  const columns: Array<Plan["columns"][number]> = []
  for (const { fieldId, name, required, type } of fields) {
    const own = fieldId === undefined ? undefined : byId.get(fieldId)
    if (own === undefined && required)
      return Result.fail(corrupt(path, `it has no column with the id ${fieldId} of the required column "${name}"`))
    if (own !== undefined && !fits(own.type, type))
      return Result.fail(unsupported(path, `a ${own.type.kind} column "${own.name}" where "${name}" is ${type.kind}`))
    columns.push({ name, from: own?.name })
  }
  return Result.succeed({ read: columns.flatMap(({ from }) => (from === undefined ? [] : [from])), columns })
}

/** The table's columns, made of those that were read from the file. Nothing is copied; missing columns share one array of nulls. */
export const project = (
  { columns }: Plan,
  read: Readonly<Record<string, Column>>,
  rowCount: number
): Readonly<Record<string, Column>> => {
  let nulls: ReadonlyArray<null> | undefined
  const missing = () => (nulls ??= Array.from({ length: rowCount }, () => null))
  return Object.fromEntries(columns.map(({ from, name }) => [name, from === undefined ? missing() : read[from]!]))
}
