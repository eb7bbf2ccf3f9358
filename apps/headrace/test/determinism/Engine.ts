/** Runs a schedule with the engine, on real files, and compares every state that it leaves behind with the reference fold. */
import { Archive, ArchiveError } from "@headrace/archive/Archive"
import type { OneLog } from "@headrace/archive/OneLog"
import { Batch } from "@headrace/core"
import { EventLog } from "@headrace/core/EventLog"
import type { ViewStore } from "@headrace/core/ViewStore"
import { Fold, Version, ViewError } from "@headrace/kappa"
import { Cause, Effect, Exit, Layer } from "effect"
import { Project } from "headrace"
import * as Reference from "../reference/ReferenceFold.ts"
import * as Check from "./Check.ts"
import * as Jobs from "./Jobs.ts"
import type { ArchiveRound, Attempt, Schedule, Zombie } from "./Schedule.ts"
import { describe } from "./Shapes.ts"
import * as Workspace from "./Workspace.ts"

/** What a schedule may meet with. A suite must meet with all of it. */
export const features = [
  "late",
  "ties",
  "poison",
  "emptyPartition",
  "handOverInWindow",
  "overlap",
  "gap",
  "crash",
  "crashInCommit",
  "crashBeforeReady",
  "crashInArchiving",
  "otherParallelism",
  "threads",
  "sigkill",
  "sigkillWithThreads",
  "sigkillInArchiving",
  "fed",
  "goesOn",
  "fencedEpoch",
  "fencedOffset",
  "superseded"
] as const
export type Feature = (typeof features)[number]

/** A schedule that is under way. */
interface Run {
  readonly schedule: Schedule
  readonly project: Project.Project
  readonly met: Set<Feature>
  /** Provides log, archive and store: opened for each piece of work, or open all the while. */
  readonly provide: <A, E>(work: Effect.Effect<A, E, Archive | Project.Services>) => Effect.Effect<A, unknown>
}

const calm: Attempt = {
  maxRecords: 100,
  checkpoint: 100,
  workers: 1,
  where: "fibers",
  child: false,
  killAfter: undefined,
  crash: undefined
}

/** Appends the records `[from, until)` of each partition, so many at a time, one partition after the other in turns. */
const append = ({ provide, schedule }: Run, from: ReadonlyArray<number>, until: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const log = yield* EventLog
    const step = schedule.appendRecords
    const at = [...from]
    while (at.some((offset, p) => offset < until[p]!)) {
      for (const [partition, records] of schedule.topic.partitions.entries()) {
        const builder = new Batch.BatchBuilder(4, 64)
        const end = Math.min(until[partition]!, at[partition]! + step)
        for (const r of records.slice(at[partition], end)) builder.add(r.key, r.value, r.timestamp)
        at[partition] = end
        if (builder.count > 0) yield* log.append("orders", partition, builder.take())
      }
    }
  }).pipe(provide)

/** Runs attempts one after the other; what each leaves behind must be the reference's at the offsets where it stands. */
const attempts = Effect.fnUntraced(function* (
  { met, project, provide, schedule }: Run,
  versions: ReadonlyArray<number>,
  kind: "live" | "replay",
  all: ReadonlyArray<Attempt>,
  what: string
) {
  const view = schedule.shape
  let died: Attempt | undefined
  for (const [i, attempt] of all.entries()) {
    const job: Jobs.Job =
      kind === "live" ? { kind, view, versions, attempt } : { kind, view, version: versions[0]!, attempt }
    const end = yield* Jobs.end(project, job)
    if (typeof end === "object") return yield* Effect.failCause(end.failed)
    if (died !== undefined && kind === "replay" && died.workers !== attempt.workers) met.add("otherParallelism")
    if (attempt.where === "threads" && attempt.workers > 1 && end === "done") met.add("threads")
    if (end === "killed") met.add(attempt.where === "threads" ? "sigkillWithThreads" : "sigkill")
    if (end === "crashed") met.add("crash")
    if (end !== "done" && attempt.crash?.at === "within") met.add("crashInCommit")
    if (end !== "done" && attempt.crash?.at === "ready") met.add("crashBeforeReady")
    died = end === "done" ? undefined : attempt
    for (const version of versions)
      yield* provide(Check.version(schedule, version, `${what}, attempt ${i + 1} (${end})`))
  }
})

