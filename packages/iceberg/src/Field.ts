/** Columns as this package and `@headrace/parquet` share them. */

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
 * A value in memory: a number for int, long, date (days since 1970), timestamptz (epoch milliseconds) and decimal (the scaled integer),
 * a bigint where such a number isn't a safe integer, else a string, a boolean, or bytes.
 */
export type Value = boolean | number | bigint | string | Uint8Array

/** What is known of one leaf column of a data file. Sizes in bytes; `min` and `max` bound all values that aren't null. */
export interface ColumnSummary {
  readonly fieldId?: number | undefined
  readonly compressedSize: number
  readonly valueCount: number
  readonly nullCount: number
  readonly min?: Value | null | undefined
  readonly max?: Value | null | undefined
}

/** What a Parquet writer says of a finished file. Sizes and offsets in bytes. */
export interface FileSummary {
  readonly fileSize: number
  readonly rowCount: number
  readonly splitOffsets: ReadonlyArray<number>
  readonly columns: ReadonlyArray<ColumnSummary>
}
