/**
 * `pnpm test:integration [suite …] [--runtime node|bun|deno] [--mode docker|process] [--file PATH]… [--short] [--require] [-- options for Vitest]`: starts
 * what the suites need, runs their `*.integration.test.ts` files, or only those that `--file` names, and stops it again.
 *
 * The S3 servers are versitygw, in Docker if that answers, else as a process, and S3Proxy, a process; tests find them in `HEADRACE_S3_VERSITYGW` and
 * `HEADRACE_S3_S3PROXY`. Kafka runs in Docker if that answers, else as a process from Maven jars if Java and Maven are there; tests find it in `HEADRACE_KAFKA`.
 * PyIceberg runs in a virtual environment; tests find its Python in `HEADRACE_PYTHON`. A suite whose needs this machine lacks isn't run,
 * which fails only with `--require` or `HEADRACE_REQUIRE=1`; a skipped test does too. `--short` leaves the suites of endurance out. The last line counts tests.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Cause, Effect } from "effect"
import { python } from "../scripts/python.ts"
import * as Kafka from "./src/Kafka.ts"
import * as S3 from "./src/S3.ts"

/** What a suite needs, and the files that run with it. */
interface Suite {
  readonly needs: "broker" | "python" | "s3"
  readonly files: ReadonlyArray<string>
}

const suites: Readonly<Record<string, Suite>> = {
  iceberg: { needs: "python", files: ["packages/iceberg/test/Kill", "packages/iceberg/test/PyIceberg"] },
  kafka: {
    needs: "broker",
    files: [
      "packages/kafka/test/",
      "apps/headrace/test/kafka/",
      "examples/kafka-to-s3/test/",
      "examples/s3-to-kafka/test/",
      "testcontainers/test/Kafka"
    ]
  },
  s3: {
    needs: "s3",
    files: [
      "packages/s3/test/",
      "packages/iceberg/test/S3.integration.test.ts",
      "packages/archive/test/S3.integration.test.ts",
      "apps/headrace/test/s3/",
      "examples/revenue-by-region/test/"
    ]
  }
}
/** Suites that wait or copy for minutes, whose subject is the protocol and not the runtime. */
const endurance = ["Churn", "Memory", "Outage", "Golden"]
const root = join(import.meta.dirname, "..")
const config = ["--config", "testcontainers/vitest.config.ts"]
const runtimes: Readonly<Record<string, () => readonly [string, ReadonlyArray<string>]>> = {
  node: () => [process.execPath, [vitest(), "run", ...config]],
  bun: () => [join(root, "node_modules/.bin/bun"), [vitest(), "run", "--pool=threads", ...config]],
  deno: () => [join(root, "node_modules/.bin/deno"), ["run", "-A", "npm:vitest", "run", ...config]]
}
const vitest = () => join(createRequire(import.meta.url).resolve("vitest/package.json"), "../vitest.mjs")

const split = process.argv.indexOf("--")
const { positionals, values } = parseArgs({
  args: process.argv.slice(2, split < 0 ? undefined : split),
  allowPositionals: true,
  options: {
    runtime: { type: "string", default: "node" },
    mode: { type: "string" },
    file: { type: "string", multiple: true },
    short: { type: "boolean", default: false },
    require: { type: "boolean", default: process.env["HEADRACE_REQUIRE"] === "1" }
  }
})
const leftOut = values.short ? [`--exclude=**/{${endurance.join(",")}}.integration.test.ts`] : []
const forVitest = split < 0 ? [] : process.argv.slice(split + 1)
const wanted = positionals.length === 0 ? Object.keys(suites) : positionals
const modes = Kafka.modes.filter((mode) => values.mode === undefined || values.mode === mode)
const runtime = runtimes[values.runtime]
if (runtime === undefined || modes.length === 0 || wanted.some((name) => suites[name] === undefined)) {
  console.error(
    `usage: pnpm test:integration [${Object.keys(suites).join(" | ")}] [--runtime ${Object.keys(runtimes).join("|")}] ` +
      `[--mode ${Kafka.modes.join("|")}] [--file PATH] [--short] [--require] [-- options for Vitest]`
  )
  process.exit(1)
}

const ownReport =
  process.env["HEADRACE_REPORT"] === undefined ? mkdtempSync(join(tmpdir(), "headrace-report-")) : undefined
const report = process.env["HEADRACE_REPORT"] ?? join(ownReport!, "report.json")
if (ownReport !== undefined) process.once("exit", () => rmSync(ownReport, { recursive: true, force: true }))
rmSync(report, { force: true })
const reporters = [
  ...(forVitest.some((arg) => arg.startsWith("--reporter")) ? [] : ["--reporter=default"]),
  "--reporter=json",
  `--outputFile.json=${report}`
]

type Environment = Readonly<Record<string, string>>

