/** Runs many schedules, several at once, names the seed of one that fails, and demands that all that matters was met with. */
import { Cause, Effect, Exit } from "effect"
import { random } from "../reference/Records.ts"
import * as Engine from "./Engine.ts"
import * as Schedule from "./Schedule.ts"

export interface Failure {
  readonly seed: number
  readonly index: number
  readonly what: string
}

export interface Report {
  readonly runs: number
  readonly seed: number
  /** How many schedules met with each. */
  readonly coverage: Readonly<Record<Engine.Feature, number>>
  readonly failures: ReadonlyArray<Failure>
  /** What no schedule met with; empty when one failed, since then not all were run. */
  readonly uncovered: ReadonlyArray<Engine.Feature>
}

/** How to run a failed schedule again. */
export const again = ({ index, seed }: Failure): string => `pnpm determinism --only ${seed} --index ${index}`

/** What nobody met with, unless one failed. */
const uncoveredBy = (coverage: Report["coverage"], failures: Report["failures"]) =>
  failures.length > 0 ? [] : Engine.features.filter((f) => coverage[f] === 0)

/** Several reports as one, of the seed that theirs were drawn from. */
export const merge = (seed: number, reports: ReadonlyArray<Report>): Report => {
  const count = (f: Engine.Feature) => reports.reduce((n, r) => n + r.coverage[f], 0)
  const coverage = Object.fromEntries(Engine.features.map((f) => [f, count(f)])) as Report["coverage"]
  const failures = reports.flatMap((r) => r.failures)
  const runs = reports.reduce((n, r) => n + r.runs, 0)
  return { runs, seed, coverage, failures, uncovered: uncoveredBy(coverage, failures) }
}

const messageOf = (cause: Cause.Cause<unknown>): string =>
  Cause.prettyErrors(cause)
    .map((e) => e.message)
    .join("; ")

/** One schedule, by the seed and index of a failure. */
export const one = (seed: number, index: number): Effect.Effect<ReadonlySet<Engine.Feature>, unknown> =>
  Engine.run(Schedule.make(seed, index))

/** Schedules `0 … runs` of a seed; begins no more after the first failure. */
export const run = (options: {
  readonly runs: number
  readonly seed: number
  readonly onRun?: (done: number) => void
}): Effect.Effect<Report> =>
  Effect.gen(function* () {
    const { runs, seed } = options
    const r = random(seed)
    const seeds = Array.from({ length: runs }, () => r.bits())
    const coverage = Object.fromEntries(Engine.features.map((f) => [f, 0])) as Record<Engine.Feature, number>
    const failures: Array<Failure> = []
    let done = 0
    const runOne = (own: number, index: number) =>
      Effect.gen(function* () {
        if (failures.length > 0) return
        const exit = yield* Effect.exit(one(own, index))
        if (Exit.isFailure(exit)) failures.push({ seed: own, index, what: messageOf(exit.cause) })
        else for (const feature of exit.value) coverage[feature]++
        options.onRun?.(++done)
      })
    yield* Effect.forEach(seeds, runOne, { concurrency: 4, discard: true })
    return { runs: done, seed, coverage, failures, uncovered: uncoveredBy(coverage, failures) }
  })
