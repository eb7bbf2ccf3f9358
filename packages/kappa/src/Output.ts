/**
 * What a version's change stream says: planning, pure. How the stream is written, and what a crash leaves of it, is in `LiveOutput`.
 *
 * A step from offset vector A to B writes the *net difference* of the view's table between the two: the new row of every key and window whose
 * row is another one, a tombstone where it is gone, nothing where it is the same, each key once. So the latest value of each key, of all steps
 * up to one, is the table at its vector.
 *
 * **Form.** A key is the JSON of the row's keys as declared and its `window_start`; a value that of the whole row, `window_end` included. Both
 * are canonical: one row has one text. Decimals and averages are texts with all their places, instants and days ISO texts, whole numbers
 * numbers, or texts beyond 2⁵³ (see `Shown`).
 */
import { createHash } from "node:crypto"
import type { Change, Progress } from "@headrace/core/ChangeSink"
import type { Position, RowChange, VersionInfo, VersionSpec, ViewRow } from "@headrace/core/ViewStore"
import * as Result from "effect/Result"
import { instant, showAggregates, showKey } from "./Shown.ts"
import { OutputBehind, OutputOfAnother } from "./ViewError.ts"

/** A stretch of a partition: from where it stands to an offset. */
export interface Stretch {
  readonly start: Position
  readonly until: number
}

/** The topic that a version writes unless another is named. */
export const defaultTopic = (view: string, version: number): string => `${view}.v${version}`

/** Stands for a declaration in the stream's progress: 64 hexadecimal digits. */
export const fingerprint = (spec: VersionSpec): string =>
  createHash("sha256").update(JSON.stringify(spec)).digest("hex")

/** The progress of a version that stands at these positions. */
export const progressOf = (spec: VersionSpec, topicId: string, positions: ReadonlyArray<Position>): Progress => ({
  declaration: fingerprint(spec),
  topicId,
  next: positions.map(({ next, partition }) => ({ partition, next }))
})

/** The key and the value of a row. */
export const upsert = (spec: VersionSpec, row: ViewRow): Change & { readonly value: string } => {
  const { aggregates, keys, windowSize } = spec
  const key = showKey(spec, row)
  const window = windowSize === undefined ? {} : { window_end: instant(Number(row[keys.length]) + windowSize) }
  const cells = row.slice(keys.length + (windowSize === undefined ? 0 : 1))
  return {
    key: JSON.stringify(key),
    value: JSON.stringify({ ...key, ...window, ...showAggregates(aggregates, cells) })
  }
}

/** The net difference that some rows make. What changes in a row without being shown in it changes nothing. */
export const changesOf = (spec: VersionSpec, rows: ReadonlyArray<RowChange>): ReadonlyArray<Change> => {
  const changes: Array<Change> = []
  for (const { after, before } of rows) {
    const old = before === undefined ? undefined : upsert(spec, before)
    const now = after === undefined ? undefined : upsert(spec, after)
    if (now !== undefined && now.value !== old?.value) changes.push(now)
    else if (now === undefined && old !== undefined) changes.push({ key: old.key, value: null })
  }
  return changes
}

/** One step: every partition that has more goes on by its even share of `records` offsets, at least one. */
export const step = (
  positions: ReadonlyArray<Position>,
  endOf: (partition: number) => number,
  records: number
): ReadonlyArray<Stretch> => {
  const more = positions.filter((p) => endOf(p.partition) > p.next)
  const share = Math.max(1, Math.floor(records / more.length))
  return more.map((start) => ({ start, until: Math.min(endOf(start.partition), start.next + share) }))
}

/**
 * How the store comes to where the stream stands: by folding these stretches with the output off, after which both are at one vector; or, when
 * nothing was ever written and the store holds something already, by writing its whole table (`snapshot`). Refuses when it can't.
 */
export const recover = (
  spec: VersionSpec,
  topic: string,
  info: VersionInfo,
  progress: Progress | undefined
): Result.Result<ReadonlyArray<Stretch> | "snapshot", OutputBehind | OutputOfAnother> => {
  const { version, view } = spec
  const about = { view, version, topic }
  const startOf = (partition: number) => info.starts.find((s) => s.partition === partition)?.offset ?? 0
  if (progress === undefined)
    return Result.succeed(info.positions.some((p) => p.next > startOf(p.partition)) ? "snapshot" : [])
  const another = (detail: string) => Result.fail(new OutputOfAnother({ ...about, detail }))
  if (progress.topicId !== info.topicId)
    return another(
      `its source topic "${spec.topic}" was deleted and made anew (its id was ${progress.topicId}, and is ${info.topicId})`
    )
  if (progress.declaration !== fingerprint(spec)) return another("the version was declared otherwise then")
  const stretches: Array<Stretch> = []
  for (const start of info.positions) {
    const { partition } = start
    const until = progress.next.find((p) => p.partition === partition)?.next ?? startOf(partition)
    if (until < start.next)
      return Result.fail(new OutputBehind({ ...about, partition, stream: until, store: start.next }))
    if (until > start.next) stretches.push({ start, until })
  }
  const unknown = progress.next.find((p) => !info.positions.some((q) => q.partition === p.partition))
  return unknown === undefined
    ? Result.succeed(stretches)
    : another(`it tells of partition ${unknown.partition}, which topic "${spec.topic}" doesn't have`)
}
