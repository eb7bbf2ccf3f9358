import { randomInt } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Suite from "./Suite.ts"

/** Fresh schedules each time; a failing one is run again by the seed that the message names. */
const runs = Number(process.env["HEADRACE_RUNS"] ?? 150)

describe("Determinism", () => {
  it.live(
    `${runs} random schedules end in the reference fold's state`,
    () =>
      Effect.gen(function* () {
        const report = yield* Suite.run({ runs, seed: randomInt(2 ** 31) })
        const again = report.failures.map(
          (f) => `${f.what} (again: pnpm determinism --only ${f.seed} --index ${f.index})`
        )
        assert.deepStrictEqual(again, [])
        assert.deepStrictEqual(report.uncovered, [])
      }),
    600_000
  )
})
