/**
 * The main job on real input: 3,000,000 flights into a log, its archive, a live view, a changed view replayed beside it, compared and promoted.
 *
 * `--store s3://bucket/prefix` archives into a folder of its own below that; `S3_ENDPOINT`, `S3_REGION` and so on say how it is reached.
 */
import { rmSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join, relative } from "node:path"
import { parseArgs } from "node:util"
import { Archiver } from "@headrace/archive"
import { StateHash } from "@headrace/core"
import { ViewStore } from "@headrace/core/ViewStore"
import { Compare, Fold, Live, Promotion, Replay } from "@headrace/kappa"
import { Console, Effect, Layer } from "effect"
import { Counts, Progress, Project, Workers } from "headrace"
import { load } from "./load.ts"
import { report } from "./report.ts"

const folder = import.meta.dirname
const data = join(folder, ".headrace")
const { store: place } = parseArgs({ options: { store: { type: "string" } } }).values
// Workers load the config anew, so it has to say the same there.
if (place !== undefined) process.env["FLIGHTS_ARCHIVE"] = `${place.replace(/\/+$/, "")}/flights-${Date.now()}`

/** Runs a step with progress, and gives its result with the seconds it took. */
const step = <A, E, R>(
  title: string,
  total: number | undefined,
  work: (onProgress: (records: number) => Effect.Effect<void>) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const progress = yield* Progress.make({ title, total, unit: "records" })
    const result = yield* work(progress.add)
    return { result, ...(yield* progress.done) }
  })

const job = Effect.gen(function* () {
  rmSync(data, { recursive: true, force: true })
  const project = yield* Project.load(folder)
  const [one, two] = (yield* Project.versionsOf(project, "departures")) as readonly [Project.Declared, Project.Declared]
  const owner = `npm start, process ${process.pid}`
  const workers = Math.min(4, availableParallelism())

  return yield* Effect.gen(function* () {
    const appended = yield* step("append to the log", 3_000_000, (add) => load("flights", 4, add))
    const { recent, records } = appended.result
    const archived = yield* step("archive all but ten days", undefined, (onProgress) =>
      Archiver.run({ topic: "flights", codec: Fold.codecOf(one.view), until: recent, onProgress })
    )
    const live = yield* step("run version 1 live", records, (add) =>
      Live.run({ views: [one], owner, onProgress: (_, __, n) => add(n) })
    )
    const replay = yield* step("replay version 2", records, (onProgress) =>
      Effect.flatMap(Workers.make(project, workers), (spawn) =>
        Replay.run({ declared: two, owner, workers, spawn, onProgress })
      ).pipe(Effect.scoped)
    )
    const comparison = yield* Compare.run("departures", 1, 2)
    if (!Compare.isEqual(comparison))
      return yield* Effect.die(new Error(`the versions differ: ${JSON.stringify(comparison)}`))
    yield* Promotion.promote("departures", 2)

    const store = yield* ViewStore
    const { positions } = yield* store.version("departures", 2)
    const counts = Counts.total(positions)
    if (!Counts.reconcile(counts)) return yield* Effect.die(new Error("the counts don't reconcile"))
    const at = Project.paths(project)
    yield* Console.log(
      report({
        store: at.store,
        metadata: archived.result.metadata,
        archive: archived.result,
        counts,
        comparison,
        rates: { append: appended.rate, archive: archived.rate, live: live.rate, replay: replay.rate },
        workers,
        hash: yield* StateHash.ofVersion(store, "departures", 2),
        folder: relative(process.cwd(), folder) || "."
      })
    )
  }).pipe(Effect.provide(Layer.merge(Project.layer(project), Project.archiveLayer(project)!)))
})

await Effect.runPromise(job)
