/**
 * `headrace replay`: builds a version from the whole history, beside the one that is read.
 *
 * `--compare` compares it with the promoted version, at the same offsets; while that one runs on, the replay catches up with it a few
 * times first. `--promote` replays, compares and promotes. Rows that differ don't keep a version from being promoted, since a changed view
 * differs by design, unless `--require-equal`; a comparison that can't be made does.
 */
import { OneLog } from "@headrace/archive/OneLog"
import { ChangeSink } from "@headrace/core/ChangeSink"
import { ViewStore } from "@headrace/core/ViewStore"
import { Promotion, Replay } from "@headrace/kappa"
import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as Comparing from "../Comparing.ts"
import * as Counts from "../Counts.ts"
import { Code } from "../Output.ts"
import type * as Progress from "../Progress.ts"
import * as Outputs from "../Outputs.ts"
import * as Project from "../Project.ts"
import { NotPromoted, OutputBegun, wrap } from "../ProjectError.ts"
import { finish, ownerOf, progress, root, versionFlag, viewArgument } from "../Root.ts"
import * as Standing from "../Standing.ts"
import * as Workers from "../Workers.ts"

const limit = 20
const catchUps = 3

/** Worker threads, kept for the catching up. */
type Pool = Pick<Replay.Options, "workers" | "spawn">

const build = Effect.fnUntraced(function* (declared: Project.Declared, pool: Pool) {
  let shown: Progress.Progress | undefined
  let records = 0
  const start = yield* Effect.context<Effect.Services<ReturnType<typeof progress>>>()
  const positions = yield* Replay.run({
    declared,
    owner: ownerOf("replay"),
    ...pool,
    onStart: (total) =>
      progress({ title: "replay", unit: "records", total }).pipe(
        Effect.map((p) => {
          shown = p
          records = total
        }),
        Effect.provideContext(start)
      ),
    onProgress: (n) => shown?.add(n) ?? Effect.void
  })
  const { rate, seconds } = shown === undefined ? { rate: 0, seconds: 0 } : yield* shown.done
  return { positions, records, rate, seconds }
}, Effect.scoped)

/** A version whose changes are published already isn't folded past them. */
const refuseBegun = Effect.fnUntraced(function* (project: Project.Project, declared: Project.Declared) {
  const target = (yield* Outputs.of(project)).find((o) => o.declared === declared)
  if (target === undefined) return
  const stream = Outputs.streamOf(target)
  const progress = yield* ChangeSink.use((sink) => sink.progress(stream)).pipe(Effect.provide(Outputs.layer(project)))
  if (progress !== undefined) return yield* wrap(new OutputBegun(stream))
})

/** Compares with the promoted version; undefined when there is no other. */
const compare = Effect.fnUntraced(function* (declared: Project.Declared, pool: Pool) {
  const store = yield* ViewStore
  const { name, version } = declared.view
  for (let i = 1; ; i++) {
    const promoted = (yield* store.versions).find((v) => v.view === name && v.promoted)
    if (promoted === undefined || promoted.version === version) return undefined
    const own = yield* store.version(name, version)
    const behind = promoted.positions.some((p) => p.next > (own.positions[p.partition]?.next ?? 0))
    if (!behind || i > catchUps) return yield* Comparing.compare(name, promoted.version, version, limit)
    yield* build(declared, pool)
  }
})

export const replay = Command.make(
  "replay",
  {
    view: viewArgument,
    version: versionFlag.pipe(Flag.withDescription("The version to build; by default the newest that is exported")),
    workers: Flag.Int("workers").pipe(
      Flag.withDescription("Worker threads; by default as the config says, else one a core"),
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 256 }))),
      Flag.optional
    ),
    compare: Flag.Boolean("compare").pipe(
      Flag.withDescription("Then compare it with the promoted version"),
      Flag.withDefault(false)
    ),
    promote: Flag.Boolean("promote").pipe(
      Flag.withDescription("Then compare it with the promoted version, and promote it"),
      Flag.withDefault(false)
    ),
    requireEqual: Flag.Boolean("require-equal").pipe(
      Flag.withDescription("Promote it only when no row differs"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { project: folder } = yield* root
    const project = yield* Project.load(folder)
    const declared = yield* Project.declaredOf(project, flags.view, Option.getOrUndefined(flags.version))
    const { name, source, version } = declared.view
    yield* refuseBegun(project, declared)
    yield* Effect.gen(function* () {
      const log = yield* OneLog
      const store = yield* ViewStore
      const { partitions } = yield* log.describe(source.topic)
      const workers = Math.min(
        partitions.length,
        Option.getOrElse(flags.workers, () => Project.workersOf(project, partitions.length))
      )
      const pool: Pool = { workers, spawn: yield* Workers.make(project, workers) }
      const built = yield* build(declared, pool)
      const comparison =
        flags.compare || flags.promote || flags.requireEqual
          ? yield* compare(declared, pool).pipe(
              Effect.mapError((cause) =>
                flags.promote ? wrap(new NotPromoted({ view: name, version, detail: cause.message, cause })) : cause
              )
            )
          : undefined
      const equal = comparison?.json.equal ?? true
      const promote = flags.promote && (equal || !flags.requireEqual)
      const previous = promote ? (yield* Promotion.promote(name, version)).previous : undefined
      const info = yield* store.version(name, version)
      const standing = Standing.toJson(info, yield* log.describe(source.topic))
      yield* Standing.verify(standing)
      const { rate, records, seconds } = built
      yield* finish({
        json: {
          command: "replay",
          ...standing,
          workers,
          records,
          seconds,
          recordsPerSecond: rate,
          comparison: comparison?.json ?? null,
          previous: previous ?? null
        },
        text: [
          `${name} version ${version} is ${standing.state}: ${Counts.format(standing.counts)}`,
          ...(comparison === undefined ? [] : ["", comparison.text]),
          ...(promote && previous !== version
            ? ["", `promoted${previous === undefined ? "" : `; it was version ${previous}`}`]
            : []),
          ...(flags.promote && !promote ? ["", `not promoted: rows differ, and --require-equal was given`] : []),
          ...(info.promoted ? [] : [`Readers see it with: headrace promote ${name} ${version}`])
        ].join("\n"),
        code: equal || promote ? Code.ok : Code.different
      })
    }).pipe(Effect.scoped, Effect.provide(Project.layer(project)))
  })
).pipe(Command.withDescription("Build a version from archive and log beside the one that is read"))
