/** Cuts a batch: by offsets, and by records. */
import type { RecordBatch } from "@headrace/core/Batch"

/** The first index at which `offsets` is `offset` or more. */
const indexOf = (offsets: Float64Array, offset: number): number => {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (offsets[middle]! < offset) low = middle + 1
    else high = middle
  }
  return low
}

/** What the batch has of `[from, until)`, at most `maxRecords`; covers up to `until`, or the last of `maxRecords`. A view. */
export const slice = (batch: RecordBatch, from: number, until: number, maxRecords: number): RecordBatch => {
  const first = from <= batch.base ? 0 : indexOf(batch.offsets, from)
  const end = until >= batch.next ? batch.count : indexOf(batch.offsets, until)
  const last = Math.min(end, first + maxRecords)
  if (first === 0 && last === batch.count && from === batch.base && until >= batch.next) return batch
  return {
    ...batch,
    base: from,
    next: last < end ? batch.offsets[last - 1]! + 1 : Math.min(until, batch.next),
    count: last - first,
    offsets: batch.offsets.subarray(first, last),
    timestamps: batch.timestamps.subarray(first, last),
    keys: batch.keys.subarray(2 * first, 2 * last),
    values: batch.values.subarray(2 * first, 2 * last),
    headers: batch.headers?.slice(first, last)
  }
}
