/** Runs a schedule with the engine, on real files, and compares every state that it reaches with the reference fold. */
import { spawn as spawnProcess } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Archiver } from "@headrace/archive"
import { Batch, StateHash } from "@headrace/core"
import { EventLog } from "@headrace/core/EventLog"
import { ViewStore } from "@headrace/core/ViewStore"
import { CommitPoint } from "@headrace/embedded"
import { Fold, Live, Replay, type Version, ViewError } from "@headrace/kappa"
import { Cause, Effect, Exit, Layer, Stream } from "effect"
import { Project, Workers } from "headrace"
import * as Reference from "../reference/ReferenceFold.ts"
import { crashing } from "./Crash.ts"
import type { Attempt, Schedule } from "./Schedule.ts"
import { describe } from "./Shapes.ts"

/** What a run of a schedule met with; the suite demands that each is met with. */
export interface Coverage {
  readonly late: boolean
  readonly ties: boolean
  readonly poison: boolean
  readonly emptyPartition: boolean
  readonly handOverInWindow: boolean
  readonly overlap: boolean
  readonly gap: boolean
  readonly crash: boolean
  readonly threads: boolean
  readonly sigkill: boolean
}

/** A state that isn't the reference's, or a refusal that should have been one. */
export class Mismatch extends Error {}

const config = `import { defineConfig } from "headrace"
export default defineConfig({ log: { path: "data/log.db" }, archive: { path: "data/archive" }, store: { path: "data/views.db" }, views: ["views.ts"] })
`
const views = JSON.stringify(join(import.meta.dirname, "views.ts"))

/** Appends the topic's records, so many at a time, one partition after the other in turns. */
const append = (schedule: Schedule) =>
  Effect.gen(function* () {
    const log = yield* EventLog
    const { partitions } = schedule.topic
    yield* log.createTopic("orders", { partitions: partitions.length })
    const longest = Math.max(0, ...partitions.map((p) => p.length))
    for (let from = 0; from < longest; from += schedule.appendRecords) {
      for (const [partition, records] of partitions.entries()) {
        const builder = new Batch.BatchBuilder(4, 64)
        for (const r of records.slice(from, from + schedule.appendRecords)) builder.add(r.key, r.value, r.timestamp)
        if (builder.count > 0) yield* log.append("orders", partition, builder.take())
      }
    }
  })

/** Folds shares in fibers of this process, all at once. */
const fibers: (
  attempt: Attempt
) => Effect.Effect<Replay.Spawn, never, Effect.Services<ReturnType<typeof Fold.partition>>> = (attempt) =>
  Effect.map(
    Effect.context<Effect.Services<ReturnType<typeof Fold.partition>>>(),
    (context) => (held, tasks) =>
      Effect.forEach(
        tasks,
        ({ start, until }) =>
          Fold.partition({
            view: held.view,
            lease: held.lease,
            start,
            until,
            prefer: "archive",
            checkpoint: checkpointOf(attempt),
            maxRecords: attempt.maxRecords
          }),
        { discard: true }
      ).pipe(Effect.provide(context))
  )

const checkpointOf = (attempt: Attempt): Fold.Checkpoint => ({ records: attempt.checkpoint, pending: 50 })

class Crashed extends Error {
  constructor() {
    super("Crashed")
  }
}

const throwCrash = (): never => {
  throw new Crashed()
}

/** One attempt in this process; `die` is what a crash does. */
export const attemptHere = (
  project: Project.Project,
  declared: Version.Declared,
  mode: "live" | "replay",
  attempt: Attempt,
  die: () => never = throwCrash
) =>
  Effect.gen(function* () {
    const common = { owner: "the suite", checkpoint: checkpointOf(attempt), maxRecords: attempt.maxRecords }
    if (mode === "live") return yield* Live.run({ views: [declared], ...common })
    const spawn =
      attempt.where === "threads"
        ? Workers.spawn(project, { checkpoint: checkpointOf(attempt) })
        : yield* fibers(attempt)
    yield* Replay.run({ declared, workers: attempt.workers, spawn, ...common })
  }).pipe(
    Effect.provide(
      attempt.crash === undefined
        ? Project.layer(project)
        : crashing(attempt.crash, die).pipe(
            Layer.provideMerge(
              Project.layer(project).pipe(Layer.provide(Layer.succeed(CommitPoint.CommitPoint, withinOf(attempt, die))))
            )
          )
    )
  )