const runTests = (files: ReadonlyArray<string>, environment: Environment) =>
  Effect.callback<number>((resume) => {
    const [command, args] = runtime()
    const child = spawn(command, [...args, ...files, ...leftOut, ...reporters, ...forVitest], {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, ...environment }
    })
    child.once("error", (error) => {
      console.error(`could not run ${command}: ${error.message}`)
      resume(Effect.succeed(1))
    })
    child.once("exit", (code) => resume(Effect.succeed(code ?? 1)))
    // Its workers must be gone before the brokers that they left are looked for.
    return Effect.callback<void>((ended) => {
      if (child.exitCode !== null || child.signalCode !== null) return ended(Effect.void)
      child.once("exit", () => ended(Effect.void))
      child.kill("SIGTERM")
    })
  })

const oneLine = (text: string): string =>
  text
    .trim()
    .replace(/\s*\n\s*/g, "; ")
    .slice(0, 600)

/** The first way of running a broker that this machine has; else what stands in the way of each. */
const startBroker = Effect.gen(function* () {
  const obstacles: Array<string> = []
  for (const mode of modes) {
    const started = performance.now()
    const found = yield* Effect.result(Effect.andThen(Kafka.check(mode), Kafka.start(mode)))
    if (found._tag === "Success") {
      const { bootstrap, what } = found.success
      const instead = obstacles.map((obstacle) => ` (instead, since ${obstacle})`).join("")
      console.log(`${what}${instead}: ${bootstrap}, up in ${((performance.now() - started) / 1000).toFixed(1)} s`)
      // What a test starts by itself runs in a way that works.
      const left = Kafka.modes.slice(Kafka.modes.indexOf(mode)).join(",")
      return { HEADRACE_KAFKA: bootstrap, HEADRACE_KAFKA_MODES: left } satisfies Environment
    }
    obstacles.push(oneLine(found.failure.message))
  }
  return yield* Effect.fail(obstacles.join("; or "))
})

/** Both S3 servers, or what stands in the way of one. */
const startS3 = Effect.gen(function* () {
  const environment: Record<string, string> = {}
  for (const name of S3.names) {
    const obstacles: Array<string> = []
    for (const mode of modes) {
      const started = performance.now()
      const found = yield* Effect.result(Effect.andThen(S3.check(name, mode), S3.start(name, mode)))
      if (found._tag === "Success") {
        const { endpoint, what } = found.success
        console.log(`${what}: ${endpoint}, up in ${((performance.now() - started) / 1000).toFixed(1)} s`)
        environment[`HEADRACE_S3_${name.toUpperCase()}`] = endpoint
        break
      }
      obstacles.push(found.failure.message)
    }
    if (obstacles.length === modes.length) return yield* Effect.fail([...new Set(obstacles)].join("; or "))
  }
  return environment satisfies Environment
})

const startPython = Effect.try({
  try: (): Environment => ({ HEADRACE_PYTHON: python() }),
  catch: (cause) =>
    `Python 3 with venv and pip is needed, and PyPI, or HEADRACE_PYTHON with the packages of scripts/requirements.txt (${oneLine(cause instanceof Error ? cause.message : String(cause))})`
})

const starters = { broker: startBroker, python: startPython, s3: startS3 }

const main = Effect.gen(function* () {
  let environment: Environment = {}
  const files: Array<string> = []
  let missing = 0
  for (const name of wanted) {
    const suite = suites[name]!
    const started = yield* Effect.result(starters[suite.needs])
    if (started._tag === "Success") {
      environment = { ...environment, ...started.success }
      files.push(...suite.files)
    } else {
      console.log(
        `the suite ${name} was not run: ${started.failure}; then: npx -y pnpm@12.21.0 test:integration ${name}`
      )
      missing++
    }
  }
  return { missing, code: files.length === 0 ? undefined : yield* runTests(values.file ?? files, environment) }
}).pipe(Effect.scoped)

const stop = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort())
const exit = await Effect.runPromiseExit(main, { signal: stop.signal })
if (stop.signal.aborted) process.exit(130)
if (exit._tag === "Failure") throw Cause.squash(exit.cause)
const { code, missing } = exit.value
const unmet = values.require ? missing : 0
if (code === undefined) {
  if (unmet > 0) console.log(`0 passed, ${unmet} failed`)
  process.exitCode = unmet > 0 ? 1 : 0
} else if (existsSync(report)) {
  const counts = JSON.parse(readFileSync(report, "utf8")) as {
    readonly numPassedTests: number
    readonly numFailedTests: number
    readonly numPendingTests: number
  }
  const { numFailedTests: failed, numPassedTests: passed, numPendingTests: skipped } = counts
  const broken = failed + unmet + (values.require ? skipped : 0)
  process.exitCode = passed + failed === 0 || broken > 0 ? 1 : code
  // A file that didn't load counts as a failed test, and so does a run of none.
  const failures = broken === 0 && process.exitCode !== 0 ? 1 : broken
  console.log(`${passed} passed, ${failures} failed${skipped > 0 && !values.require ? `, ${skipped} skipped` : ""}`)
} else {
  console.error("Vitest ended without a report")
  process.exitCode = code === 0 ? 1 : code
  console.log("0 passed, 1 failed")
}
