/**
 * The fold of a view, written a second time, as plainly as possible: it is what the engine's answers are compared with.
 *
 * It shares no code with the engine but the adding up of hashes. It keeps every value of every group until the end and aggregates them in
 * one go, so it has no partial state, no batches, no merging and no commits that could go wrong; memory and speed don't matter here.
 *
 * A record's fate is the first of these that holds:
 *
 * 1. Its value is null (a tombstone): **filtered**.
 * 2. Its value doesn't decode: **dead**, with the decoder's reason.
 * 3. The filter doesn't let it pass: **filtered**.
 * 4. The view has windows, and the watermark before the record has reached the last millisecond of its window: **late**.
 * 5. One of its keys is null: **dead**, `null-key:<name>`.
 * 6. Otherwise it is **applied**.
 *
 * The watermark before a record is the largest event time of the records before it in its own partition, less the out-of-orderness. Of
 * those, the ones count that got as far as the place where the event time is declared: all that decode, or, when it is declared after the
 * filter, all that pass it. Tombstones and what doesn't decode have no event time, so they never count.
 */
import { Accumulator } from "@headrace/core/StateHash"

export interface SourceRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  /** JSON text, or anything else, or null for a tombstone. */
  readonly value: string | null
}

export type Decoded<Row> =
  | { readonly ok: true; readonly row: Row }
  /** `code` or `code:field`. */
  | { readonly ok: false; readonly reason: string }

type Value = string | number | boolean | null

/** An aggregate over one value a row: an integer, a scaled decimal, or a text. Nulls are skipped. */
type Aggregate<Row> =
  | { readonly name: string; readonly kind: "count" }
  | {
      readonly name: string
      readonly kind: "sum" | "min" | "max" | "avg" | "countDistinct"
      readonly value: (row: Row) => Value
    }

export interface Description<Row> {
  readonly decode: (valueText: string) => Decoded<Row>
  readonly where?: ((row: Row) => boolean) | undefined
  /** Epoch milliseconds. */
  readonly eventTime: (row: Row) => number
  /** Milliseconds. */
  readonly outOfOrderness: number
  /** Whether the event time is declared after the filter. */
  readonly eventTimeAfterFilter: boolean
  readonly keys: ReadonlyArray<readonly [name: string, key: (row: Row) => Value]>
  /** Length of the tumbling windows in milliseconds, or `undefined` for a view without windows. */
  readonly windowSize: number | undefined
  readonly aggregates: ReadonlyArray<Aggregate<Row>>
  /** What is kept of a late record: these columns as a JSON object, in this order. */
  readonly lateColumns: ReadonlyArray<string & keyof Row>
}

/** A cell of a result; `bigint` only beyond the safe integers. */
type Cell = Value | bigint

interface Late {
  readonly partition: number
  readonly offset: number
  readonly eventTime: number
  readonly windowStart: number
  readonly columns: string
}

interface Dead {
  readonly partition: number
  readonly offset: number
  readonly reason: string
}

/** `read = applied + filtered + late + deadLettered`. */
interface Counts {
  readonly read: number
  readonly applied: number
  readonly filtered: number
  readonly late: number
  readonly deadLettered: number
}

interface Position {
  readonly partition: number
  /** The offset after the last record's; 0 where there is none. */
  readonly next: number
  /** -Infinity where no record has one. */
  readonly maxEventTime: number
  readonly counts: Counts
}

export interface Result {
  /** Keys, the window's start if the view has windows, then a value per aggregate (for avg two: sum, count). By keys, then window. */
  readonly rows: ReadonlyArray<ReadonlyArray<Cell>>
  /** By partition and offset. */
  readonly late: ReadonlyArray<Late>
  /** By partition and offset. */
  readonly dead: ReadonlyArray<Dead>
  /** By partition. */
  readonly positions: ReadonlyArray<Position>
}

/** Text by code point, which is the order of its UTF-8 bytes; numbers by value; false before true. Both are of one type, and not null. */
const compare = (a: Cell, b: Cell): number => {
  if (a === null || b === null || (typeof a === "string") !== (typeof b === "string"))
    throw new TypeError(`${String(a)} and ${String(b)} have no order`)
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : a > b ? 1 : 0
}

/** An exact integer as the state holds it. */
const integer = (n: bigint): number | bigint => (Number.isSafeInteger(Number(n)) ? Number(n) : n)

/** An exact sum; null of nothing. */
const sum = (values: ReadonlyArray<Cell>): Cell => {
  if (values.length === 0) return null
  let total = 0n
  for (const value of values) {
    if (typeof value !== "number" || !Number.isSafeInteger(value))
      throw new TypeError(`${String(value)} can't be summed`)
    total += BigInt(value)
  }
  return integer(total)
}

