/** `pnpm bench <name> [--json] [--reduced]`: runs a benchmark; its last line is one JSON object. */
import { parseArgs } from "node:util"
import { type Result, round3 } from "./harness.ts"

const benches: Readonly<Record<string, () => Promise<{ readonly run: (reduced: boolean) => Promise<Result> }>>> = {
  archive: () => import("./archive.ts"),
  kafka: () => import("./kafka.ts"),
  latency: () => import("./latency.ts"),
  live: () => import("./live.ts"),
  log: () => import("./log.ts"),
  objects: () => import("./objects.ts"),
  replay: () => import("./replay.ts"),
  s3: () => import("./s3.ts")
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false }, reduced: { type: "boolean", default: false } }
})
const load = benches[positionals[0] ?? ""]
if (load === undefined) {
  console.error(`usage: pnpm bench <${Object.keys(benches).join(" | ")}> [--json] [--reduced]`)
  process.exit(1)
}
const result = round3(await (await load()).run(values.reduced))
if (!values.json) {
  for (const [name, m] of Object.entries(result.metrics))
    console.log(`${name.padEnd(28)} ${m.median} ${m.unit} (${m.min} to ${m.max})`)
  for (const [name, r] of Object.entries(result.ratios)) console.log(`ours ÷ ${name.padEnd(21)} ${r}`)
}
console.log(JSON.stringify(result))
if (!result.checked) process.exitCode = 1
