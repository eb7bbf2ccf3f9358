/**
 * Running views live: each declared version is folded to the end of its topic, again and again, with state and offsets in one transaction.
 */
import type { OneLog } from "@headrace/archive/OneLog"
import type { Lease, Position, ViewStore } from "@headrace/core/ViewStore"
import * as Effect from "effect/Effect"
import * as Fold from "./Fold.ts"
import * as Rounds from "./internal/Rounds.ts"
import type * as Version from "./Version.ts"
import type { ViewError } from "./ViewError.ts"

/** Which views to run, and how. */
export interface Options extends Rounds.Options {
  readonly views: ReadonlyArray<Version.Declared>
  readonly checkpoint?: Fold.Checkpoint
}

/** Folds every partition that has more, several at a time, and gives where all stand. */
const round = Effect.fnUntraced(function* (
  declared: Version.Declared,
  lease: Lease,
  known: ReadonlyArray<Position>,
  options: Options
) {
  const { info, topic } = yield* Rounds.look(declared, known, options)
  const { name, version } = declared.view
  const { checkpoint, maxRecords, onProgress } = options
  return yield* Effect.forEach(
    info.positions,
    (start) =>
      Fold.partition({
        view: declared.view,
        lease,
        start,
        until: topic.partitions[start.partition]?.end ?? start.next,
        prefer: "tail",
        topic,
        ...(checkpoint === undefined ? {} : { checkpoint }),
        ...(maxRecords === undefined ? {} : { maxRecords }),
        ...(onProgress === undefined ? {} : { onProgress: (records) => onProgress(name, version, records) })
      }),
    { concurrency: 4 }
  )
})

/**
 * Runs the views; ends when all have caught up, or never with `follow`. Interruption leaves each at its last commit. They are made known in
 * the order in which they are given: a view's first version in an empty store is promoted at once.
 */
export const run = (options: Options): Effect.Effect<void, ViewError, OneLog | ViewStore> =>
  Effect.andThen(
    Rounds.register(options.views),
    Effect.forEach(
      options.views,
      (declared) =>
        Rounds.run(declared, options, ({ lease }) => Effect.succeed((known) => round(declared, lease, known, options))),
      { concurrency: "unbounded", discard: true }
    )
  )