/** Archives up to the round's shares of the records that the log has; afterwards the archive must hold exactly what it should. */
const archiveRound = Effect.fnUntraced(function* (
  { met, project, provide, schedule }: Run,
  ends: ReadonlyArray<number>,
  held: ReadonlyArray<number>,
  round: ArchiveRound
) {
  const until = held.map((offset, p) => Math.max(offset, Math.floor(ends[p]! * round.shares[p]!)))
  const grows = until.some((offset, p) => offset > held[p]!)
  const job = (more: Partial<ArchiveRound>): Jobs.Job => ({
    kind: "archive",
    view: schedule.shape,
    until,
    round: { ...round, ...more }
  })
  if (round.crash !== undefined) {
    const end = yield* Jobs.end(project, job({ rival: false }))
    if (typeof end === "object") return yield* Effect.failCause(end.failed)
    if (end === "killed") met.add("sigkillInArchiving")
    if (end === "crashed") met.add("crashInArchiving")
  }
  const end = yield* Jobs.end(project, job({ crash: undefined }))
  if (typeof end === "object") {
    const error = end.failed.reasons.filter(Cause.isFailReason).map((r) => r.error)[0]
    const superseded = error instanceof ArchiveError && error.reason._tag === "Superseded"
    if (!round.rival || !superseded) return yield* Effect.failCause(end.failed)
    met.add("superseded")
  } else if (round.rival && round.crash === undefined && grows)
    throw new Check.Mismatch("an archiver wasn't refused though another one had committed before it")

  const holding = yield* provide(Effect.flatMap(Archive, (archive) => archive.holding("orders")))
  const found = until.map((_, p) => holding?.ranges.get(p)?.end)
  if (found.some((end, p) => end !== until[p]))
    throw new Check.Mismatch(`the archive ends at ${found.join(", ")} instead of ${until.join(", ")}`)
  return until
})

/** Cuts the log as retention does. Gives where it begins. */
const cut = ({ provide, schedule }: Run, ends: ReadonlyArray<number>, held: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const log = yield* EventLog
    const begins = held.map((end, p) => {
      if (schedule.retention === "none") return 0
      if (schedule.retention === "exact") return end
      return schedule.retention === "overlap" ? Math.floor(end / 2) : Math.min(ends[p]!, end + 1)
    })
    for (const [p, begin] of begins.entries()) yield* log.deleteBefore("orders", p, begin)
    return begins
  }).pipe(provide)

/** Whether a hand-over parts two records of one window. */
const partsWindow = (schedule: Schedule, held: ReadonlyArray<number>): boolean =>
  schedule.topic.partitions.some((records, p) => {
    const windowAt = (offset: number) => {
      const value = records[offset]?.value
      const decoded = value === null || value === undefined ? undefined : schedule.topic.decode(value)
      return decoded?.ok === true ? Math.floor(decoded.row.ts / 60_000) : undefined
    }
    const before = windowAt(held[p]! - 1)
    return before !== undefined && before === windowAt(held[p]!)
  })

/** A replay over a gap must be refused, and name exactly what is missing. */
const refused = Effect.fnUntraced(function* (
  { project, schedule }: Run,
  begins: ReadonlyArray<number>,
  held: ReadonlyArray<number>
) {
  const end = yield* Jobs.end(project, { kind: "replay", view: schedule.shape, version: 2, attempt: calm })
  if (typeof end !== "object") throw new Check.Mismatch("a replay over a gap wasn't refused")
  const error = end.failed.reasons.filter(Cause.isFailReason).map((r) => r.error)[0]
  const gap =
    error instanceof ViewError.ViewError && error.reason._tag === "OneLogError" && error.reason.reason._tag === "Gap"
      ? error.reason.reason
      : undefined
  if (gap === undefined)
    throw new Check.Mismatch(`a replay over a gap wasn't refused as one: ${Cause.pretty(end.failed)}`)
  if (gap.from !== held[gap.partition] || gap.until !== begins[gap.partition])
    throw new Check.Mismatch(
      `the gap is [${held[gap.partition]}, ${begins[gap.partition]}), and [${gap.from}, ${gap.until}) was reported`
    )
})

/** The rest of the log comes in pieces, and version 1 follows. */
const feed = Effect.fnUntraced(function* (run: Run, first: ReadonlyArray<number>, ends: ReadonlyArray<number>) {
  const pieces = 3
  for (let i = 0; i < pieces; i++) {
    const share = (n: number) => first.map((offset, p) => offset + Math.floor(((ends[p]! - offset) * n) / pieces))
    yield* append(run, share(i), share(i + 1))
    yield* attempts(
      run,
      [1],
      "live",
      [{ ...run.schedule.live.at(-1)!, child: false }],
      `live while version 2 is replayed, piece ${i + 1}`
    )
  }
})

