/**
 * A view: a typed fold over a log, declared once. The same declaration runs live and is replayed.
 */
import type { AggregateSpec, ValueType, VersionSpec } from "@headrace/core/ViewStore"
import * as Predicate from "effect/Predicate"
import type { Aggregate, Input } from "./Aggregate.ts"
import { columnOf, type Source } from "./Log.ts"
import type { Tumbling } from "./Window.ts"

const TypeId = "~@headrace/kappa/View"

/** A key: a column, an expression that gives text, or an expression of a stated type. */
export type Key<Row> =
  | (Row extends object ? keyof Row & string : string)
  | ((row: Row) => string)
  | { readonly of: (row: Row) => string | number | boolean; readonly type: ValueType }

/** A view's declaration with its inputs resolved. */
export interface View<in Row = never> {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly version: number
  readonly source: Source<Row>
  readonly keys: ReadonlyArray<{ readonly name: string; readonly input: Input<Row>; readonly type: ValueType }>
  readonly window: Tumbling | undefined
  readonly aggregates: ReadonlyArray<{ readonly spec: AggregateSpec; readonly input: Input<Row> | undefined }>
}

/** Any view, whatever its rows: nobody but the kernel feeds it. */
export type Any = View<never>

/** A view's declaration; `Row` is what its topic's columns give. */
export interface AggregateOptions<Row> {
  /** A whole number from 1; a changed declaration takes the next one. */
  readonly version: number
  /** What to group by, by name. */
  readonly by: Readonly<Record<string, Key<NoInfer<Row>>>>
  /** Windows over the event time; without one the view aggregates over all of time and nothing is late. */
  readonly window?: Tumbling
  /** What to compute, by name. */
  readonly values: Readonly<Record<string, Aggregate<NoInfer<Row>>>>
}

/**
 * Declares a view that aggregates by key and window. Throws a `TypeError` that names what is wrong with the declaration.
 */
export const aggregate = <Row>(name: string, from: Source<Row>, options: AggregateOptions<Row>): View<Row> => {
  const { version } = options
  const fail = (what: string): never => {
    throw new TypeError(`view "${name}" version ${version}: ${what}`)
  }
  const names = [...Object.keys(options.by), ...Object.keys(options.values), "window_start", "window_end"]
  for (const n of [name, ...names])
    if (!/^[A-Za-z](_?[A-Za-z0-9])*$/.test(n))
      fail(`"${n}" can't be a name: use a letter, then letters, digits and single underscores`)
  const duplicate = names.find((n, i) => names.findIndex((m) => m.toLowerCase() === n.toLowerCase()) !== i)
  if (duplicate !== undefined) fail(`the name "${duplicate}" is used twice`)
  if (!Number.isSafeInteger(version) || version < 1) fail("a version is a whole number from 1")
  if (options.window !== undefined && from.eventTime === undefined) fail("a window needs an event time on its topic")

  const typeOf = (input: Input<Row>, label: string): ValueType => {
    if (!("column" in input)) return input.type
    if (!from.columns.includes(input.column))
      fail(`"${label}" reads the column "${input.column}", which isn't selected`)
    const type = columnOf(from.schema, input.column).type
    return type.kind === "double"
      ? fail(`"${label}" reads the floating-point column "${input.column}": declare it as decimal(scale) or an integer`)
      : type
  }
  const keys = Object.entries(options.by).map(([label, key]) => {
    const input: Input<Row> =
      typeof key === "string"
        ? { column: key }
        : typeof key === "function"
          ? { of: key, type: { kind: "string" } }
          : (key as Input<Row>)
    return { name: label, input, type: typeOf(input, label) }
  })
  const aggregates = Object.entries(options.values).map(([label, { kind, input, places }]) => {
    if (kind === "count" || input === undefined) return { spec: { name: label, kind: "count" as const }, input }
    const type = typeOf(input, label)
    const numeric = type.kind === "integer" || type.kind === "decimal"
    if ((kind === "sum" || kind === "avg") && !numeric) fail(`"${label}" needs integers or decimals, not ${type.kind}`)
    if ((kind === "min" || kind === "max") && !numeric && type.kind !== "instant" && type.kind !== "date")
      fail(`"${label}" needs numbers, instants or dates, not ${type.kind}`)
    const spec: AggregateSpec =
      kind === "avg" ? { name: label, kind, type, places: places ?? 6 } : { name: label, kind, type }
    return { spec, input }
  })
  return { [TypeId]: TypeId, name, version, source: from, keys, window: options.window, aggregates }
}

/** Whether a value is a view. */
export const isView = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

const inputText = (input: Input<never> | undefined): string =>
  input === undefined ? "" : "column" in input ? `column ${input.column}` : `expression: ${JSON.stringify(input.type)}`

/**
 * What the store keeps of a version. `source` is a hash of the source bytes of its module: a lambda's text differs between runtimes and
 * builds, so expressions count by the module that holds them.
 */
export const spec = (view: Any, source: string): VersionSpec => {
  const { eventTime, filters, filtersBeforeEventTime, schema, topic, columns } = view.source
  const lines = [
    `view ${view.name}`,
    `topic ${topic}`,
    ...schema.fingerprint.split("\n").map((line) => `field ${line}`),
    `columns ${columns.join(", ")}`,
    `filters ${filters.length}`,
    eventTime === undefined
      ? "no event time"
      : `event time ${eventTime.column} out of order by ${eventTime.outOfOrderness} ms after ${filtersBeforeEventTime} filters`,
    view.window === undefined ? "no window" : `window ${view.window.kind} ${view.window.size} ms`,
    ...view.keys.map((k) => `key ${k.name} ${JSON.stringify(k.type)} ${inputText(k.input)}`),
    ...view.aggregates.map((a) => `value ${JSON.stringify(a.spec)} ${inputText(a.input)}`)
  ]
  return {
    view: view.name,
    version: view.version,
    topic,
    keys: view.keys.map(({ name, type }) => ({ name, type })),
    windowSize: view.window?.size,
    aggregates: view.aggregates.map((a) => a.spec),
    declaration: lines.join("\n"),
    source
  }
}
