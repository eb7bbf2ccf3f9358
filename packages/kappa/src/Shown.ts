/** The values of a view's rows in JSON: decimals as texts with their places, averages computed, instants and days as ISO texts. */
import * as Decimal from "@headrace/core/Decimal"
import type { AggregateSpec, StateValue, ValueType, VersionSpec } from "@headrace/core/ViewStore"

/** A value in JSON: whole numbers beyond 2⁵³ are texts. */
export type Shown = string | number | boolean | null

const day = 86_400_000

/** An instant in epoch milliseconds. */
export const instant = (t: number): string => new Date(t).toISOString()

/** A value of a key or of an aggregate. */
export const show = (value: StateValue, type: ValueType): Shown => {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value
  switch (type.kind) {
    case "decimal":
      return Decimal.format(value, type.scale)
    case "instant":
      return instant(Number(value))
    case "date":
      return instant(Number(value) * day).slice(0, 10)
    default:
      return typeof value === "bigint" ? String(value) : value
  }
}

/** How many cells of a row an aggregate takes. */
export const widthOf = (a: AggregateSpec): number => (a.kind === "avg" ? 2 : 1)

/** An aggregate from its cells: an average from its sum and its count. */
export const showAggregate = (a: AggregateSpec, cells: ReadonlyArray<StateValue>): Shown => {
  const [first = null, second = null] = cells
  if (a.kind === "count" || a.kind === "countDistinct") return show(first, { kind: "integer" })
  if (a.kind !== "avg") return show(first, a.type)
  if (first === null || Number(second) === 0) return null
  const scale = a.type.kind === "decimal" ? a.type.scale : 0
  return Decimal.format(Decimal.average(BigInt(first), BigInt(second ?? 0), scale, a.places), a.places)
}

/** The keys of a row by name, with the window's start if there is one. */
export const showKey = (spec: VersionSpec, key: ReadonlyArray<StateValue>): Record<string, Shown> =>
  Object.fromEntries([
    ...spec.keys.map((k, i) => [k.name, show(key[i]!, k.type)] as const),
    ...(spec.windowSize === undefined
      ? []
      : [["window_start", show(key[spec.keys.length]!, { kind: "instant" })] as const])
  ])

/** Aggregates by name, from the cells behind the keys. */
export const showAggregates = (
  aggregates: ReadonlyArray<AggregateSpec>,
  cells: ReadonlyArray<StateValue>
): Record<string, Shown> => {
  let at = 0
  return Object.fromEntries(
    aggregates.map((a) => [a.name, showAggregate(a, cells.slice(at, (at += widthOf(a))))] as const)
  )
}
