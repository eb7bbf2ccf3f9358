/**
 * Running views live: each declared version is folded to the end of its topic, again and again, with state and offsets in one transaction.
 */
import { OneLog } from "@headrace/archive/OneLog"
import { type Position, ViewStore } from "@headrace/core/ViewStore"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fold from "./Fold.ts"
import * as Version from "./Version.ts"
import { type ViewError, wrap } from "./ViewError.ts"

export interface Options {
  readonly views: ReadonlyArray<Version.Declared>
  /** Names this process to whoever is refused while it holds the versions. */
  readonly owner: string
  /** Go on at the end of the log, looking for more at this interval; without it the run ends there. */
  readonly follow?: Duration.Input
  readonly checkpoint?: Fold.Checkpoint
  readonly maxRecords?: number
  readonly onProgress?: (view: string, version: number, records: number) => Effect.Effect<void>
  /** Called when a version has caught up with the log's end as of the round's beginning. */
  readonly onCaughtUp?: (view: string, version: number, positions: ReadonlyArray<Position>) => Effect.Effect<void>
}

/** Folds every partition that has more, several at a time, and gives where all stand. */
const round = Effect.fnUntraced(function* (held: Version.Held, positions: ReadonlyArray<Position>, options: Options) {
  const log = yield* OneLog
  const { name, source, version } = held.view
  const { partitions } = yield* Effect.mapError(log.describe(source.topic), wrap)
  const { checkpoint, maxRecords, onProgress } = options
  return yield* Effect.forEach(
    positions,
    (start) =>
      Fold.partition({
        view: held.view,
        lease: held.lease,
        start,
        until: partitions[start.partition]?.end ?? start.next,
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
    const store = yield* ViewStore
    const held = yield* Version.hold(declared, options.owner)
    let positions = yield* round(held, held.positions, options)
    if (held.info.status === "building") yield* Effect.mapError(store.ready(held.lease), wrap)
    const caughtUp = options.onCaughtUp
    if (caughtUp !== undefined) yield* caughtUp(declared.view.name, declared.view.version, positions)
    while (options.follow !== undefined) {
      yield* Effect.sleep(options.follow)
      positions = yield* round(held, positions, options)
      if (caughtUp !== undefined) yield* caughtUp(declared.view.name, declared.view.version, positions)
    }
  }).pipe(Effect.scoped)

/** Runs the views; ends when all have caught up, or never with `follow`. Interruption leaves each at its last commit. */
export const run = (options: Options): Effect.Effect<void, ViewError, OneLog | ViewStore> =>
  Effect.forEach(options.views, (declared) => runOne(declared, options), { concurrency: "unbounded", discard: true })
