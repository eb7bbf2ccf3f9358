/**
 * Our side of a benchmark, in a process of its own, so that its memory is its own: builds the project's view into a fresh store, from its
 * archive (`replay WORKERS`) or live from its log (`live`), so many rounds, and prints what it measured as JSON.
 */
import { execFile } from "node:child_process"
import { rmSync } from "node:fs"
import { promisify } from "node:util"
import { ViewStore } from "@headrace/core/ViewStore"
import { Live, Replay } from "@headrace/kappa"
import { Effect, Stream } from "effect"
import { Project, Workers } from "headrace"
import { peak } from "./Peak.ts"

export interface Measured {
  /** By round: from opening the log, the archive and the store to the last commit. Threads are kept from round to round. */
  readonly seconds: ReadonlyArray<number>
  /** At its peak, in MB. */
  readonly rss: number
  /** By cell: `category start applied late`, as the last round left them. */
  readonly cells: ReadonlyArray<string>
}

export interface Options {
  readonly mode: "replay" | "live"
  readonly workers: number
  readonly rounds: number
}

/** Runs this module in a process of its own. */
export const measure = async (folder: string, { mode, rounds, workers }: Options): Promise<Measured> => {
  const args = [import.meta.filename, folder, mode, String(workers), String(rounds)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 28 })
  return JSON.parse(stdout) as Measured
}

/** Applied and late records by cell. */
export const cellsOf = (view: string) =>
  Effect.gen(function* () {
    const store = yield* ViewStore
    const counts = new Map<string, { applied: number; late: number }>()
    const cell = (category: unknown, start: unknown) => {
      const name = `${String(category)} ${String(start)}`
      let found = counts.get(name)
      if (found === undefined) counts.set(name, (found = { applied: 0, late: 0 }))
      return found
    }
    for (const [category, start, count] of yield* Stream.runCollect(store.rows(view, 1)))
      cell(category, start).applied += Number(count)
    for (const { columns, windowStart } of yield* Stream.runCollect(store.late(view, 1)))
      cell((JSON.parse(columns) as { readonly category: string }).category, windowStart).late++
    return [...counts].map(([name, { applied, late }]) => `${name} ${applied} ${late}`)
  })

const run = (folder: string, { mode, rounds, workers }: Options): Promise<Measured> =>
  Effect.gen(function* () {
    const project = yield* Project.load(folder)
    const declared = project.views[0]!
    const spawn = yield* Workers.make(project, workers)
    const build =
      mode === "live"
        ? Live.run({ views: [declared], owner: "benchmark" })
        : Replay.run({ declared, owner: "benchmark", workers, spawn })
    const seconds: Array<number> = []
    for (let i = 0; i < rounds; i++) {
      for (const suffix of ["", "-wal", "-shm"])
        rmSync(`${Project.paths(project).store}${suffix}`, { force: true, recursive: true })
      const started = performance.now()
      yield* build.pipe(Effect.provide(Project.layer(project)))
      seconds.push((performance.now() - started) / 1000)
    }
    const rss = peak()
    const cells = yield* cellsOf(declared.view.name).pipe(Effect.provide(Project.layer(project)))
    return { seconds, rss, cells }
  }).pipe(Effect.scoped, Effect.runPromise)

if (import.meta.main) {
  const [folder, mode, workers, rounds] = process.argv.slice(2)
  const measured = await run(folder!, {
    mode: mode as Options["mode"],
    workers: Number(workers),
    rounds: Number(rounds)
  })
  process.stdout.write(JSON.stringify(measured))
}
