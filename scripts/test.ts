/**
 * `npm test [-- --mode docker|process] [-- --require]`: the unit suites, then the integration suites with what this machine has. A suite whose
 * needs it lacks isn't run, and says so in a line; that fails nothing without `--require`, with which a skipped test fails too. The last line
 * counts tests.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

interface Counts {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
}

const root = join(import.meta.dirname, "..")
const options = process.argv.slice(2)
const required = options.includes("--require")
const reports = mkdtempSync(join(tmpdir(), "headrace-test-"))
process.once("exit", () => rmSync(reports, { recursive: true, force: true }))

/** Runs a suite that writes Vitest's report; counts what it did, and a suite that ends with an error as at least one failure. */
const run = (name: string, command: string, args: ReadonlyArray<string>) =>
  new Promise<{ readonly passed: number; readonly failed: number; readonly skipped: number }>((resolve) => {
    const report = join(reports, `${name}.json`)
    const child = spawn(command, args, {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, HEADRACE_REPORT: report }
    })
    const stop = (signal: NodeJS.Signals) => void child.kill(signal)
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop)
    child.once("error", (error) => {
      console.error(`could not run ${command}: ${error.message}`)
      resolve({ passed: 0, failed: 1, skipped: 0 })
    })
    child.once("exit", (code) => {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stop)
      const counts = existsSync(report) ? (JSON.parse(readFileSync(report, "utf8")) as Counts) : undefined
      const skipped = (counts?.numPendingTests ?? 0) + (counts?.numTodoTests ?? 0)
      const failed = (counts?.numFailedTests ?? 0) + (required ? skipped : 0)
      resolve({
        passed: counts?.numPassedTests ?? 0,
        failed: failed === 0 && code !== 0 ? 1 : failed,
        skipped: required ? 0 : skipped
      })
    })
  })

const unit = await run("unit", process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), "run"])
console.log("=== the integration suites, with what this machine has")
const integration = await run("integration", process.execPath, [join(root, "testcontainers/run.ts"), ...options])
const sum = (pick: (of: typeof unit) => number) => pick(unit) + pick(integration)
const [failed, skipped] = [sum((s) => s.failed), sum((s) => s.skipped)]
console.log(
  `unit: ${unit.passed} passed, ${unit.failed} failed; integration: ${integration.passed} passed, ${integration.failed} failed`
)
console.log(`${sum((s) => s.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`)
process.exitCode = failed > 0 ? 1 : 0
