/**
 * `pnpm determinism [--runs N] [--seed N] [--json]`: random schedules, each compared with the reference fold. A failing one prints its seed;
 * `--only SEED --index N` runs that one alone.
 */
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import { Effect } from "effect"
import * as Engine from "./Engine.ts"
import * as Schedule from "./Schedule.ts"
import * as Suite from "./Suite.ts"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "150" },
    seed: { type: "string" },
    only: { type: "string" },
    index: { type: "string", default: "0" },
    json: { type: "boolean", default: false }
  }
})
if (values.only !== undefined) {
  console.log(await Effect.runPromise(Engine.run(Schedule.make(Number(values.only), Number(values.index)))))
} else {
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
  const runs = Number(values.runs)
  const started = performance.now()
  const onRun = (done: number) => {
    const seconds = (performance.now() - started) / 1000
    if (done % 25 === 0)
      console.error(
        `${done}/${runs} schedules, ${(done / seconds).toFixed(1)}/s, ${((runs - done) / (done / seconds)).toFixed(0)} s left`
      )
  }
  const report = await Effect.runPromise(Suite.run({ runs, seed, onRun }))
  if (values.json) console.log(JSON.stringify(report))
  else {
    console.log(
      `${report.runs} schedules of seed ${seed}: ${Object.entries(report.coverage)
        .map(([name, n]) => `${name} ${n}`)
        .join(", ")}`
    )
    for (const f of report.failures)
      console.log(`FAILED: ${f.what}\nagain: pnpm determinism --only ${f.seed} --index ${f.index}`)
    if (report.uncovered.length > 0) console.log(`never met with: ${report.uncovered.join(", ")}`)
  }
  process.exitCode = report.failures.length > 0 || report.uncovered.length > 0 ? 1 : 0
}
