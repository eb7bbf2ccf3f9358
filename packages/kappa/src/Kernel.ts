/**
 * The kernel: a view's declaration compiled to plain loops over a batch.
 *
 * Steps per record, in this order: decoded, filters and event time as declared, late, keys and inputs, apply. The first pass decides
 * what becomes of each record and selects those to apply; then each key and each aggregate runs over the selection by column. State is
 * deltas since the last {@link Kernel.take}; position, watermark and counts are totals.
 *
 * The kernel is synchronous and touches nothing outside: a view's state is a function of the records and the declaration (rule 2).
 */
import type { Column, ColumnBatch } from "@headrace/core/Batch"
import { emptyColumn, Kind } from "@headrace/core/Batch"
import { type PoisonCode, reasonOf } from "@headrace/core/DeadLetter"
import * as EventTime from "@headrace/core/EventTime"
import type { Commit, DeadRow, LateRow, PartialRows, Position } from "@headrace/core/ViewStore"
import type { ValueType } from "@headrace/core/ViewStore"
import * as Decimal from "@headrace/core/Decimal"
import type { Input } from "./Aggregate.ts"
import * as Accumulator from "./internal/Accumulator.ts"
import * as Row from "./internal/Row.ts"
import { Slots } from "./internal/Slots.ts"
import type { Any } from "./View.ts"

export { ColumnNotSelected } from "./internal/Row.ts"

/** A compiled view over one partition. */
export interface Kernel {
  /** Where the partition stands after the batches applied so far. */
  readonly position: () => Position
  /** Rows that the next commit would write: a measure of the memory held. */
  readonly pending: () => number
  /** Folds a batch that begins where the last one ended. Throws {@link Row.ColumnNotSelected} only. */
  readonly apply: (batch: ColumnBatch) => void
  /** The commit of everything since the last one. */
  readonly take: () => Commit
}

/** What an expression gave that its type can't hold. */
const invalid = Symbol("invalid")

const checked = (value: unknown, type: ValueType): unknown => {
  if (value === null || value === undefined) return null
  switch (type.kind) {
    case "string":
      return typeof value === "string" ? value : invalid
    case "boolean":
      return typeof value === "boolean" ? value : invalid
    case "decimal":
      return typeof value === "number" ? (Decimal.fromDouble(value, type.scale) ?? invalid) : invalid
    case "instant":
      return typeof value === "number" && EventTime.isValid(value) ? value + 0 : invalid
    default:
      return Number.isSafeInteger(value) ? (value as number) + 0 : invalid
  }
}

interface Expression {
  readonly name: string
  readonly of: (row: never) => unknown
  readonly type: ValueType
}

