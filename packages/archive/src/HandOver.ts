/**
 * Where archive ends and tail begins: a pure plan over the ranges that each of them holds of one partition.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** Offsets `[begin, end)`. */
export interface Range {
  readonly begin: number
  readonly end: number
}

/** A stretch `[from, until)` to be read from one tier. */
export interface Segment {
  readonly tier: "archive" | "tail"
  readonly from: number
  readonly until: number
}

/** Neither tier holds the offsets `[from, until)`. */
export class Gap extends Schema.TaggedError<Gap>()("Gap", {
  topic: Schema.String,
  partition: Schema.Int,
  from: Schema.Int,
  until: Schema.Int
}) {
  override get message() {
    return (
      `offsets [${this.from}, ${this.until}) of topic "${this.topic}" partition ${this.partition} are neither in the archive nor in the log: ` +
      `retention overtook the archive. Restore them, or declare a view that begins at ${this.until}`
    )
  }
}

/**
 * The segments that give `[from, until)` in order, each offset from exactly one tier. Where both hold an offset the preferred one gives
 * it; the other is cut. The first offset that neither holds refuses the whole plan.
 */
export const plan = (options: {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly until: number
  readonly archive: Range | undefined
  readonly tail: Range
  readonly prefer: "archive" | "tail"
}): Result.Result<ReadonlyArray<Segment>, Gap> => {
  const { archive = { begin: 0, end: 0 }, partition, prefer, tail, topic, until } = options
  const ranges = { archive, tail }
  const other = prefer === "archive" ? "tail" : "archive"
  const segments: Array<Segment> = []
  let at = options.from
  const holds = (tier: "archive" | "tail") => ranges[tier].begin <= at && at < ranges[tier].end
  while (at < until) {
    const tier = holds(prefer) ? prefer : holds(other) ? other : undefined
    if (tier === undefined) {
      // What is missing ends where the next tier begins, or where the caller wanted to stop.
      const begins = [archive, tail].filter((r) => r.begin > at && r.end > r.begin).map((r) => r.begin)
      return Result.fail(new Gap({ topic, partition, from: at, until: Math.min(until, ...begins) }))
    }
    const preferredBegins =
      ranges[prefer].begin > at && ranges[prefer].end > ranges[prefer].begin ? ranges[prefer].begin : until
    const end = tier === prefer ? ranges[tier].end : Math.min(ranges[tier].end, preferredBegins)
    segments.push({ tier, from: at, until: Math.min(until, end) })
    at = segments.at(-1)!.until
  }
  return Result.succeed(segments)
}
