/**
 * Which offsets an archive holds: a table property, set in the same commit as the files, that names its snapshot.
 *
 * A later snapshot that isn't ours may only have rewritten files (`replace`): then the vector still holds. Anything else means that somebody
 * appended, deleted or rolled back behind our back, and the vector can't be trusted.
 */
import * as Metadata from "@headrace/iceberg/Metadata"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Range } from "./HandOver.ts"

/** The table property's name. */
export const property = "headrace.archive"

const Stored = Schema.Struct({
  format: Schema.Int,
  topic: Schema.String,
  topicId: Schema.String,
  snapshot: Schema.NullOr(Schema.Int),
  records: Schema.Int,
  arrived: Schema.Int,
  partitions: Schema.Array(Schema.Struct({ partition: Schema.Int, begin: Schema.Int, end: Schema.Int }))
})

/** What the archive holds as of a snapshot. */
export interface Coverage {
  readonly topic: string
  readonly topicId: string
  readonly records: number
  /** The latest `__arrived`, epoch milliseconds; 0 before the first file. Later files never have an earlier one. */
  readonly arrived: number
  readonly ranges: ReadonlyMap<number, Range>
}

const format = 1

/** The property's text; `snapshot` is the one that the coverage is committed with, null for a table without one. */
export const print = (coverage: Coverage, snapshot: number | null): string =>
  JSON.stringify({
    format,
    topic: coverage.topic,
    topicId: coverage.topicId,
    snapshot,
    records: coverage.records,
    arrived: coverage.arrived,
    partitions: [...coverage.ranges]
      .toSorted(([a], [b]) => a - b)
      .map(([partition, { begin, end }]) => ({ partition, begin, end }))
  } satisfies typeof Stored.Type)

const parse = Schema.decodeUnknownResult(Schema.fromJsonString(Stored))
const parseFormat = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Struct({ format: Schema.Int })))

/** The snapshot before another, or `undefined` where there is none or it isn't known any more. */
const parentOf = (metadata: Metadata.TableMetadata, id: Metadata.SnapshotId) =>
  Metadata.snapshot(metadata, id)?.["parent-snapshot-id"] ?? undefined

/** Why the table's current snapshot isn't `snapshot`, or one that only rewrote its files; `undefined` if it is. */
const moved = (metadata: Metadata.TableMetadata, snapshot: Metadata.SnapshotId | undefined): string | undefined => {
  const current = Metadata.currentId(metadata)
  let at = current
  while (at !== snapshot) {
    const operation = at === undefined ? undefined : Metadata.snapshot(metadata, at)?.summary["operation"]
    if (at === undefined || operation !== "replace") break
    at = parentOf(metadata, at)
  }
  if (at === snapshot) return undefined
  let ancestor = snapshot
  while (ancestor !== undefined && ancestor !== current) ancestor = parentOf(metadata, ancestor)
  if (ancestor === current)
    return `it was rolled back from snapshot ${snapshot} to ${current ?? "none"}, so the offsets that it holds aren't known: set its current snapshot to ${snapshot} again`
  const operation = at === undefined ? undefined : Metadata.snapshot(metadata, at)?.summary["operation"]
  return `snapshot ${at} was committed by another writer (${operation ?? "unknown"}), so the offsets that it holds aren't known: roll it back to snapshot ${snapshot ?? "none"}`
}

/** What the property says, whether or not it can be trusted; and the snapshot that it was committed with. */
export const stored = (
  metadata: Metadata.TableMetadata
): Result.Result<{ readonly coverage: Coverage; readonly snapshot: Metadata.SnapshotId | undefined }, string> => {
  const text = Metadata.property(metadata, property)
  if (text === undefined) return Result.fail(`the table has no property "${property}": it isn't an archive of Headrace`)
  const found = parseFormat(text)
  if (Result.isSuccess(found) && found.success.format > format)
    return Result.fail(
      `it was written by a newer version (format ${found.success.format}, this one reads ${format}): upgrade Headrace`
    )
  const parsed = parse(text)
  if (Result.isFailure(parsed))
    return Result.fail(`the property "${property}" can't be read: ${parsed.failure.message}`)
  const { arrived, partitions, records, snapshot, topic, topicId } = parsed.success
  const ranges = new Map(partitions.map(({ partition, begin, end }) => [partition, { begin, end }]))
  return Result.succeed({ coverage: { topic, topicId, records, arrived, ranges }, snapshot: snapshot ?? undefined })
}

/** Reads the coverage of a table, or says why it can't be trusted. */
export const read = (metadata: Metadata.TableMetadata): Result.Result<Coverage, string> =>
  Result.flatMap(stored(metadata), ({ coverage, snapshot }) => {
    const problem = moved(metadata, snapshot)
    return problem === undefined ? Result.succeed(coverage) : Result.fail(problem)
  })

const rangeKey = "headrace.range."

/** The summary of a commit that covers these ranges. */
export const summary = (ranges: Iterable<readonly [partition: number, range: Range]>): Record<string, string> =>
  Object.fromEntries([...ranges].map(([partition, { begin, end }]) => [`${rangeKey}${partition}`, `${begin}-${end}`]))

/** The ranges that a commit of ours covers, by its summary; `undefined` of another writer's. */
export const rangesOf = ({ summary: own }: Metadata.Snapshot): ReadonlyMap<number, Range> | undefined => {
  const entries = Object.entries(own).filter(([key]) => key.startsWith("headrace."))
  if (entries.length === 0) return undefined
  return new Map(
    entries.flatMap(([key, value]) => {
      const [partition, range] = [/^\d+$/.exec(key.slice(rangeKey.length)), /^(\d+)-(\d+)$/.exec(value)]
      if (!key.startsWith(rangeKey) || partition === null || range === null) return []
      return [[Number(partition[0]), { begin: Number(range[1]), end: Number(range[2]) }] as const]
    })
  )
}