/** Compiles the view for one partition that stands at `start`. */
export const make = (view: Any, start: Position): Kernel => {
  const { columns: selected, eventTime, filters, filtersBeforeEventTime, schema } = view.source
  const row = Row.make(schema, selected)
  const argument = row as never
  const print = Row.printer(schema, selected)
  const size = view.window?.size
  const slots = new Slots(view.keys.length)
  const aggregates = view.aggregates.map(({ spec, input }) => {
    const distinct = spec.kind === "countDistinct" ? Accumulator.distinct() : undefined
    const accumulator =
      distinct ??
      (spec.kind === "count"
        ? Accumulator.count(input !== undefined)
        : spec.kind === "sum"
          ? Accumulator.sum()
          : spec.kind === "avg"
            ? Accumulator.average()
            : Accumulator.extreme(spec.kind === "min" ? 1 : -1))
    return { name: spec.name, input, accumulator, distinct }
  })

  let from = start.next
  let next = start.next
  let maxEventTime = start.maxEventTime
  let { read, applied, filtered, late: lateCount, deadLettered } = start.counts
  let late: Array<LateRow> = []
  let dead: Array<DeadRow> = []

  let rows = new Int32Array(0)
  let windows = new Float64Array(0)
  let assigned = new Int32Array(0)

  const reject = (offset: number, code: PoisonCode, field: string, detail: string) => {
    deadLettered++
    dead.push({
      offset,
      reason: reasonOf({ code, field }),
      detail,
      timestamp: null,
      key: null,
      value: null,
      headers: "[]"
    })
  }

  const rejectPoison = (batch: ColumnBatch, i: number) => {
    const poison = batch.poison.get(i)!
    deadLettered++
    const headers = poison.headers.map((h) => [
      h.key,
      h.value === null ? null : Buffer.from(h.value).toString("base64")
    ])
    dead.push({
      offset: batch.offsets[i]!,
      reason: reasonOf(poison),
      detail: poison.detail,
      timestamp: poison.timestamp,
      key: poison.key,
      value: poison.value,
      headers: JSON.stringify(headers)
    })
  }

  /** Runs the filters `[first, last)`: true to keep. A filter that throws dead-letters the record. */
  const passes = (first: number, last: number, offset: number): boolean => {
    for (let f = first; f < last; f++) {
      let keep: boolean
      try {
        keep = filters[f]!(argument)
      } catch (cause) {
        if (cause instanceof Row.ColumnNotSelected) throw cause
        reject(offset, "expression-failed", "where", String(cause))
        return false
      }
      if (!keep) {
        filtered++
        return false
      }
    }
    return true
  }

  /** Decides what becomes of each record; gives the number of those to apply, with their rows and windows. */
  const decide = (batch: ColumnBatch): number => {
    const { count, kinds, offsets } = batch
    const times = eventTime === undefined ? undefined : (batch.columns[eventTime.column] as Float64Array)
    const outOfOrderness = eventTime?.outOfOrderness ?? 0
    let m = 0
    for (let i = 0; i < count; i++) {
      if (kinds !== undefined && kinds[i] !== Kind.decoded) {
        if (kinds[i] === Kind.tombstone) filtered++
        else rejectPoison(batch, i)
        continue
      }
      row.index = i
      if (filtersBeforeEventTime > 0 && !passes(0, filtersBeforeEventTime, offsets[i]!)) continue
      let watermark = EventTime.none
      let t = 0
      if (times !== undefined) {
        t = times[i]!
        watermark = maxEventTime - outOfOrderness
        if (t > maxEventTime) maxEventTime = t
      }
      if (filters.length > filtersBeforeEventTime && !passes(filtersBeforeEventTime, filters.length, offsets[i]!))
        continue
      let window = 0
      if (size !== undefined) {
        window = EventTime.windowStart(t, size)
        if (EventTime.isLate(watermark, window + size)) {
          lateCount++
          late.push({ offset: offsets[i]!, eventTime: t, windowStart: window, columns: print(row) })
          continue
        }
      }
      rows[m] = i
      windows[m] = window
      m++
    }
    return m
  }

  /** Evaluates an expression over the selection into a column; a failure is put into `failed`. */
  const evaluate = (
    expression: Expression,
    m: number,
    count: number,
    failed: Map<number, readonly [string, string]>
  ): Column => {
    const out = emptyColumn<unknown>(count)
    for (let j = 0; j < m; j++) {
      const i = rows[j]!
      row.index = i
      let value: unknown
      try {
        value = checked(expression.of(argument), expression.type)
      } catch (cause) {
        if (cause instanceof Row.ColumnNotSelected) throw cause
        if (!failed.has(i)) failed.set(i, [expression.name, String(cause)])
        continue
      }
      if (value === invalid) {
        if (!failed.has(i))
          failed.set(i, [expression.name, `gave a value that ${JSON.stringify(expression.type)} can't hold`])
      } else out[i] = value
    }
    return out
  }

  const none: Column = []
  const columnOf = (
    name: string,
    input: Input<never> | undefined,
    batch: ColumnBatch,
    m: number,
    failed: Map<number, readonly [string, string]>
  ): Column =>
    input === undefined
      ? none
      : "column" in input
        ? batch.columns[input.column]!
        : evaluate({ name, ...input }, m, batch.count, failed)

  /** Takes the records that can't be applied out of the selection. */
  const rejectFailed = (
    batch: ColumnBatch,
    keys: ReadonlyArray<Column>,
    m: number,
    failed: ReadonlyMap<number, readonly [string, string]>
  ): number => {
    const nullable = view.keys.some(
      (k) =>
        !("column" in k.input) || schema.columns.find((c) => "column" in k.input && c.name === k.input.column)!.nullable
    )
    if (failed.size === 0 && !nullable) return m
    let kept = 0
    for (let j = 0; j < m; j++) {
      const i = rows[j]!
      const failure = failed.get(i)
      const missing = failure === undefined ? keys.findIndex((k) => k[i] === null) : -1
      if (failure !== undefined) reject(batch.offsets[i]!, "expression-failed", failure[0], failure[1])
      else if (missing >= 0)
        reject(batch.offsets[i]!, "null-key", view.keys[missing]!.name, "a key of the view is null")
      else {
        rows[kept] = i
        windows[kept] = windows[j]!
        kept++
      }
    }
    return kept
  }

  const apply = (batch: ColumnBatch): void => {
    if (batch.count > rows.length) {
      rows = new Int32Array(batch.count)
      windows = new Float64Array(batch.count)
      assigned = new Int32Array(batch.count)
    }
    row.columns = selected.map((name) => batch.columns[name]!)
    let m = decide(batch)
    const failed = new Map<number, readonly [string, string]>()
    const keys = view.keys.map((k) => columnOf(k.name, k.input, batch, m, failed))
    const inputs = aggregates.map((a) => columnOf(a.name, a.input, batch, m, failed))
    m = rejectFailed(batch, keys, m, failed)
    slots.assign(keys, rows, windows, assigned, m)
    for (let a = 0; a < aggregates.length; a++) {
      const { accumulator } = aggregates[a]!
      accumulator.reserve(slots.count)
      accumulator.add(inputs[a]!, rows, assigned, m)
    }
    applied += m
    read += batch.count
    next = batch.next
  }

  const position = (): Position => ({
    partition: start.partition,
    next,
    maxEventTime,
    counts: { read, applied, filtered, late: lateCount, deadLettered }
  })

  const take = (): Commit => {
    const { count, keys, windows } = slots.take()
    const partials: PartialRows = {
      count,
      keys,
      windows: size === undefined ? undefined : windows,
      values: aggregates.flatMap((a) => a.accumulator.take(count)),
      sets: aggregates.flatMap((a) => (a.distinct === undefined ? [] : [a.distinct.takeSets(count)]))
    }
    const commit: Commit = { from, position: position(), partials, late, dead }
    from = next
    late = []
    dead = []
    return commit
  }

  const pending = (): number =>
    slots.count + late.length + dead.length + aggregates.reduce((n, a) => n + (a.distinct?.held() ?? 0), 0)

  return { position, pending, apply, take }
}
