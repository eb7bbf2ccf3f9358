/** What every driver of the log port checks of its input, so that all refuse alike. */
import type { ProducerBatch } from "./Batch.ts"
import { InvalidInput, OffsetOutOfRange, type PartitionRange, type ReadOptions } from "./EventLog.ts"

/** At most this many records come in a batch when the reader doesn't say. */
export const defaultMaxRecords = 8_192

const maxPartitions = 10_000

/** Whether a topic may be made so. */
export const newTopic = (topic: string, partitions: number): InvalidInput | undefined => {
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(topic) || topic === "." || topic === "..")
    return new InvalidInput({
      detail: `"${topic}" can't name a topic: use 1 to 249 of A-Z, a-z, 0-9, ".", "_" and "-", other than "." and ".."`
    })
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > maxPartitions)
    return new InvalidInput({ detail: `a topic has 1 to ${maxPartitions} partitions, not ${partitions}` })
  return undefined
}

/** Whether a number can be an offset, or the number of a partition. */
export const offset = (what: string, value: number): InvalidInput | undefined =>
  Number.isSafeInteger(value) && value >= 0
    ? undefined
    : new InvalidInput({ detail: `${what} is a whole number from 0 and below 2^53, not ${value}` })

const rangesFit = (ranges: Int32Array, count: number, bytes: number): boolean => {
  if (ranges.length < 2 * count) return false
  for (let i = 0; i < 2 * count; i += 2) {
    const start = ranges[i]!
    if (start < 0) continue
    const end = ranges[i + 1]!
    if (end < start || end > bytes) return false
  }
  return true
}

/** The first record whose timestamp isn't a whole number of milliseconds, or that has a header which can't be kept; -1 if none. */
const firstUnfit = ({ count, headers, timestamps }: ProducerBatch): number => {
  for (let i = 0; i < count; i++) {
    if (!Number.isSafeInteger(timestamps[i])) return i
    if (headers?.[i]!.some(({ key }) => !key.isWellFormed())) return i
  }
  return -1
}

/** Whether a batch is whole (every array as long as its count, every range inside its bytes) and its timestamps and headers can be kept. */
export const records = (batch: ProducerBatch): InvalidInput | undefined => {
  const { bytes, count, headers, keys, timestamps, values } = batch
  const whole =
    Number.isSafeInteger(count) &&
    count >= 0 &&
    timestamps.length >= count &&
    (headers === undefined || headers.length >= count) &&
    rangesFit(keys, count, bytes.length) &&
    rangesFit(values, count, bytes.length)
  if (!whole)
    return new InvalidInput({
      detail: `a batch of ${count} records is malformed: an array is shorter, or a key or value lies outside its ${bytes.length} bytes`
    })
  const at = firstUnfit(batch)
  return at < 0
    ? undefined
    : new InvalidInput({
        detail: `record ${at} of a batch of ${count} can't be kept: its timestamp (${timestamps[at]}) isn't a whole number of milliseconds, or the key of a header isn't Unicode text`
      })
}

/** Whether a read asks for what can be; {@link bounds} then tells whether it is there. */
export const readOptions = (options: ReadOptions): InvalidInput | undefined => {
  const { from, maxRecords = defaultMaxRecords, partition, until = from } = options
  if (!Number.isSafeInteger(maxRecords) || maxRecords < 1)
    return new InvalidInput({ detail: `maxRecords is a whole number of 1 or more, not ${maxRecords}` })
  return offset("partition", partition) ?? offset("from", from) ?? offset("until", until)
}

/** Where a read ends in a partition that holds `range`, or why it can't begin. Nothing is read when `until` is `from` or less. */
export const bounds = (options: ReadOptions, range: PartitionRange): number | OffsetOutOfRange => {
  const { from, partition, topic, until = range.end } = options
  const { begin, end } = range
  if (from < begin || from > end) return new OffsetOutOfRange({ topic, partition, requested: from, begin, end })
  if (until > end) return new OffsetOutOfRange({ topic, partition, requested: until, begin, end })
  return until
}
