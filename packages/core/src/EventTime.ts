/**
 * Event time and watermarks.
 *
 * The watermark of a partition *before* a record is the largest event time of the records before it in that partition, less the declared
 * out-of-orderness. A record is late when that watermark has reached the last millisecond of its window: `watermark ≥ end − 1`.
 * It is decided from the record's own partition in offset order and from nothing else (rule 2).
 */
import * as Duration from "effect/Duration"

/** The largest event time of a partition before its first record. */
export const none = Number.NEGATIVE_INFINITY

/** Bounds of a valid instant in epoch milliseconds: years 1 to 9999, which Iceberg, SQLite and PostgreSQL all hold. */
export const minimum = -62135596800000
export const maximum = 253402300799999

/** Whether a number is an instant that every store can hold: a whole number of milliseconds in the years 1 to 9999. */
export const isValid = (t: number): boolean => Number.isInteger(t) && t >= minimum && t <= maximum

/** Start of the tumbling window of `size` milliseconds that holds `t`; windows are aligned to the epoch. */
export const windowStart = (t: number, size: number): number => Math.floor(t / size) * size

/** Whether a record of the window that ends at `end` (exclusive) is late when the watermark before it is `watermark`. */
export const isLate = (watermark: number, end: number): boolean => watermark >= end - 1

/** A duration as whole milliseconds: `"5 seconds"`, `"1 minute"`, or a number of milliseconds. */
export const millis = (duration: Duration.Input): number => {
  const ms = Duration.toMillis(Duration.fromInputUnsafe(duration))
  if (!Number.isInteger(ms) || ms < 0)
    throw new RangeError(`expected a whole number of milliseconds, got ${String(duration)}`)
  return ms
}

const daysOf = (year: number, month: number): number =>
  month === 2
    ? year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
      ? 29
      : 28
    : [4, 6, 9, 11].includes(month)
      ? 30
      : 31

const isoInstant = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.(\d{1,9}))?)?(?:Z|[+-]\d\d:\d\d))?$/

/**
 * The instant of an ISO-8601 text with a zone, or of a day in UTC, in epoch milliseconds; undefined when it is no such text, `NaN` when no
 * store holds it: outside the years 1 to 9999, finer than a millisecond, or on a day that its month doesn't have.
 */
export const fromText = (text: string): number | undefined => {
  const match = isoInstant.exec(text)
  if (match === null) return undefined
  // What is finer than a millisecond would be lost.
  if (match[1] !== undefined && /[1-9]/.test(match[1].slice(3))) return Number.NaN
  // Date.parse takes the 30th of February for the 2nd of March.
  if (Number(text.slice(8, 10)) > daysOf(Number(text.slice(0, 4)), Number(text.slice(5, 7)))) return Number.NaN
  const t = Date.parse(text)
  return isValid(t) ? t : Number.NaN
}
