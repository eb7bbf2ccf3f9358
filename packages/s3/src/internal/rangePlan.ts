/**
 * Which requests read many ranges of one object: ranges that touch, overlap or lie near each other become one. Pure.
 *
 * A request costs a round trip; the bytes in a gap cost their transfer. Reading a gap is the cheaper of the two up to about the bytes that a
 * connection carries in one round trip.
 */
import type { Range } from "../ObjectStore.ts"

/** `gap`: the most bytes between two ranges that are read for nothing. `limit`: how long a request may grow by merging, in bytes. */
export interface Options {
  readonly gap: number
  readonly limit: number
}

/** A request for `[start, end)` and the ranges, by their place in what was asked for, that it answers. */
export interface Request extends Range {
  readonly answers: ReadonlyArray<number>
}

/**
 * Requests in the order of their start. Each range that isn't empty is answered by exactly one; one that is longer than `limit` is a request of
 * its own, or shares one with ranges within it. Empty ranges need none.
 */
export const plan = (ranges: ReadonlyArray<Range>, { gap, limit }: Options): ReadonlyArray<Request> => {
  const order = Array.from(ranges.keys())
    .filter((i) => ranges[i]!.start < ranges[i]!.end)
    .sort((a, b) => ranges[a]!.start - ranges[b]!.start || ranges[a]!.end - ranges[b]!.end)
  const requests: Array<{ readonly start: number; end: number; readonly answers: Array<number> }> = []
  for (const i of order) {
    const range = ranges[i]!
    const last = requests.at(-1)
    if (
      last !== undefined &&
      range.start - last.end <= gap &&
      range.end - last.start <= Math.max(limit, last.end - last.start)
    ) {
      last.end = Math.max(last.end, range.end)
      last.answers.push(i)
    } else {
      requests.push({ start: range.start, end: range.end, answers: [i] })
    }
  }
  return requests
}
