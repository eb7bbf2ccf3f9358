/** Runs many schedules, prints the seed of one that fails, and demands that all that matters was met with. */
import { Cause, Effect, Exit } from "effect"
import { random } from "../reference/Records.ts"
import * as Engine from "./Engine.ts"
import * as Schedule from "./Schedule.ts"

export interface Report {
  readonly runs: number
  readonly seed: number
  /** How many schedules met with each. */
  readonly coverage: Readonly<Record<keyof Engine.Coverage, number>>
  readonly failures: ReadonlyArray<{ readonly seed: number; readonly index: number; readonly what: string }>
  /** What no schedule met with. */
  readonly uncovered: ReadonlyArray<string>
}

/** Schedules `0 … runs` of a seed; stops after `maxFailures`. */
export const run = (options: {
  readonly runs: number
  readonly seed: number
  readonly maxFailures?: number
  readonly onRun?: (done: number) => void
}): Effect.Effect<Report> =>
  Effect.gen(function* () {
    const { maxFailures = 1, runs, seed } = options
    const r = random(seed)
    const coverage: Record<keyof Engine.Coverage, number> = {
      late: 0,
      ties: 0,
      poison: 0,
      emptyPartition: 0,
      handOverInWindow: 0,
      overlap: 0,
      gap: 0,
      crash: 0,
      threads: 0,
      sigkill: 0
    }
    const failures: Array<Report["failures"][number]> = []
    let done = 0
    for (; done < runs && failures.length < maxFailures; done++) {
      const own = r.bits()
      const exit = yield* Effect.exit(Engine.run(Schedule.make(own, done)))
      if (Exit.isFailure(exit))
        failures.push({
          seed: own,
          index: done,
          what: Cause.prettyErrors(exit.cause)
            .map((e) => e.message)
            .join("; ")
        })
      else
        for (const [name, met] of Object.entries(exit.value))
          if (met === true) coverage[name as keyof Engine.Coverage]++
      options.onRun?.(done + 1)
    }
    const uncovered = Object.entries(coverage)
      .filter(([, n]) => n === 0)
      .map(([name]) => name)
    return { runs: done, seed, coverage, failures, uncovered: failures.length > 0 ? [] : uncovered }
  })
