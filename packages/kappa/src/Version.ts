/** A version in the store: made known, its lock taken, its positions read. */
import { Gap } from "@headrace/archive/HandOver"
import { type Description, historyOf, OneLog, OneLogError } from "@headrace/archive/OneLog"
import { type Lease, type Position, type VersionInfo, ViewStore } from "@headrace/core/ViewStore"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as View from "./View.ts"
import { type ViewError, wrap } from "./ViewError.ts"

/** A declaration together with the hash of the source bytes that it was loaded from. */
export interface Declared {
  readonly view: View.Any
  readonly source: string
}

/** A version that this process may write to, until the scope closes. */
export interface Held {
  readonly view: View.Any
  readonly info: VersionInfo
  readonly lease: Lease
  readonly topic: Description
  readonly positions: ReadonlyArray<Position>
}

/**
 * What a version that begins at `starts` would lack of the history that another version of its view was built from. Log and archive may
 * begin later than they did then; the two would differ by records that nobody can see any more.
 */
const lost = (
  starts: VersionInfo["starts"],
  others: ReadonlyArray<VersionInfo>
): { readonly partition: number; readonly from: number; readonly until: number } | undefined => {
  for (const { offset, partition } of starts) {
    const began = others.flatMap((v) => v.starts.filter((s) => s.partition === partition).map((s) => s.offset))
    const from = Math.min(...began)
    if (from < offset) return { partition, from, until: offset }
  }
  return undefined
}

/**
 * Registers the version (its partitions begin where the log or the archive begins) without taking its lock. Fails with a gap when an older
 * version of the view began earlier than the history does now, and when the topic is no history: the log compacts it.
 */
export const register = Effect.fnUntraced(function* (
  declared: Declared
): Effect.fn.Return<{ readonly info: VersionInfo; readonly topic: Description }, ViewError, OneLog | ViewStore> {
  const log = yield* OneLog
  const store = yield* ViewStore
  const described = yield* Effect.mapError(log.describe(declared.view.source.topic), wrap)
  const topic = yield* Effect.mapError(Effect.fromResult(historyOf(described)), (reason) =>
    wrap(new OneLogError({ reason }))
  )
  const { name, version } = declared.view
  const starts = topic.partitions.map((p) => ({ partition: p.partition, offset: p.begin }))
  const versions = yield* Effect.mapError(store.versions, wrap)
  const same = versions.filter((v) => v.view === name && v.topicId === topic.topicId)
  const known = same.find((v) => v.version === version)?.starts ?? []
  const gap = lost(
    starts.filter((s) => !known.some((k) => k.partition === s.partition)),
    same
  )
  if (gap !== undefined)
    return yield* wrap(new OneLogError({ reason: new Gap({ topic: declared.view.source.topic, ...gap }) }))
  const info = yield* Effect.mapError(
    store.register(View.spec(declared.view, declared.source), { id: topic.topicId, starts }),
    wrap
  )
  return { info, topic }
})

/** Registers the version, takes its lock for the scope and reads where it stands. `owner` is shown to whoever is refused meanwhile. */
export const hold = Effect.fnUntraced(function* (
  declared: Declared,
  owner: string
): Effect.fn.Return<Held, ViewError, OneLog | ViewStore | Scope.Scope> {
  const { name, version } = declared.view
  const store = yield* ViewStore
  yield* register(declared)
  const lease = yield* Effect.mapError(store.acquire(name, version, owner), wrap)
  // What was read before the lock was held may have moved since.
  const { info, topic } = yield* register(declared)
  return { view: declared.view, info, lease, topic, positions: info.positions }
})
