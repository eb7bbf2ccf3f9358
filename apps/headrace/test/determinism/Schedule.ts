/**
 * A schedule: one random way of running a view over one random topic. A pure function of its seed and its index, so a failing one is run
 * again by these.
 */
import type { Point } from "@headrace/iceberg/CommitPoint"
import { type Random, random, topic, type Topic } from "../reference/Records.ts"
import { type Shape, shapes } from "./Shapes.ts"

/** Where a fold dies: at its so-many-th commit (before it, in the middle of its transaction, after it), or before it marks a version ready. */
export interface Crash {
  readonly commit: number
  readonly at: "before" | "within" | "after" | "ready"
}

/** One attempt at a run or a replay: how it is cut into batches and commits, and where it dies, if it does. */
export interface Attempt {
  readonly maxRecords: number
  readonly checkpoint: number
  /** Fibers or worker threads that share the partitions. */
  readonly workers: number
  readonly where: "fibers" | "threads"
  /** Whether it is another process, which dies by SIGKILL. */
  readonly child: boolean
  /** With worker threads, whose commits nobody counts: die at the first record that one reports, this many milliseconds later. */
  readonly killAfter: number | undefined
  readonly crash: Crash | undefined
}

/** Where archiving dies: when it opens its so-many-th data file, or at a point of a commit. */
export interface ArchiveCrash {
  readonly at: "file" | Point
  readonly occurrence: number
  readonly child: boolean
}

export interface ArchiveRound {
  /** Up to which share of each partition's records. */
  readonly shares: ReadonlyArray<number>
  readonly fileRows: number
  readonly rowGroupRows: number
  readonly crash: ArchiveCrash | undefined
  /** Another archiver commits while this one is about to: this one must be refused, and the other's work stands. */
  readonly rival: boolean
}

/** A process that lost its right to write and doesn't know: to a later epoch, or to a commit that moved the offset. */
export type Zombie = "epoch" | "offset"

export interface Schedule {
  readonly seed: number
  readonly index: number
  readonly shape: Shape
  readonly topic: Topic
  /** Whether a connection to log and store stays open all the while, as a reader's does; without one, files are recovered and closed in between. */
  readonly watched: boolean
  /** Records an append to the log. */
  readonly appendRecords: number
  /** Which share of each partition is in the log from the start; the rest comes during the first replay or after it. */
  readonly first: ReadonlyArray<number>
  /** Live attempts at the first share; the last one doesn't crash. */
  readonly live: ReadonlyArray<Attempt>
  readonly archive: ReadonlyArray<ArchiveRound>
  /** How the log is cut after archiving: not at all, up to the archive's end, somewhere below it, or too far. */
  readonly retention: "none" | "exact" | "overlap" | "gap"
  /** Replay attempts of version 2; the last doesn't crash. */
  readonly replay: ReadonlyArray<Attempt>
  /** Whether the log grows, and version 1 goes on, while version 2 is replayed. */
  readonly fed: boolean
  readonly zombie: Zombie | undefined
  /** Live attempts that take versions 1 and 2 to the log's end together; the last one doesn't crash. */
  readonly goesOn: ReadonlyArray<Attempt>
  /** Archives more, before version 3. */
  readonly archiveMore: ArchiveRound | undefined
  /** Replay attempts of version 3; the last doesn't crash. */
  readonly extraReplay: ReadonlyArray<Attempt>
}

/** What is special about some attempts: worker threads, a child process, or both. */
type Kind = "calm" | "threads" | "child" | "child-threads"

