/** The life of a version that runs: held, folded to the end of its topic, made ready, and again. */
import type { OneLog } from "@headrace/archive/OneLog"
import { type Position, ViewStore } from "@headrace/core/ViewStore"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Version from "../Version.ts"
import { type ViewError, wrap } from "../ViewError.ts"

/** What every way of running shares. */
export interface Options {
  /** Names this process to whoever is refused while it holds the versions. */
  readonly owner: string
  /** Go on at the end of the log, looking for more at this interval; without it the run ends there. */
  readonly follow?: Duration.Input
  readonly maxRecords?: number
  readonly onProgress?: (view: string, version: number, records: number) => Effect.Effect<void>
  /** Called when partitions have come to the topic since the last round, before they are folded. */
  readonly onPartitionsAdded?: (view: string, version: number, partitions: ReadonlyArray<number>) => Effect.Effect<void>
  /** Called when a version has caught up with the log's end as of the round's beginning. */
  readonly onCaughtUp?: (view: string, version: number, positions: ReadonlyArray<Position>) => Effect.Effect<void>
}

/** Folds to the end of the topic as it is now, from where the version is known to stand, and gives where it stands then. */
export type Round<R> = (
  known: ReadonlyArray<Position>
) => Effect.Effect<ReadonlyArray<Position>, ViewError, OneLog | ViewStore | R>

/**
 * Makes the version known again before a round: a topic that was made anew meanwhile is refused, not read on, and partitions that have come
 * are taken up and told of.
 */
export const look = Effect.fnUntraced(function* (
  declared: Version.Declared,
  known: ReadonlyArray<Position>,
  { onPartitionsAdded }: Options
) {
  const found = yield* Version.register(declared)
  const added = found.info.positions.map((p) => p.partition).filter((p) => !known.some((k) => k.partition === p))
  if (added.length > 0 && onPartitionsAdded !== undefined)
    yield* onPartitionsAdded(declared.view.name, declared.view.version, added)
  return found
})

/** Runs the version by rounds, which `prepare` makes once the version is held; ends after one, or never with `follow`. */
export const run = <R, R2>(
  declared: Version.Declared,
  options: Options,
  prepare: (held: Version.Held) => Effect.Effect<Round<R>, ViewError, R2>
): Effect.Effect<void, ViewError, OneLog | ViewStore | R | Exclude<R2, Scope.Scope>> =>
  Effect.gen(function* () {
    const { name, version } = declared.view
    const { follow, onCaughtUp } = options
    const store = yield* ViewStore
    const held = yield* Version.hold(declared, options.owner)
    const round = yield* prepare(held)
    let { positions } = held
    for (let first = true; ; first = false) {
      positions = yield* round(positions)
      if (first && held.info.status === "building") yield* Effect.mapError(store.ready(held.lease), wrap)
      if (onCaughtUp !== undefined) yield* onCaughtUp(name, version, positions)
      if (follow === undefined) return
      yield* Effect.sleep(follow)
    }
  }).pipe(Effect.scoped)

/** Makes the versions known in the order in which they are given: a view's first version in an empty store is promoted at once. */
export const register = (views: ReadonlyArray<Version.Declared>) =>
  Effect.forEach(views, Version.register, { discard: true })
