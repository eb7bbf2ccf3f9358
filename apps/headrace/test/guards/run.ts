/**
 * `pnpm test:guards [--runs N] [--seed N]`: takes out one guard after the other, each in its own copy of the source tree, and shows the
 * determinism suite failing there. The same suite must pass in a copy that nothing was taken out of.
 */
import { spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type * as Suite from "../determinism/Suite.ts"
import * as Child from "../support/Child.ts"
import * as Copy from "./Copy.ts"
import { type Edit, mutations } from "./Mutations.ts"

const { values } = parseArgs({
  options: { runs: { type: "string", default: "150" }, seed: { type: "string", default: `${randomInt(2 ** 31)}` } }
})
const root = join(import.meta.dirname, "../../../..")

interface Outcome {
  readonly exitCode: number | null
  /** Undefined when the suite didn't come to its end. */
  readonly report: Suite.Report | undefined
  readonly errors: string
}

/** Runs the determinism suite of a copy with these edits. */
const runEdited = async (edits: ReadonlyArray<Edit>): Promise<Outcome> => {
  const tree = mkdtempSync(join(tmpdir(), "headrace-guards-"))
  try {
    Copy.make(root, tree)
    for (const edit of edits) Copy.edit(tree, edit)
    const suite = join(tree, "apps/headrace/test/determinism/run.ts")
    const [program, args] = Child.commandOf(
      suite,
      "--json",
      "--jobs",
      "1",
      "--runs",
      values.runs,
      "--seed",
      values.seed
    )
    const child = spawn(program, args, { cwd: tree, stdio: ["ignore", "pipe", "pipe"] })
    let [out, errors] = ["", ""]
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()))
    const exitCode = await new Promise<number | null>((resolve, reject) =>
      child.on("error", reject).on("close", resolve)
    )
    const line = out.trimEnd().split("\n").at(-1) ?? ""
    return { exitCode, report: line.startsWith("{") ? (JSON.parse(line) as Suite.Report) : undefined, errors }
  } catch (cause) {
    return { exitCode: null, report: undefined, errors: String(cause) }
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
}

const started = performance.now()
const failed: Array<string> = []
const say = (guard: string, outcome: string, what: string) =>
  console.log(`${guard.padEnd(34)} ${outcome.padEnd(26)} ${what}`)

console.log(`seed ${values.seed}, at most ${values.runs} schedules each`)
say("guard taken out", "caught", "first difference")
for (const { edits, guard } of mutations) {
  const { errors, report } = await runEdited(edits)
  const failure = report?.failures[0]
  if (failure === undefined) {
    failed.push(guard)
    say(guard, "NOT CAUGHT", report === undefined ? `the suite broke: ${errors.slice(-500)}` : "every schedule passed")
  } else say(guard, `after ${report!.runs} schedules`, failure.what.slice(0, 160))
}
const whole = await runEdited([])
if (whole.exitCode === 0) say("none", "passes", `${whole.report?.runs} schedules`)
else {
  failed.push("none")
  say("none", "FAILS", whole.report === undefined ? whole.errors.slice(-500) : JSON.stringify(whole.report))
}
console.log(`${((performance.now() - started) / 1000).toFixed(0)} s`)
console.log(`${mutations.length + 1 - failed.length} passed, ${failed.length} failed`)
process.exitCode = failed.length === 0 ? 0 : 1
