/**
 * `pnpm test:long [name …]`: every suite at its full length, and a dated report of what each said, in `docs/reports/`. With names, only the
 * suites that have one of them in theirs, and no report. It takes hours, and requires Docker or Java and Maven, and Python.
 */
import { spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, release, totalmem } from "node:os"
import { join } from "node:path"

const suites: ReadonlyArray<readonly [name: string, command: string]> = [
  ["unit suites", "vitest run"],
  ["unit suites on Bun", "bun node_modules/vitest/vitest.mjs run --pool=threads"],
  ["unit suites on Deno", "deno run -A npm:vitest run"],
  ["sink, killed", "HEADRACE_SINK_KILLS=20 HEADRACE_SINK_ROUNDS=1000 vitest run packages/s3/test/ObjectSink."],
  ["commits, their cost", "HEADRACE_COMMITS=1000 vitest run packages/iceberg/test/Growth.test.ts"],
  ["goldens", "node examples/orders/golden.ts"],
  ["goldens of another seed", "node examples/orders/golden.ts --seed 7 --orders 300000 --partitions 3"],
  ["revenue by region", "node examples/revenue-by-region/main.ts"],
  ["determinism", "node apps/headrace/test/determinism/run.ts --runs 1000"],
  ["guards", "node apps/headrace/test/guards/run.ts"],
  ["kill", "node apps/headrace/test/kill/run.ts --rounds 25"],
  ["main job", "node examples/flights/main.ts"],
  ["neutral readers", "node examples/flights/readers.ts"],
  [
    "integration",
    "HEADRACE_KILLS=25 HEADRACE_OUTAGE_RECORDS=420000 HEADRACE_MEMORY_BYTES=10000000000 HEADRACE_S3_RACE_ROUNDS=200 HEADRACE_S3_SINK_ROUNDS=200 HEADRACE_S3_SINK_KILLS=20 node testcontainers/run.ts --require"
  ],
  ["integration on Bun", "node testcontainers/run.ts kafka s3 --require --runtime bun"],
  ["integration on Deno", "node testcontainers/run.ts kafka s3 --require --runtime deno"],
  ["log benchmark", "node benchmarks/main.ts log --json"],
  [
    "rebalance churn",
    "HEADRACE_CHURN_SECONDS=180 HEADRACE_CHURN_STEP_SECONDS=5 node testcontainers/run.ts kafka --require --file packages/kafka/test/Churn.integration.test.ts"
  ],
  ["replay benchmark", "node benchmarks/main.ts replay --json"],
  ["Kafka benchmark", "node benchmarks/main.ts kafka --json"],
  ["live benchmark", "node benchmarks/main.ts live --json"],
  ["latency benchmark", "node benchmarks/main.ts latency --json"],
  ["S3 benchmark", "node benchmarks/main.ts s3 --json"],
  ["archive benchmark", "node benchmarks/main.ts archive --json"],
  ["objects benchmark", "node benchmarks/main.ts objects --json"]
]

const root = join(import.meta.dirname, "..")
const path = `${join(root, "node_modules/.bin")}:${process.env["PATH"]}`

/** The end of what a suite printed: its counts or its JSON. */
const endOf = (text: string): string =>
  text
    .split("\n")
    .filter((line) => line.trim() !== "" && !/ (?:RUN|✓) |^JSON report written/.test(line))
    .slice(-6)
    .map((line) => (line.length > 3_000 ? `${line.slice(0, 3_000)} …` : line))
    .join("\n")

/** Runs a command, shows what it prints, and keeps its end. */
const run = (command: string): Promise<{ readonly code: number; readonly seconds: number; readonly tail: string }> =>
  new Promise((resolve) => {
    const started = performance.now()
    const child = spawn("sh", ["-c", command], {
      cwd: root,
      env: { ...process.env, PATH: path },
      stdio: ["ignore", "pipe", "inherit"]
    })
    let kept = ""
    child.stdout.on("data", (chunk: Buffer) => {
      process.stdout.write(chunk)
      // oxlint-disable-next-line no-control-regex
      kept = (kept + chunk.toString().replaceAll(/\u001b\[[0-9;]*m/g, "")).slice(-16_000)
    })
    child.on("close", (code) => {
      resolve({ code: code ?? 1, seconds: (performance.now() - started) / 1000, tail: endOf(kept) })
    })
  })

const names = process.argv.slice(2)
const chosen = suites.filter(([name]) => names.length === 0 || names.some((own) => name.includes(own)))
if (chosen.length === 0) {
  console.error(`usage: pnpm test:long [name …], of ${suites.map(([name]) => `"${name}"`).join(", ")}`)
  process.exit(1)
}
const started = new Date()
const sections: Array<string> = []
let failures = 0
for (const [name, command] of chosen) {
  console.log(`=== ${name}: ${command}`)
  const { code, seconds, tail } = await run(command)
  if (code !== 0) failures++
  sections.push(
    `## ${name}: ${code === 0 ? "passed" : `FAILED (exit ${code})`}, ${seconds.toFixed(0)} s\n\n\`${command}\`\n\n\`\`\`\n${tail}\n\`\`\`\n`
  )
}
if (names.length === 0) {
  const day = started.toISOString().slice(0, 10)
  const machine = `${cpus()[0]?.model ?? "unknown CPU"}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`
  mkdirSync(join(root, "docs/reports"), { recursive: true })
  const file = join(root, "docs/reports", `${day}.md`)
  writeFileSync(file, `# ${day}\n\n${machine}\n\n${sections.join("\n")}`)
  console.log(`report: ${file}`)
} else console.log(sections.join("\n"))
console.log(`${chosen.length - failures} passed, ${failures} failed`)
process.exitCode = failures === 0 ? 0 : 1
