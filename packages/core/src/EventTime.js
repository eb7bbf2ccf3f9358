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
export const isValid = (t) => Number.isInteger(t) && t >= minimum && t <= maximum
/** Start of the tumbling window of `size` milliseconds that holds `t`; windows are aligned to the epoch. */
export const windowStart = (t, size) => Math.floor(t / size) * size
/** Whether a record of the window that ends at `end` (exclusive) is late when the watermark before it is `watermark`. */
export const isLate = (watermark, end) => watermark >= end - 1
/** A duration as whole milliseconds: `"5 seconds"`, `"1 minute"`, or a number of milliseconds. */
export const millis = (duration) => {
  const ms = Duration.toMillis(Duration.fromInputUnsafe(duration))
  if (!Number.isInteger(ms) || ms < 0)
    throw new RangeError(`expected a whole number of milliseconds, got ${String(duration)}`)
  return ms
}
