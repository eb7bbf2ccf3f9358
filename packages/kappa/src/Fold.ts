/**
 * Folding one partition of a view from where it stands up to an offset, with a commit whenever enough has gathered. Live runs and replays
 * are this function over the same log; they differ in the tier that they prefer.
 *
 * Crash table. Every commit is one transaction of the view store that holds state, offsets, watermark and counts together.
 *
 * | the process dies | the store then holds | the restart |
 * | --- | --- | --- |
 * | before a commit | the commit before it | reads again from its offset |
 * | within a commit | the commit before it: the transaction is rolled back | the same |
 * | after a commit, before the next read | this commit | reads on from its offset |
 * | after the last commit, before `ready` | all state, still invisible | finds nothing to fold and marks it ready |
 */
import type { Codec } from "@headrace/core/Codec"
import * as JsonCodec from "@headrace/core/JsonCodec"
import type { Lease, Position } from "@headrace/core/ViewStore"
import { ViewStore } from "@headrace/core/ViewStore"
import { type Description, OneLog } from "@headrace/archive/OneLog"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Kernel from "./Kernel.ts"
import type { Any } from "./View.ts"
import { DeclarationInvalid, type ViewError, wrap } from "./ViewError.ts"

/** When to commit within a long stretch: after so many records, or when so many rows (partials, distinct values, late, dead) wait. */
export interface Checkpoint {
  readonly records: number
  readonly pending: number
}

/** Commits seldom enough to be cheap, often enough to bound memory to some 100 MB. */
export const defaultCheckpoint: Checkpoint = { records: 2_000_000, pending: 250_000 }

/** What to fold, for whom, and how far. */
export interface Options {
  readonly view: Any
  readonly lease: Lease
  /** Where the partition stands in the store. */
  readonly start: Position
  /** Fold the records before this offset. */
  readonly until: number
  readonly prefer: "archive" | "tail"
  /** The topic as it was described a moment ago. */
  readonly topic?: Description
  readonly checkpoint?: Checkpoint
  readonly maxRecords?: number
  /** Called with the number of records of each batch. */
  readonly onProgress?: (records: number) => Effect.Effect<void>
}

/** The codec of a view's topic. */
export const codecOf = (view: Any): Codec => JsonCodec.make(view.source.schema)

/** What to feed a kernel with. */
export interface FeedOptions extends Omit<Options, "lease" | "checkpoint"> {
  /** Asked before each batch: end here, before `until`. */
  readonly enough?: () => boolean
}

/** Feeds a kernel that stands at `start` with the records `[start.next, until)`; `onBatch` runs after each batch. */
export const feed = Effect.fnUntraced(function* <E, R>(
  options: FeedOptions,
  kernel: Kernel.Kernel,
  onBatch: (records: number) => Effect.Effect<void, E, R>
): Effect.fn.Return<void, ViewError | E, OneLog | R> {
  const { enough, prefer, start, until, view } = options
  const log = yield* OneLog
  const { columns, topic } = view.source
  const batches = log.read(codecOf(view), {
    topic,
    partition: start.partition,
    from: start.next,
    until,
    columns,
    prefer,
    ...(options.topic === undefined ? {} : { described: options.topic }),
    ...(options.maxRecords === undefined ? {} : { maxRecords: options.maxRecords })
  })
  const wanted = enough === undefined ? batches : Stream.takeWhile(batches, () => !enough())
  yield* wanted.pipe(
    Stream.mapError(wrap),
    Stream.runForEach((batch) =>
      Effect.gen(function* () {
        yield* Effect.try({
          try: () => kernel.apply(batch),
          catch: (cause) => {
            if (!(cause instanceof Kernel.ColumnNotSelected)) throw cause
            return wrap(
              new DeclarationInvalid({
                view: view.name,
                version: view.version,
                detail: `${cause.message}: select it too`
              })
            )
          }
        })
        if (options.onProgress !== undefined) yield* options.onProgress(batch.count)
        yield* onBatch(batch.count)
      })
    )
  )
})

/** Folds `[start.next, until)` and commits; gives where the partition stands then. */
export const partition = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Position, ViewError, OneLog | ViewStore> {
  const { checkpoint = defaultCheckpoint, lease, start, until, view } = options
  if (start.next >= until) return start
  const store = yield* ViewStore
  const kernel = Kernel.make(view, start)
  let records = 0

  const commit = Effect.suspend(() => {
    records = 0
    return Effect.mapError(store.commit(lease, [kernel.take()]), wrap)
  })
  yield* feed(options, kernel, (count) => {
    records += count
    return records >= checkpoint.records || kernel.pending() >= checkpoint.pending ? commit : Effect.void
  })
  yield* commit
  return kernel.position()
})
