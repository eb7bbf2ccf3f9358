/**
 * A schedule: one random way of running a view over one random topic. A pure function of its seed, so a failing one is run again by it.
 */
import { type Random, random, topic, type Topic } from "../reference/Records.ts"
import { type Shape, shapes } from "./Shapes.ts"

/** Where a run dies: at its so-many-th commit, before it, in the middle of its transaction, or after it. */
export interface Crash {
  readonly commit: number
  readonly at: "before" | "within" | "after"
}

/** One attempt at a run or a replay: how it is cut into batches and commits, and where it dies, if it does. */
export interface Attempt {
  readonly maxRecords: number
  readonly checkpoint: number
  /** Fibers or worker threads that share the partitions. */
  readonly workers: number
  /** `fibers` in this process, `threads` are real workers, `child` is another process, which dies by SIGKILL. */
  readonly where: "fibers" | "threads" | "child"
  readonly crash: Crash | undefined
}

export interface Schedule {
  readonly seed: number
  readonly shape: Shape
  readonly topic: Topic
  /** Records an append to the log. */
  readonly appendRecords: number
  /** Live attempts; the last one doesn't crash. */
  readonly live: ReadonlyArray<Attempt>
  /** Per round of archiving: up to which share of each partition. */
  readonly archive: ReadonlyArray<ReadonlyArray<number>>
  readonly fileRows: number
  readonly rowGroupRows: number
  /** How the log is cut after archiving: not at all, up to the archive's end, somewhere below it, or too far. */
  readonly retention: "none" | "exact" | "overlap" | "gap"
  /** Replay attempts of version 2, then of version 3; the last of each doesn't crash. */
  readonly replays: ReadonlyArray<ReadonlyArray<Attempt>>
}

const attempts = (r: Random, wild: { readonly threads: boolean; readonly child: boolean }): ReadonlyArray<Attempt> => {
  const one = (crash: Crash | undefined): Attempt => ({
    maxRecords: r.pick([1, 2, 7, 50, 1_000]),
    checkpoint: r.pick([1, 3, 20, 100, 100_000]),
    workers: r.between(1, 4),
    where: wild.child && crash !== undefined ? "child" : wild.threads && crash === undefined ? "threads" : "fibers",
    crash
  })
  const crashes = r.pick([0, 0, 1, 2, 3])
  const crash = (): Crash => ({ commit: r.between(1, 5), at: r.pick(["before", "within", "after"]) })
  const dying = Array.from({ length: wild.child ? Math.max(1, crashes) : crashes }, () => one(crash()))
  return [...dying, one(undefined)]
}

/** Every so many schedules use real threads, or a child process: these take half a second each. */
export const make = (seed: number, index: number): Schedule => {
  const r = random(seed)
  const data = topic(r.bits(), { nullRegions: true, maxRecords: r.pick([20, 120, 400]) })
  const rounds = r.pick([0, 1, 1, 2, 3])
  const calm = { threads: false, child: false }
  return {
    seed,
    shape: r.pick(shapes),
    topic: data,
    appendRecords: r.pick([1, 10, 64, 1_000]),
    live: attempts(r, { threads: false, child: index % 20 === 7 }),
    archive: Array.from({ length: rounds }, () => data.partitions.map(() => r.below(101) / 100)),
    fileRows: r.pick([5, 60, 1_000]),
    rowGroupRows: r.pick([1, 8, 64, 1_000]),
    retention: rounds === 0 ? "none" : r.pick(["none", "exact", "overlap", "overlap", "gap"]),
    replays: [attempts(r, { threads: index % 20 === 3, child: index % 20 === 13 }), attempts(r, calm)]
  }
}