/** One aggregate of the rows of a group: one cell, or two for avg. */
const aggregateOf = <Row>(aggregate: Aggregate<Row>, rows: ReadonlyArray<Row>): ReadonlyArray<Cell> => {
  if (aggregate.kind === "count") return [rows.length]
  const values = rows.map(aggregate.value).filter((value) => value !== null)
  const sorted = () => values.toSorted(compare)
  switch (aggregate.kind) {
    case "sum":
      return [sum(values)]
    case "min":
      return [sorted().at(0) ?? null]
    case "max":
      return [sorted().at(-1) ?? null]
    case "avg":
      return [sum(values), values.length]
    case "countDistinct":
      return [new Set(values).size]
  }
}

/** Keys and window of a record, and the record. */
interface Applied<Row> {
  readonly group: ReadonlyArray<Value>
  readonly row: Row
}

/** One partition from its first record to its last. */
const foldPartition = <Row>(
  description: Description<Row>,
  partition: number,
  records: ReadonlyArray<SourceRecord>
): {
  readonly applied: ReadonlyArray<Applied<Row>>
  readonly late: ReadonlyArray<Late>
  readonly dead: ReadonlyArray<Dead>
  readonly position: Position
} => {
  const { decode, eventTime, eventTimeAfterFilter, keys, lateColumns, outOfOrderness, where, windowSize } = description
  const applied: Array<Applied<Row>> = []
  const late: Array<Late> = []
  const dead: Array<Dead> = []
  let filtered = 0
  /** The largest event time of the records before this one. */
  let before = Number.NEGATIVE_INFINITY

  for (const { offset, value } of records) {
    if (value === null) {
      filtered++
      continue
    }
    const decoded = decode(value)
    if (!decoded.ok) {
      dead.push({ partition, offset, reason: decoded.reason })
      continue
    }
    const row = decoded.row
    const time = eventTime(row)
    const passes = where === undefined || where(row)
    const watermark = before - outOfOrderness
    if (passes || !eventTimeAfterFilter) before = Math.max(before, time)
    if (!passes) {
      filtered++
      continue
    }

    const group: Array<Value> = keys.map(([, key]) => key(row))
    if (windowSize !== undefined) {
      const windowStart = Math.floor(time / windowSize) * windowSize
      if (watermark >= windowStart + windowSize - 1) {
        const columns = JSON.stringify(Object.fromEntries(lateColumns.map((name) => [name, row[name]])))
        late.push({ partition, offset, eventTime: time, windowStart, columns })
        continue
      }
      group.push(windowStart)
    }
    const nullKey = keys.find((_, i) => group[i] === null)
    if (nullKey !== undefined) {
      dead.push({ partition, offset, reason: `null-key:${nullKey[0]}` })
      continue
    }
    applied.push({ group, row })
  }

  return {
    applied,
    late,
    dead,
    position: {
      partition,
      next: records.length === 0 ? 0 : records.at(-1)!.offset + 1,
      maxEventTime: before,
      counts: {
        read: records.length,
        applied: applied.length,
        filtered,
        late: late.length,
        deadLettered: dead.length
      }
    }
  }
}

/** Groups compared key by key, then by window. */
const compareGroups = (a: ReadonlyArray<Cell>, b: ReadonlyArray<Cell>): number =>
  a.map((cell, i) => compare(cell, b[i]!)).find((order) => order !== 0) ?? 0

/** What a view holds after the records of all partitions; `partitions[p]` are partition `p`'s, in offset order. */
export const fold = <Row>(
  description: Description<Row>,
  partitions: ReadonlyArray<ReadonlyArray<SourceRecord>>
): Result => {
  const folded = partitions.map((records, partition) => foldPartition(description, partition, records))

  const groups = new Map<string, { readonly group: ReadonlyArray<Value>; readonly rows: Array<Row> }>()
  for (const { group, row } of folded.flatMap((p) => p.applied)) {
    const name = JSON.stringify(group)
    const known = groups.get(name)
    if (known === undefined) groups.set(name, { group, rows: [row] })
    else known.rows.push(row)
  }

  return {
    rows: Array.from(groups.values())
      .toSorted((a, b) => compareGroups(a.group, b.group))
      .map(({ group, rows }) => [...group, ...description.aggregates.flatMap((a) => aggregateOf(a, rows))]),
    late: folded.flatMap((p) => p.late),
    dead: folded.flatMap((p) => p.dead),
    positions: folded.map((p) => p.position)
  }
}

/** The canonical state hash of a result: equal to that of a version in a view store that holds the same. */
export const stateHash = (result: Result): string => {
  const hash = new Accumulator()
  for (const { counts, maxEventTime, next, partition } of result.positions)
    hash.add([
      "position",
      partition,
      next,
      maxEventTime === Number.NEGATIVE_INFINITY ? null : maxEventTime,
      counts.read,
      counts.applied,
      counts.filtered,
      counts.late,
      counts.deadLettered
    ])
  for (const row of result.rows) hash.add(["row", ...row])
  for (const l of result.late) hash.add(["late", l.partition, l.offset, l.eventTime, l.windowStart, l.columns])
  for (const d of result.dead) hash.add(["dead", d.partition, d.offset, d.reason])
  return hash.hex
}
