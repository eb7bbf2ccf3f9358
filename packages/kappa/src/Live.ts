/**
 * Running views live: each declared version is folded to the end of its topic, again and again, with state and offsets in one transaction.
 */
import type { OneLog } from "@headrace/archive/OneLog"
import { type Lease, type Position, ViewStore } from "@headrace/core/ViewStore"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fold from "./Fold.ts"
import * as Version from "./Version.ts"
import { type ViewError, wrap } from "./ViewError.ts"

/** Which views to run, and how. */
export interface Options {
  readonly views: ReadonlyArray<Version.Declared>
  /** Names this process to whoever is refused while it holds the versions. */
  readonly owner: string
  /** Go on at the end of the log, looking for more at this interval; without it the run ends there. */
  readonly follow?: Duration.Input
  readonly checkpoint?: Fold.Checkpoint
  readonly maxRecords?: number
  readonly onProgress?: (view: string, version: number, records: number) => Effect.Effect<void>
  /** Called when partitions have come to the topic since the last round, before they are folded. */
  readonly onPartitionsAdded?: (view: string, version: number, partitions: ReadonlyArray<number>) => Effect.Effect<void>
  /** Called when a version has caught up with the log's end as of the round's beginning. */
  readonly onCaughtUp?: (view: string, version: number, positions: ReadonlyArray<Position>) => Effect.Effect<void>
}

/** Folds every partition that has more, several at a time, and gives where all stand. Partitions beyond those known are taken up. */
const round = Effect.fnUntraced(function* (
  declared: Version.Declared,
  lease: Lease,
  known: ReadonlyArray<Position>,
  options: Options
) {
  // Checked each time: a topic that was made anew meanwhile is refused, not read on.
  const { info, topic } = yield* Version.register(declared)
  const { name, version } = declared.view
  const { checkpoint, maxRecords, onPartitionsAdded, onProgress } = options
  const added = info.positions.map((p) => p.partition).filter((p) => !known.some((k) => k.partition === p))
  if (added.length > 0 && onPartitionsAdded !== undefined) yield* onPartitionsAdded(name, version, added)
  return yield* Effect.forEach(
    info.positions,
    (start) =>
      Fold.partition({
        view: declared.view,
        lease,
        start,
        until: topic.partitions[start.partition]?.end ?? start.next,
        prefer: "tail",
        ...(checkpoint === undefined ? {} : { checkpoint }),
        ...(maxRecords === undefined ? {} : { maxRecords }),
        ...(onProgress === undefined ? {} : { onProgress: (records) => onProgress(name, version, records) })
      }),
    { concurrency: 4 }
  )
})

const runOne = (declared: Version.Declared, options: Options) =>
  Effect.gen(function* () {
    const { name, version } = declared.view
    const { follow, onCaughtUp } = options
    const store = yield* ViewStore
    const { info, lease } = yield* Version.hold(declared, options.owner)
    let { positions } = info
    for (let first = true; ; first = false) {
      positions = yield* round(declared, lease, positions, options)
      if (first && info.status === "building") yield* Effect.mapError(store.ready(lease), wrap)
      if (onCaughtUp !== undefined) yield* onCaughtUp(name, version, positions)
      if (follow === undefined) return
      yield* Effect.sleep(follow)
    }
  }).pipe(Effect.scoped)

/**
 * Runs the views; ends when all have caught up, or never with `follow`. Interruption leaves each at its last commit. They are made known in
 * the order in which they are given: a view's first version in an empty store is promoted at once.
 */
export const run = (options: Options): Effect.Effect<void, ViewError, OneLog | ViewStore> =>
  Effect.andThen(
    Effect.forEach(options.views, Version.register, { discard: true }),
    Effect.forEach(options.views, (declared) => runOne(declared, options), { concurrency: "unbounded", discard: true })
  )