/** A fold that has lost the right to write before its first commit must be refused, and leave no trace. */
const zombie = Effect.fnUntraced(function* ({ met, project, provide, schedule }: Run, kind: Zombie) {
  const exit = yield* Effect.gen(function* () {
    const declared = (yield* Project.versionsOf(project, schedule.shape)).find((d) => d.view.version === 2)!
    // The lock ends with the scope; the lease, which is only data, is kept.
    const held = yield* Effect.scoped(Version.hold(declared, "the zombie"))
    const start = held.positions.find((p) => p.next < (held.topic.partitions[p.partition]?.end ?? 0))
    if (start === undefined) return
    const until = held.topic.partitions[start.partition]!.end
    const fold = { view: held.view, lease: held.lease, start, until, prefer: "tail", maxRecords: 10 } as const
    const context = yield* Effect.context<OneLog | ViewStore>()
    const other: Effect.Effect<unknown, ViewError.ViewError, OneLog | ViewStore> =
      kind === "epoch"
        ? Effect.scoped(Version.hold(declared, "the other"))
        : Fold.partition({ ...fold, maxRecords: 50 })
    const usurp = yield* Effect.cached(other.pipe(Effect.provide(context), Effect.orDie, Effect.asVoid))
    yield* Fold.partition({ ...fold, onProgress: () => usurp })
    throw new Check.Mismatch(`a fold that had lost its ${kind} wasn't refused`)
  }).pipe(provide, Effect.exit)
  if (Exit.isFailure(exit)) {
    const error = exit.cause.reasons.filter(Cause.isFailReason).map((r) => r.error)[0]
    const reason = error instanceof ViewError.ViewError ? error.reason : undefined
    if (reason?._tag !== "ViewStoreError" || reason.reason._tag !== "Fenced") return yield* Effect.failCause(exit.cause)
    met.add(kind === "epoch" ? "fencedEpoch" : "fencedOffset")
  }
  yield* provide(Check.version(schedule, 2, `after a fold that had lost its ${kind}`))
})

/** Runs the whole schedule; fails with what differs. */
export const run = (schedule: Schedule): Effect.Effect<ReadonlySet<Feature>, unknown> =>
  Effect.gen(function* () {
    const { contents, partitions } = schedule.topic
    const project = yield* Workspace.make
    const met = new Set<Feature>()
    const layer = Layer.merge(Project.layer(project), Project.archiveLayer(project)!)
    const open = schedule.watched ? yield* Layer.build(layer) : undefined
    const provide: Run["provide"] = (work) =>
      open === undefined ? Effect.provide(work, layer) : Effect.provide(work, open)
    const self: Run = { schedule, project, met, provide }
    const ends = partitions.map((p) => p.length)
    const first = ends.map((end, p) => Math.floor(end * schedule.first[p]!))
    const full = Reference.fold(describe(schedule.shape, schedule.topic), partitions)
    if (full.late.length > 0) met.add("late")
    if (contents.hasTies) met.add("ties")
    if (contents.hasPoison) met.add("poison")
    if (contents.emptyPartition) met.add("emptyPartition")

    yield* provide(Effect.flatMap(EventLog, (log) => log.createTopic("orders", { partitions: partitions.length })))
    yield* append(
      self,
      ends.map(() => 0),
      first
    )
    yield* attempts(self, [1], "live", schedule.live, "live")
    yield* provide(Check.version(schedule, 1, "live", first))

    let held: ReadonlyArray<number> = ends.map(() => 0)
    for (const round of schedule.archive) held = yield* archiveRound(self, first, held, round)
    const begins = yield* cut(self, first, held)
    if (begins.some((begin, p) => begin < held[p]!)) met.add("overlap")
    if (begins.some((begin, p) => begin > held[p]!)) {
      met.add("gap")
      yield* refused(self, begins, held)
      return met
    }

    const replay = attempts(self, [2], "replay", schedule.replay, "replay")
    const grows = ends.some((end, p) => end > first[p]!)
    if (schedule.fed && grows) {
      met.add("fed")
      yield* Effect.all([replay, feed(self, first, ends)], { concurrency: "unbounded", discard: true })
    } else {
      yield* replay
      yield* provide(Check.version(schedule, 2, "replay", first))
      yield* append(self, first, ends)
    }
    if (schedule.zombie !== undefined) yield* zombie(self, schedule.zombie)
    if (grows) met.add("goesOn")
    yield* attempts(self, [1, 2], "live", schedule.goesOn, "live after the replay")
    for (const version of [1, 2]) yield* provide(Check.version(schedule, version, "live after the replay", ends))

    if (schedule.archiveMore !== undefined) held = yield* archiveRound(self, ends, held, schedule.archiveMore)
    if (partsWindow(schedule, held)) met.add("handOverInWindow")
    yield* attempts(self, [3], "replay", [...schedule.extraReplay, calm], "extra replay")
    yield* provide(Check.version(schedule, 3, "extra replay", ends))
    return met
  }).pipe(Effect.scoped)
