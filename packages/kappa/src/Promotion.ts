/** Swapping which version a view's readers see, in one transaction of the store. */
import { type VersionInfo, ViewStore } from "@headrace/core/ViewStore"
import * as Effect from "effect/Effect"
import { NothingToRollBack, type ViewError, wrap } from "./ViewError.ts"

/** What readers of a view see now. */
export interface Promoted {
  readonly view: string
  readonly version: number
  /** What readers saw before, if anything. */
  readonly previous: number | undefined
  /** The version as it stands: a version that is no longer run has stopped at its positions. */
  readonly info: VersionInfo
}

/** Makes the version what `<view>` shows. It must be ready. */
export const promote = (view: string, version: number): Effect.Effect<Promoted, ViewError, ViewStore> =>
  Effect.gen(function* () {
    const store = yield* ViewStore
    const previous = yield* store.promote(view, version)
    return { view, version, previous, info: yield* store.version(view, version) }
  }).pipe(Effect.mapError(wrap))

/** Promotes the version that was promoted before the present one. */
export const rollback = (view: string): Effect.Effect<Promoted, ViewError, ViewStore> =>
  Effect.gen(function* () {
    const store = yield* ViewStore
    const history = yield* Effect.mapError(store.promotions(view), wrap)
    const earlier = history.find((v) => v !== history[0])
    if (earlier === undefined) return yield* wrap(new NothingToRollBack({ view }))
    return yield* promote(view, earlier)
  })