/** Dies inside the transaction of the so-many-th commit. */
const withinOf = (attempt: Attempt, die: () => never) => {
  let commits = 0
  return (point: CommitPoint.Point) => {
    if (point === "after-positions" && attempt.crash?.at === "within" && ++commits === attempt.crash.commit) die()
  }
}

/** Runs an attempt in another process that kills itself. */
const attemptElsewhere = (
  project: Project.Project,
  declared: Version.Declared,
  mode: "live" | "replay",
  attempt: Attempt
) =>
  Effect.callback<string>((resume) => {
    const { name, version } = declared.view
    const input = JSON.stringify({ folder: project.folder, view: name, version, mode, attempt })
    const child = spawnProcess(
      process.execPath,
      [...process.execArgv.filter((a) => !a.startsWith("--conditions")), join(import.meta.dirname, "child.ts"), input],
      { stdio: ["ignore", "inherit", "inherit"] }
    )
    child.on("exit", (code, signal) => resume(Effect.succeed(signal ?? `exit ${code}`)))
  })

const isCrash = (cause: Cause.Cause<unknown>): boolean => Cause.pretty(cause).includes("Crashed")

const attempts = Effect.fnUntraced(function* (
  project: Project.Project,
  declared: Version.Declared,
  mode: "live" | "replay",
  all: ReadonlyArray<Attempt>
) {
  let [crash, sigkill, threads] = [false, false, false]
  for (const attempt of all) {
    if (attempt.where === "child") {
      const end = yield* attemptElsewhere(project, declared, mode, attempt)
      if (end === "SIGKILL") sigkill = true
      else if (end !== "exit 0") throw new Mismatch(`a child process ended with ${end}`)
      continue
    }
    const exit = yield* Effect.exit(attemptHere(project, declared, mode, attempt))
    if (attempt.where === "threads" && attempt.workers > 1) threads = true
    if (Exit.isSuccess(exit)) continue
    if (attempt.crash === undefined || !isCrash(exit.cause)) return yield* Effect.failCause(exit.cause)
    crash = true
  }
  return { crash, sigkill, threads }
})

/** The state hash of a version must be the reference's. */
const check = Effect.fnUntraced(function* (
  project: Project.Project,
  declared: Version.Declared,
  expected: Reference.Result,
  what: string
) {
  const { name, version } = declared.view
  const difference = yield* Effect.gen(function* () {
    const store = yield* ViewStore
    const hash = yield* StateHash.ofVersion(store, name, version)
    if (hash === Reference.stateHash(expected)) return undefined
    const { positions } = yield* store.version(name, version)
    const rows = yield* Stream.runCollect(store.rows(name, version))
    const late = yield* Stream.runCollect(store.late(name, version))
    const dead = yield* Stream.runCollect(store.dead(name, version))
    const coordinates = <A extends { readonly partition: number; readonly offset: number }>(all: ReadonlyArray<A>) =>
      all.map((r) => [r.partition, r.offset])
    return (
      firstDifference("positions", positions, expected.positions) ??
      firstDifference("rows", rows, expected.rows) ??
      firstDifference("late records", coordinates(late), coordinates(expected.late)) ??
      firstDifference(
        "late columns",
        late.map((r) => r.columns),
        expected.late.map((r) => r.columns)
      ) ??
      firstDifference("dead letters", coordinates(dead), coordinates(expected.dead)) ??
      firstDifference(
        "reasons",
        dead.map((r) => r.reason),
        expected.dead.map((r) => r.reason)
      ) ??
      "only the hashes differ"
    )
  }).pipe(Effect.provide(Project.layer(project)))
  if (difference !== undefined)
    throw new Mismatch(`${what}: ${name} version ${version} isn't the reference's: ${difference}`)
})

const print = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? `${v}n` : v)) ?? "nothing"

/** The first element that differs, for people. */
const firstDifference = (
  what: string,
  actual: ReadonlyArray<unknown>,
  expected: ReadonlyArray<unknown>
): string | undefined => {
  const all = Array.from({ length: Math.max(actual.length, expected.length) })
  const at = all.findIndex((_, i) => print(actual[i]) !== print(expected[i]))
  return at < 0
    ? undefined
    : `${what} (${actual.length}, expected ${expected.length}): ${print(actual[at])}, expected ${print(expected[at])}`
}