const attempts = (
  r: Random,
  mode: "live" | "replay",
  /** Sizes below this one are raised to it, so that a long topic isn't cut into hundreds of pieces. */
  least: number,
  kind: Kind = "calm"
): ReadonlyArray<Attempt> => {
  const child = kind === "child" || kind === "child-threads"
  const one = (crash: Crash | undefined): Attempt => ({
    maxRecords: Math.max(least, r.pick([1, 2, 7, 50, 1_000])),
    checkpoint: Math.max(least, r.pick([1, 3, 20, 100, 100_000])),
    workers: r.between(1, 4),
    where: "fibers",
    child: false,
    killAfter: undefined,
    crash
  })
  const points =
    mode === "live" ? (["before", "within", "after"] as const) : (["before", "within", "after", "ready"] as const)
  const crash = (): Crash => ({ commit: r.between(1, child ? 2 : 5), at: r.pick(points) })
  const crashes = r.pick([0, 0, 1, 2, 3])
  const dying = Array.from({ length: crashes }, () => one(crash()))
  const last = one(undefined)
  switch (kind) {
    case "calm":
      return [...dying, last]
    case "threads":
      return [...dying, { ...last, where: "threads", workers: Math.max(2, last.workers) }]
    case "child":
      return [
        { ...one(crash()), checkpoint: r.pick([1, 3, 20]), maxRecords: r.pick([2, 7, 20]), child },
        ...dying,
        last
      ]
    case "child-threads": {
      const killAfter = r.pick([0, 0, 0, 2])
      return [
        {
          ...one(undefined),
          where: "threads",
          workers: r.between(2, 4),
          checkpoint: r.pick([1, 3, 20]),
          child,
          killAfter
        },
        ...dying,
        last
      ]
    }
  }
}

const points = [
  "after-data",
  "after-manifest",
  "after-merge",
  "after-manifest-list",
  "after-metadata",
  "after-hint"
] as const

const archiveRound = (r: Random, partitions: number, longest: number, child = false): ArchiveRound => {
  const crash = (): ArchiveCrash => ({
    at: r.chance(0.3) ? "file" : r.pick(points),
    occurrence: child ? 1 : r.between(1, 3),
    child
  })
  return {
    shares: Array.from({ length: partitions }, () => (child ? 1 : r.below(101) / 100)),
    fileRows: Math.max(5, Math.ceil(longest / r.between(1, 6))),
    rowGroupRows: r.pick([1, 8, 64, 1_000]),
    crash: child || r.chance(0.4) ? crash() : undefined,
    rival: r.chance(0.2)
  }
}

/** A topic with enough records for what is to be met with for sure. */
const topicOf = (r: Random, least: number): Topic => {
  for (;;) {
    const data = topic(r.bits(), { nullRegions: true, maxRecords: r.pick([20, 60, 60, 150, 400]) })
    if (data.partitions.reduce((n, p) => n + p.length, 0) >= least) return data
  }
}

/** Real threads and child processes take half a second each: five of 50 schedules have them, and enough records for them. */
export const make = (seed: number, index: number): Schedule => {
  const r = random(seed)
  const slot = (["threads", "live child", "replay child", "child-threads", "archive child"] as const)[(index % 50) / 10]
  const data = topicOf(r, slot === undefined ? 0 : 60)
  const { length } = data.partitions
  const longest = Math.max(...data.partitions.map((p) => p.length))
  const least = Math.floor(longest / 40)
  const whole = slot !== undefined || r.chance(0.3)
  const rounds = slot === "archive child" ? 1 : slot === undefined ? r.pick([0, 1, 1, 2, 3]) : r.pick([0, 1, 2])
  const archive = Array.from({ length: rounds }, () => archiveRound(r, length, longest, slot === "archive child"))
  const retention = rounds === 0 ? "none" : r.pick(["none", "exact", "overlap", "overlap", "gap"] as const)
  return {
    seed,
    index,
    shape: r.pick(shapes),
    topic: data,
    watched: slot === undefined && r.chance(0.7),
    appendRecords: Math.max(least, r.pick([1, 10, 64, 1_000])),
    first: data.partitions.map(() => (whole ? 1 : r.below(101) / 100)),
    live: attempts(r, "live", least, slot === "live child" ? "child" : "calm"),
    archive,
    // A gap ends a schedule early.
    retention: slot !== undefined && retention === "gap" ? "exact" : retention,
    replay: attempts(
      r,
      "replay",
      least,
      slot === "threads" ? "threads" : slot === "replay child" ? "child" : slot === "child-threads" ? slot : "calm"
    ),
    fed: r.chance(0.5),
    zombie: r.chance(0.6) ? r.pick(["epoch", "offset"]) : undefined,
    goesOn: attempts(r, "live", least),
    archiveMore: rounds > 0 && r.chance(0.4) ? archiveRound(r, length, longest) : undefined,
    extraReplay: attempts(r, "replay", least)
  }
}
