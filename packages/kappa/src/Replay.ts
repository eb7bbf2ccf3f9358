/**
 * Replaying a view: a version is built from the whole history, beside the one that is read, archive first and by column, then the tail.
 *
 * The version is invisible until it has caught up with the log's end as of the replay's beginning; then it is marked ready. A replay that
 * died is resumed where its partitions stand (the crash table is in `Fold`).
 */
import type { OneLog } from "@headrace/archive/OneLog"
import { type Position, ViewStore } from "@headrace/core/ViewStore"
import * as Effect from "effect/Effect"
import * as Fold from "./Fold.ts"
import * as Version from "./Version.ts"
import { type ViewError, wrap } from "./ViewError.ts"

/** A partition's part of a replay. */
export interface Task {
  readonly start: Position
  readonly until: number
}

/** Folds a share of the partitions, elsewhere; reports records as they are folded. */
export type Spawn = (
  held: Version.Held,
  tasks: ReadonlyArray<Task>,
  onProgress: (records: number) => Effect.Effect<void>
) => Effect.Effect<void, ViewError>

/** What to rebuild, and with how many workers. */
export interface Options {
  readonly declared: Version.Declared
  readonly owner: string
  /** Partitions are shared out to so many workers; 1 folds them here, one after the other. */
  readonly workers?: number
  /** How to start a worker; needed for more than one. */
  readonly spawn?: Spawn
  readonly checkpoint?: Fold.Checkpoint
  readonly maxRecords?: number
  /** Called with the number of records to fold in all, before the first. */
  readonly onStart?: (total: number) => Effect.Effect<void>
  readonly onProgress?: (records: number) => Effect.Effect<void>
}

/** Shares out tasks so that the largest shares are as even as can be: largest first, each to the worker with the least. */
export const share = (tasks: ReadonlyArray<Task>, workers: number): ReadonlyArray<ReadonlyArray<Task>> => {
  const shares = Array.from({ length: Math.max(1, Math.min(workers, tasks.length)) }, () => ({
    size: 0,
    tasks: [] as Array<Task>
  }))
  for (const task of tasks.toSorted(
    (a, b) => b.until - b.start.next - (a.until - a.start.next) || a.start.partition - b.start.partition
  )) {
    const least = shares.reduce((best, s) => (s.size < best.size ? s : best))
    least.tasks.push(task)
    least.size += task.until - task.start.next
  }
  return shares.map((s) => s.tasks).filter((s) => s.length > 0)
}

const noProgress = () => Effect.void

/** Builds the version up to the log's end as it is now, and marks it ready. Gives where its partitions stand. */
export const run = (options: Options): Effect.Effect<ReadonlyArray<Position>, ViewError, OneLog | ViewStore> =>
  Effect.gen(function* () {
    const {
      checkpoint,
      declared,
      maxRecords,
      onProgress = noProgress,
      onStart = noProgress,
      spawn,
      workers = 1
    } = options
    const { name, version } = declared.view
    const store = yield* ViewStore
    const held = yield* Version.hold(declared, options.owner)
    const tasks = held.positions
      .map((start) => ({ start, until: held.topic.partitions[start.partition]?.end ?? start.next }))
      .filter((t) => t.until > t.start.next)
    yield* onStart(tasks.reduce((n, t) => n + t.until - t.start.next, 0))
    const shares = share(tasks, workers)
    if (spawn !== undefined && workers > 1)
      yield* Effect.forEach(shares, (tasks) => spawn(held, tasks, onProgress), {
        concurrency: "unbounded",
        discard: true
      })
    else
      yield* Effect.forEach(
        tasks,
        ({ start, until }) =>
          Fold.partition({
            view: declared.view,
            lease: held.lease,
            start,
            until,
            prefer: "archive",
            onProgress,
            ...(checkpoint === undefined ? {} : { checkpoint }),
            ...(maxRecords === undefined ? {} : { maxRecords })
          }),
        { discard: true }
      )
    if (held.info.status === "building") yield* Effect.mapError(store.ready(held.lease), wrap)
    const info = yield* Effect.mapError(store.version(name, version), wrap)
    return info.positions
  }).pipe(Effect.scoped)