/** Archives in rounds up to the schedule's shares, then cuts the log. Gives where the archive ends and where the log begins. */
const archive = (project: Project.Project, schedule: Schedule, codec: ReturnType<typeof Fold.codecOf>) =>
  Effect.gen(function* () {
    const log = yield* EventLog
    const ends = schedule.topic.partitions.map((p) => p.length)
    const held = ends.map(() => 0)
    for (const shares of schedule.archive) {
      for (const [p, share] of shares.entries()) held[p] = Math.max(held[p]!, Math.floor(ends[p]! * share))
      const until = new Map(held.entries())
      yield* Archiver.run({
        topic: "orders",
        codec,
        until,
        fileRows: schedule.fileRows,
        rowGroupRows: schedule.rowGroupRows
      })
    }
    const begins = held.map((end, p) => {
      if (schedule.retention === "none") return 0
      if (schedule.retention === "exact") return end
      return schedule.retention === "overlap" ? Math.floor(end / 2) : Math.min(ends[p]!, end + 1)
    })
    for (const [p, begin] of begins.entries()) yield* log.deleteBefore("orders", p, begin)
    return { held, begins }
  }).pipe(Effect.provide(Layer.merge(Project.layer(project), Project.archiveLayer(project)!)))

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

/** Runs the whole schedule; fails with what differs. */
export const run = (schedule: Schedule): Effect.Effect<Coverage, unknown> =>
  Effect.gen(function* () {
    const { contents, partitions } = schedule.topic
    const root = mkdtempSync(join(tmpdir(), "headrace-determinism-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(root, { recursive: true, force: true })))
    const folder = link(root)
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
    const project = yield* Project.load(folder)
    const [one, two, three] = (yield* Project.versionsOf(project, schedule.shape)) as readonly [
      Project.Declared,
      Project.Declared,
      Project.Declared
    ]
    const expected = Reference.fold(describe(schedule.shape, schedule.topic), partitions)

    yield* append(schedule).pipe(Effect.provide(Project.layer(project)))
    const live = yield* attempts(project, one, "live", schedule.live)
    yield* check(project, one, expected, "live")

    const { begins, held } = yield* archive(project, schedule, Fold.codecOf(one.view))
    const missing = begins.findIndex((begin, p) => begin > held[p]!)
    const coverage = {
      late: expected.late.length > 0,
      ties: contents.hasTies,
      poison: contents.hasPoison,
      emptyPartition: contents.emptyPartition,
      handOverInWindow: missing < 0 && partsWindow(schedule, held),
      overlap: begins.some((begin, p) => begin < held[p]!),
      gap: missing >= 0,
      ...live
    }
    if (missing >= 0) {
      yield* refused(project, two, begins, held)
      return coverage
    }
    let met = live
    for (const [i, version] of [two, three].entries()) {
      const seen = yield* attempts(project, version, "replay", schedule.replays[i]!)
      met = {
        crash: met.crash || seen.crash,
        sigkill: met.sigkill || seen.sigkill,
        threads: met.threads || seen.threads
      }
      yield* check(project, version, expected, `replay ${i + 1}`)
    }
    return { ...coverage, ...met }
  }).pipe(Effect.scoped)

/** A replay over a gap must be refused, and name exactly what is missing. */
const refused = Effect.fnUntraced(function* (
  project: Project.Project,
  declared: Version.Declared,
  begins: ReadonlyArray<number>,
  held: ReadonlyArray<number>
) {
  const calm: Attempt = { maxRecords: 100, checkpoint: 100, workers: 1, where: "fibers", crash: undefined }
  const exit = yield* Effect.exit(attemptHere(project, declared, "replay", calm))
  const error = Exit.isFailure(exit) ? exit.cause.reasons.filter(Cause.isFailReason).map((r) => r.error)[0] : undefined
  const gap =
    error instanceof ViewError.ViewError && error.reason._tag === "OneLogError" && error.reason.reason._tag === "Gap"
      ? error.reason.reason
      : undefined
  if (gap === undefined)
    throw new Mismatch(
      `a replay over a gap wasn't refused as one: ${Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it succeeded"}`
    )
  if (gap.from !== held[gap.partition] || gap.until !== begins[gap.partition])
    throw new Mismatch(
      `the gap is [${held[gap.partition]}, ${begins[gap.partition]}), and [${gap.from}, ${gap.until}) was reported`
    )
})

let folders = 0
/** A project folder beside this file, where the packages resolve, with its data under `root`. */
const link = (root: string): string => {
  const folder = join(import.meta.dirname, `.run-${process.pid}-${folders++}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "headrace.config.ts"), config.replaceAll('"data/', `"${root}/`))
  writeFileSync(join(folder, "views.ts"), `export * from ${views}\n`)
  return folder
}
