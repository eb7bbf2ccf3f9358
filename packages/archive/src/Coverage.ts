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

export const property = "headrace.archive"

const Stored = Schema.Struct({
  format: Schema.Int,
  topic: Schema.String,
  topicId: Schema.String,
  snapshot: Schema.NullOr(Schema.Int),
  records: Schema.Int,
  partitions: Schema.Array(Schema.Struct({ partition: Schema.Int, begin: Schema.Int, end: Schema.Int }))
})

/** What the archive holds as of a snapshot. */
export interface Coverage {
  readonly topic: string
  readonly topicId: string
  readonly records: number
  readonly ranges: ReadonlyMap<number, Range>
}

const format = 1

export const print = (coverage: Coverage, snapshot: number | null): string =>
  JSON.stringify({
    format,
    topic: coverage.topic,
    topicId: coverage.topicId,
    snapshot,
    records: coverage.records,
    partitions: [...coverage.ranges]
      .toSorted(([a], [b]) => a - b)
      .map(([partition, { begin, end }]) => ({ partition, begin, end }))
  } satisfies typeof Stored.Type)

const parse = Schema.decodeUnknownResult(Schema.fromJsonString(Stored))

/** Reads the coverage of a table, or says why it can't be trusted. */
export const read = (metadata: Metadata.TableMetadata): Result.Result<Coverage, string> => {
  const text = Metadata.property(metadata, property)
  if (text === undefined) return Result.fail(`the table has no property "${property}": it isn't an archive of Headrace`)
  const stored = parse(text)
  if (Result.isFailure(stored))
    return Result.fail(`the property "${property}" can't be read: ${stored.failure.message}`)
  const { partitions, records, snapshot, topic, topicId } = stored.success
  if (stored.success.format > format)
    return Result.fail(
      `it was written by a newer version (format ${stored.success.format}, this one reads ${format}): upgrade Headrace`
    )
  let current: Metadata.Snapshot | undefined = Metadata.currentSnapshot(metadata)
  while (current !== undefined && current["snapshot-id"] !== snapshot) {
    if (current.summary?.["operation"] !== "replace")
      return Result.fail(
        `snapshot ${current["snapshot-id"]} was committed by another writer (${current.summary?.["operation"] ?? "unknown"}), so which offsets the table holds isn't known`
      )
    const parent = current["parent-snapshot-id"]
    current = parent === undefined || parent === null ? undefined : Metadata.snapshot(metadata, parent)
  }
  if (current === undefined && snapshot !== null)
    return Result.fail(`it was rolled back: snapshot ${snapshot}, which its offsets belong to, isn't current`)
  return Result.succeed({
    topic,
    topicId,
    records,
    ranges: new Map(partitions.map(({ partition, begin, end }) => [partition, { begin, end }]))
  })
}
