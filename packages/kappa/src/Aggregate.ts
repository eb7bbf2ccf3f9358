/**
 * Aggregates: what a view computes per key and window. All are exact, and all can be merged over partitions.
 *
 * An input is a column by name, or an expression over a row. A column brings its own type, so sums of decimals are exact. An expression
 * gives whole numbers, or decimals with the given `scale`; a value that can't be held exactly makes its record a dead letter. Nulls are
 * skipped, as in SQL: a sum, minimum, maximum or average of nothing is null.
 */
import type { ValueType } from "@headrace/core/ViewStore"

/** What an aggregate is fed: a column, or an expression of a stated type. */
export type Input<Row> = { readonly column: string } | { readonly of: (row: Row) => unknown; readonly type: ValueType }

/** An aggregate over rows of type `Row`. */
export interface Aggregate<in Row> {
  readonly kind: "count" | "sum" | "min" | "max" | "avg" | "countDistinct"
  /** Of a count: only rows for which it gives true. */
  readonly input: Input<Row> | undefined
  /** Of an average: decimal places, rounded half up when it is read. */
  readonly places: number | undefined
}

type KeyOf<Row, V> = { [K in keyof Row & string]: Row[K] extends V | null | undefined ? K : never }[keyof Row & string]

type Numeric<Row> = KeyOf<Row, number> | ((row: Row) => number | null)

/** Of an expression of numbers. */
export interface ExpressionOptions {
  /** Decimal places of an expression's values. Default 0: whole numbers. */
  readonly scale?: number
}

const inputOf = <Row>(input: string | ((row: Row) => unknown), type: ValueType): Input<Row> =>
  typeof input === "string" ? { column: input } : { of: input, type }

const numeric = (options: ExpressionOptions | undefined): ValueType =>
  options?.scale === undefined || options.scale === 0 ? { kind: "integer" } : { kind: "decimal", scale: options.scale }

const over =
  (kind: "sum" | "min" | "max") =>
  <Row>(input: Numeric<Row>, options?: ExpressionOptions): Aggregate<Row> => ({
    kind,
    input: inputOf(input, numeric(options)),
    places: undefined
  })

/** The number of records. */
export const count: Aggregate<unknown> = { kind: "count", input: undefined, places: undefined }

/** The number of records for which the predicate holds. */
export const countIf = <Row>(predicate: (row: Row) => boolean): Aggregate<Row> => ({
  kind: "count",
  input: { of: predicate, type: { kind: "boolean" } },
  places: undefined
})

/** The exact sum. */
export const sum = over("sum")

/** The smallest value. */
export const min = over("min")

/** The largest value. */
export const max = over("max")

/** The average, kept as sum and count and rounded HALF_UP to `places` (default 6) when it is read. */
export const avg = <Row>(
  input: Numeric<Row>,
  options?: ExpressionOptions & { readonly places?: number }
): Aggregate<Row> => ({ kind: "avg", input: inputOf(input, numeric(options)), places: options?.places ?? 6 })

/** The exact number of different values; an expression gives text. */
export const countDistinct = <Row>(input: (keyof Row & string) | ((row: Row) => string | null)): Aggregate<Row> => ({
  kind: "countDistinct",
  input: inputOf(input, { kind: "string" }),
  places: undefined
})
