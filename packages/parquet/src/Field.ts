/**
 * Columns of a Parquet file, and how their values stand in memory.
 */

/** The type of a column. A list holds structs. */
export type ColumnType =
  | { readonly kind: "boolean" | "int" | "long" | "double" | "string" | "binary" | "date" | "timestamptz" }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "list"; readonly element: ReadonlyArray<Field>; readonly elementId?: number }

/** A column, or a field of a list's element. `fieldId` is Iceberg's id, by which a column is known across renames. */
export interface Field {
  readonly name: string
  readonly type: ColumnType
  readonly required: boolean
  readonly fieldId?: number
}

/**
 * The values of a column by row. int, long, date (days since 1970), timestamptz (epoch milliseconds), decimal (the scaled integer) and double
 * are a `Float64Array` while none is null, else numbers and nulls; text, booleans, bytes and lists of records stand as themselves.
 */
export type Column = Float64Array | ReadonlyArray<unknown>

/** A bound of a column in its form in memory. */
export type Value = number | string | boolean | Uint8Array
