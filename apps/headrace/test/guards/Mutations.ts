/**
 * The guards of the seven rules, each with the edit that takes it out. An edit is exact text, so a guard whose code has changed isn't
 * passed over: its edit has to be written anew.
 */

export interface Edit {
  /** Relative to the root of the source tree. */
  readonly file: string
  /** Stands there exactly once. */
  readonly find: string
  readonly replace: string
}

export interface Mutation {
  readonly guard: string
  /** What the code does without it. */
  readonly without: string
  readonly edits: ReadonlyArray<Edit>
}

const kernel = "packages/kappa/src/Kernel.ts"
const store = "packages/embedded/src/SqliteViewStore.ts"
const handOver = "packages/archive/src/HandOver.ts"
const fence = "AND partition = ? AND epoch = ? AND next = ?"

export const mutations: ReadonlyArray<Mutation> = [
  {
    guard: "a watermark per partition",
    without: "all partitions that a run folds have one watermark",
    edits: [
      {
        file: "packages/kappa/src/Fold.ts",
        find: "Kernel.make(view, start)",
        replace: "Kernel.make(view, start, Kernel.watermarkOf(lease))"
      },
      {
        file: kernel,
        find: "export const make = (view: Any, start: Position): Kernel => {",
        replace: `const watermarks = new WeakMap<object, { t: number }>()
export const watermarkOf = (lease: object) => {
  const known = watermarks.get(lease) ?? { t: EventTime.none }
  watermarks.set(lease, known)
  return known
}
export const make = (view: Any, start: Position, shared: { t: number }): Kernel => {`
      },
      {
        file: kernel,
        find: "watermark = maxEventTime - outOfOrderness",
        replace: "watermark = Math.max(shared.t, maxEventTime) - outOfOrderness; shared.t = Math.max(shared.t, t)"
      }
    ]
  },
  {
    guard: "offsets are committed with state",
    without: "offsets are committed first, then state",
    edits: [
      {
        file: store,
        find: `point("after-positions")`,
        replace: `db.exec("COMMIT"); point("after-positions"); db.exec("BEGIN IMMEDIATE")`
      }
    ]
  },
  {
    guard: "the overlap is cut",
    without: "the tail is read from where it begins, also what the archive had",
    edits: [
      {
        file: handOver,
        find: "segments.push({ tier, from: at, until: Math.min(until, end) })",
        replace:
          "segments.push({ tier, from: segments.length === 0 ? at : Math.min(at, ranges[tier].begin), until: Math.min(until, end) })"
      }
    ]
  },
  {
    guard: "a gap is refused",
    without: "the read goes on behind the gap",
    edits: [
      {
        file: handOver,
        find: "return Result.fail(new Gap({ topic, partition, from: at, until: Math.min(until, ...begins) }))",
        replace: "at = Math.min(until, ...begins); continue"
      }
    ]
  },
  {
    guard: "distinct values join a set",
    without: "the distinct counts of the partitions are summed",
    edits: [
      {
        file: "packages/embedded/src/ViewStoreSql.ts",
        find: `COUNT(DISTINCT s."value")`,
        replace: `COUNT(s."value")`
      }
    ]
  },
  {
    guard: "a commit compares the epoch",
    without: "a process that has lost the version still commits",
    edits: [{ file: store, find: fence, replace: "AND partition = ? AND ? IS NOT NULL AND next = ?" }]
  },
  {
    guard: "a commit compares the offset",
    without: "the same records are committed twice",
    edits: [{ file: store, find: fence, replace: "AND partition = ? AND epoch = ? AND ? IS NOT NULL" }]
  },
  {
    guard: "metadata is created if absent",
    without: "an archiver overwrites what another one has committed",
    edits: [
      {
        file: "packages/s3/src/FolderObjectStore.ts",
        find: "putIfAbsent: writing(DurableFile.create)",
        replace: `putIfAbsent: writing((file) => Effect.as(DurableFile.replace(file), "created" as const))`
      }
    ]
  }
]
