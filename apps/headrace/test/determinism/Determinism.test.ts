import { randomInt } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Suite from "./Suite.ts"

/** Fresh schedules each time; a failing one is run again by the command that the message names. */
const runs = Number(process.env["HEADRACE_RUNS"] ?? 150)

describe("Determinism", () => {
  it.live(
    `${runs} random schedules: every state is the reference fold's at its offsets`,
    () =>
      Effect.gen(function* () {
        const report = yield* Suite.run({ runs, seed: randomInt(2 ** 31) })
        const again = report.failures.map((failure) => `${failure.what} (again: ${Suite.again(failure)})`)
        assert.deepStrictEqual(again, [])
        assert.deepStrictEqual(report.uncovered, [])
      }),
    600_000
  )
})
