/**
 * `pnpm test:long`: every suite at its full length, and a dated report of what each said, in `docs/reports/`.
 */
import { spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, release, totalmem } from "node:os"
import { join } from "node:path"

const suites: ReadonlyArray<readonly [name: string, command: string]> = [
  ["unit suites", "npx vitest run"],
  ["sink, killed", "HEADRACE_SINK_KILLS=20 HEADRACE_SINK_ROUNDS=1000 npx vitest run packages/s3/test/ObjectSink."],
  ["goldens", "node examples/orders/golden.ts"],
  ["goldens of another seed", "node examples/orders/golden.ts --seed 7 --orders 300000 --partitions 3"],
  ["revenue by region", "node examples/revenue-by-region/main.ts"],
  ["determinism", "node apps/headrace/test/determinism/run.ts --runs 1000"],
  ["guards", "node apps/headrace/test/guards/run.ts"],
  ["kill", "node apps/headrace/test/kill/run.ts --rounds 25"],
  ["main job", "node examples/flights/main.ts"],
  ["neutral readers", "node examples/flights/readers.ts"],
  ["integration", "node testcontainers/run.ts"],
  ["replay benchmark", "node benchmarks/main.ts replay --json"],
  ["Kafka benchmark", "node benchmarks/main.ts kafka --json"],
  ["live benchmark", "node benchmarks/main.ts live --json"],
  ["latency benchmark", "node benchmarks/main.ts latency --json"]
]

const root = join(import.meta.dirname, "..")
const path = `${join(root, "node_modules/.bin")}:${process.env["PATH"]}`

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
      kept = (kept + chunk.toString()).slice(-8_000)
    })
    child.on("close", (code) => {
      const lines = kept.trimEnd().split("\n").slice(-12)
      resolve({ code: code ?? 1, seconds: (performance.now() - started) / 1000, tail: lines.join("\n") })
    })
  })

const started = new Date()
const sections: Array<string> = []
let failures = 0
for (const [name, command] of suites) {
  console.log(`=== ${name}: ${command}`)
  const { code, seconds, tail } = await run(command)
  if (code !== 0) failures++
  sections.push(
    `## ${name}: ${code === 0 ? "passed" : `FAILED (exit ${code})`}, ${seconds.toFixed(0)} s\n\n\`${command}\`\n\n\`\`\`\n${tail}\n\`\`\`\n`
  )
}
const day = started.toISOString().slice(0, 10)
const machine = `${cpus()[0]?.model ?? "unknown CPU"}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`
mkdirSync(join(root, "docs/reports"), { recursive: true })
const file = join(root, "docs/reports", `${day}.md`)
// oxlint-disable-next-line no-control-regex
const text = sections.join("\n").replaceAll(/\u001b\[[0-9;]*m/g, "")
writeFileSync(file, `# ${day}\n\n${machine}\n\n${text}`)
console.log(`report: ${file}\n${suites.length - failures} passed, ${failures} failed`)
process.exitCode = failures === 0 ? 0 : 1
