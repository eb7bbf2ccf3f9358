/** The parts of a schedule that may die: live runs, replays and archiving, in this process or in another one. */
import { spawn as spawnProcess } from "node:child_process"
import { join } from "node:path"
import { Archiver } from "@headrace/archive"
import { Fold, Live, Replay } from "@headrace/kappa"
import { Cause, Effect, Exit, Layer } from "effect"
import { Project, Workers } from "headrace"
import * as Child from "../support/Child.ts"
import * as Faults from "./Faults.ts"
import type { ArchiveRound, Attempt } from "./Schedule.ts"

/** Plain data: a child process gets it as JSON. */
export type Job =
  | {
      readonly kind: "live"
      readonly view: string
      readonly versions: ReadonlyArray<number>
      readonly attempt: Attempt
    }
  | { readonly kind: "replay"; readonly view: string; readonly version: number; readonly attempt: Attempt }
  | {
      readonly kind: "archive"
      readonly view: string
      /** Offsets below which to archive, by partition. */
      readonly until: ReadonlyArray<number>
      readonly round: ArchiveRound
    }

const declaredOf = (project: Project.Project, view: string, version: number) =>
  Effect.map(Project.versionsOf(project, view), (all) => all.find((d) => d.view.version === version)!)

const checkpointOf = (attempt: Attempt): Fold.Checkpoint => ({ records: attempt.checkpoint, pending: 50 })

/** Folds shares in fibers of this process, all at once. */
const fibers = (attempt: Attempt) =>
  Effect.map(
    Effect.context<Effect.Services<ReturnType<typeof Fold.partition>>>(),
    (context): Replay.Spawn =>
      ({ lease, view }, tasks) =>
        Effect.forEach(
          tasks,
          (task) =>
            Fold.partition({
              ...task,
              view,
              lease,
              prefer: "archive",
              checkpoint: checkpointOf(attempt),
              maxRecords: attempt.maxRecords
            }),
          { discard: true }
        ).pipe(Effect.provide(context))
  )

const fold = (project: Project.Project, job: Exclude<Job, { readonly kind: "archive" }>, die: Faults.Die) => {
  const { attempt, view } = job
  const layer = Project.layer(project)
  return Effect.gen(function* () {
    const checkpoint = checkpointOf(attempt)
    const common = { owner: "the suite", checkpoint, maxRecords: attempt.maxRecords }
    if (job.kind === "live") {
      const views = yield* Effect.forEach(job.versions, (version) => declaredOf(project, view, version))
      return yield* Live.run({ views, ...common })
    }
    const declared = yield* declaredOf(project, view, job.version)
    const spawn =
      attempt.where === "threads"
        ? yield* Workers.make(project, attempt.workers, { checkpoint })
        : yield* fibers(attempt)
    const { killAfter } = attempt
    let dying = false
    const onProgress = () =>
      Effect.sync(() => {
        if (killAfter === undefined || dying) return
        dying = true
        if (killAfter === 0) die()
        setTimeout(die, killAfter)
      })
    yield* Replay.run({ declared, workers: attempt.workers, spawn, onProgress, ...common })
  }).pipe(
    Effect.scoped,
    Effect.provide(attempt.crash === undefined ? layer : Faults.inStore(attempt.crash, die, layer))
  )
}

const archive = (
  project: Project.Project,
  { round, until, view }: Extract<Job, { readonly kind: "archive" }>,
  die: Faults.Die
) =>
  Effect.gen(function* () {
    const declared = yield* declaredOf(project, view, 1)
    const { crash, fileRows, rowGroupRows } = round
    const run = (rows: number) =>
      Archiver.run({
        topic: "orders",
        codec: Fold.codecOf(declared.view),
        until: new Map(until.entries()),
        fileRows: rows,
        rowGroupRows
      })
    if (crash !== undefined) return yield* Effect.asVoid(Faults.inArchiving(crash, die)(run(fileRows)))
    if (!round.rival) return yield* Effect.asVoid(run(fileRows))
    const context = yield* Effect.context<Effect.Services<ReturnType<typeof run>>>()
    const other = run(fileRows + 7).pipe(Effect.provide(context), Effect.orDie, Effect.asVoid)
    yield* Faults.beforePublish(other)(run(fileRows))
  }).pipe(Effect.provide(Layer.merge(Project.layer(project), Project.archiveLayer(project)!)))

/** Runs a job in this process; `die` is what a crash does. */
export const run = (project: Project.Project, job: Job, die: Faults.Die): Effect.Effect<void, unknown> =>
  job.kind === "archive" ? archive(project, job, die) : fold(project, job, die)

/** How a job ended. */
export type End = "done" | "crashed" | "killed" | { readonly failed: Cause.Cause<unknown> }

const elsewhere = (project: Project.Project, job: Job): Effect.Effect<End> =>
  Effect.callback((resume) => {
    const [program, args] = Child.commandOf(join(import.meta.dirname, "child.ts"), project.folder, JSON.stringify(job))
    const child = spawnProcess(program, args, { stdio: ["ignore", "inherit", "inherit"] })
    child.on("error", (error) => resume(Effect.succeed({ failed: Cause.die(error) })))
    child.on("exit", (code, signal) => {
      const failed = Cause.die(new Error(`a child process ended with ${signal ?? `exit code ${code}`}`))
      resume(Effect.succeed(signal === "SIGKILL" ? "killed" : code === 0 ? "done" : { failed }))
    })
  })

/** Runs a job where it says. */
export const end = (project: Project.Project, job: Job): Effect.Effect<End> => {
  if (job.kind === "archive" ? job.round.crash?.child === true : job.attempt.child) return elsewhere(project, job)
  return Effect.map(Effect.exit(run(project, job, Faults.throwCrash)), (exit) =>
    Exit.isSuccess(exit)
      ? ("done" as const)
      : Cause.pretty(exit.cause).includes("Crashed")
        ? ("crashed" as const)
        : { failed: exit.cause }
  )
}
