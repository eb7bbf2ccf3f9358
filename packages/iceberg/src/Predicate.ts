/**
 * Predicates over columns and partition fields, as data, and whether a file may hold a row that satisfies one. Pure.
 *
 * A file is judged by the bounds and null counts of its columns and by its partition: it is left out only when no row of it can match.
 */
import * as Bounds from "./Bounds.ts"
import type { Value } from "./Field.ts"

/** A condition. A comparison is false for null. `column` is a column's name, or a partition field's. */
export type Predicate =
  | { readonly op: "and" | "or"; readonly of: ReadonlyArray<Predicate> }
  | { readonly op: "eq" | "lt" | "lte" | "gt" | "gte"; readonly column: string; readonly value: Value }
  | { readonly op: "in"; readonly column: string; readonly values: ReadonlyArray<Value> }
  | { readonly op: "isNull" | "notNull"; readonly column: string }

/** Rows for which all hold; of none, every row. */
export const and = (...of: ReadonlyArray<Predicate>): Predicate => ({ op: "and", of })
/** Rows for which one holds; of none, no row. */
export const or = (...of: ReadonlyArray<Predicate>): Predicate => ({ op: "or", of })
/** Rows whose value is this one. */
export const eq = (column: string, value: Value): Predicate => ({ op: "eq", column, value })
/** Rows whose value is less than this one. */
export const lt = (column: string, value: Value): Predicate => ({ op: "lt", column, value })
/** Rows whose value is this one or less. */
export const lte = (column: string, value: Value): Predicate => ({ op: "lte", column, value })
/** Rows whose value is greater than this one. */
export const gt = (column: string, value: Value): Predicate => ({ op: "gt", column, value })
/** Rows whose value is this one or greater. */
export const gte = (column: string, value: Value): Predicate => ({ op: "gte", column, value })
/** Rows whose value is one of these. */
export const isIn = (column: string, values: ReadonlyArray<Value>): Predicate => ({ op: "in", column, values })
/** Rows without a value. */
export const isNull = (column: string): Predicate => ({ op: "isNull", column })
/** Rows with a value. */
export const notNull = (column: string): Predicate => ({ op: "notNull", column })

/** What is known of a column in a file. Absent bounds are open; the two flags say what it may hold. */
export interface Range {
  readonly lower?: Value | undefined
  readonly upper?: Value | undefined
  readonly mayBeNull: boolean
  readonly mayHaveValue: boolean
}

/** Nothing is known. */
export const unbounded: Range = { mayBeNull: true, mayHaveValue: true }

/** What two things known of the same column say together. */
export const intersect = (a: Range, b: Range): Range => ({
  lower: pick(a.lower, b.lower, 1),
  upper: pick(a.upper, b.upper, -1),
  mayBeNull: a.mayBeNull && b.mayBeNull,
  mayHaveValue: a.mayHaveValue && b.mayHaveValue
})

const pick = (a: Value | undefined, b: Value | undefined, sign: 1 | -1): Value | undefined => {
  if (a === undefined || b === undefined) return a ?? b
  return Bounds.compare(a, b) * sign >= 0 ? a : b
}

/** Whether a row may match, given what is known of each column. */
export const mayMatch = (predicate: Predicate, rangeOf: (column: string) => Range): boolean => {
  switch (predicate.op) {
    case "and":
      return predicate.of.every((each) => mayMatch(each, rangeOf))
    case "or":
      return predicate.of.some((each) => mayMatch(each, rangeOf))
    case "isNull":
      return rangeOf(predicate.column).mayBeNull
    case "notNull":
      return rangeOf(predicate.column).mayHaveValue
    case "in": {
      const range = rangeOf(predicate.column)
      return predicate.values.some((value) => within(range, value))
    }
    case "eq":
      return within(rangeOf(predicate.column), predicate.value)
    default: {
      const { lower, mayHaveValue, upper } = rangeOf(predicate.column)
      const { op, value } = predicate
      if (!mayHaveValue) return false
      if (op === "lt") return lower === undefined || Bounds.compare(lower, value) < 0
      if (op === "lte") return lower === undefined || Bounds.compare(lower, value) <= 0
      if (op === "gt") return upper === undefined || Bounds.compare(upper, value) > 0
      return upper === undefined || Bounds.compare(upper, value) >= 0
    }
  }
}

const within = ({ lower, mayHaveValue, upper }: Range, value: Value): boolean =>
  mayHaveValue &&
  (lower === undefined || Bounds.compare(lower, value) <= 0) &&
  (upper === undefined || Bounds.compare(upper, value) >= 0)

/** The names that a predicate uses. */
export const columns = (predicate: Predicate): ReadonlySet<string> =>
  "of" in predicate ? new Set(predicate.of.flatMap((each) => [...columns(each)])) : new Set([predicate.column])
