/**
 * `pnpm determinism [--runs N] [--seed N] [--jobs N] [--json]`: random schedules, each compared with the reference fold, shared out to so
 * many processes. A failing one prints its seed; `--only SEED --index N` runs that one alone.
 */
import { spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { Effect } from "effect"
import { random } from "../reference/Records.ts"
import * as Child from "../support/Child.ts"
import * as Suite from "./Suite.ts"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "150" },
    seed: { type: "string", default: `${randomInt(2 ** 31)}` },
    jobs: { type: "string", default: `${Math.min(4, availableParallelism())}` },
    only: { type: "string" },
    index: { type: "string", default: "0" },
    json: { type: "boolean", default: false }
  }
})

/** Schedules in this process. */
const here = (runs: number, seed: number): Promise<Suite.Report> => {
  const started = performance.now()
  const onRun = (done: number) => {
    if (done % 25 !== 0) return
    const perSecond = done / ((performance.now() - started) / 1000)
    const left = ((runs - done) / perSecond).toFixed(0)
    console.error(`${done}/${runs} schedules, ${perSecond.toFixed(1)}/s, ${left} s left`)
  }
  return Effect.runPromise(Suite.run({ runs, seed, onRun }))
}

/** Schedules in a process of their own. */
const elsewhere = (runs: number, seed: number) =>
  new Promise<Suite.Report>((resolve, reject) => {
    const flags = ["--json", "--jobs", "1", "--runs", `${runs}`, "--seed", `${seed}`]
    const [program, args] = Child.commandOf(import.meta.filename, ...flags)
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] })
    let out = ""
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()))
    child.on("error", reject)
    child.on("close", (code) => {
      if (code === 0 || code === 1) resolve(JSON.parse(out) as Suite.Report)
      else reject(new Error(`a process of the suite ended with ${code}`))
    })
  })

if (values.only !== undefined) {
  console.log([...(await Effect.runPromise(Suite.one(Number(values.only), Number(values.index))))].join(", "))
} else {
  const [runs, seed, jobs] = [Number(values.runs), Number(values.seed), Number(values.jobs)]
  const started = performance.now()
  const seeds = random(seed)
  const shares = Array.from(
    { length: jobs },
    (_, i) => Math.floor((runs * (i + 1)) / jobs) - Math.floor((runs * i) / jobs)
  )
  const report =
    jobs === 1
      ? await here(runs, seed)
      : Suite.merge(seed, await Promise.all(shares.map((share) => elsewhere(share, seeds.bits()))))
  if (values.json) console.log(JSON.stringify(report))
  else {
    const met = Object.entries(report.coverage).map(([feature, n]) => `${feature} ${n}`)
    const seconds = ((performance.now() - started) / 1000).toFixed(0)
    console.log(`${report.runs} schedules of seed ${seed} in ${seconds} s: ${met.join(", ")}`)
    for (const failure of report.failures) console.log(`FAILED: ${failure.what}\nagain: ${Suite.again(failure)}`)
    if (report.uncovered.length > 0)
      console.log(`FAILED: no schedule met with ${report.uncovered.join(", ")}; with more --runs one will`)
  }
  process.exitCode = report.failures.length > 0 || report.uncovered.length > 0 ? 1 : 0
}
