/** The command line as a child process. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import * as Child from "../support/Child.ts"

const main = join(import.meta.dirname, "../../src/main.ts")

export interface Outcome {
  readonly code: number | null
  /** Whether SIGKILL ended it. */
  readonly killed: boolean
  /** The object that `--json` prints last, if the command came so far. */
  readonly result: Readonly<Record<string, unknown>> | undefined
  readonly errors: string
  readonly millis: number
}

/** Runs a command with `--json`; with `killAfter` it gets SIGKILL so many milliseconds after its start, if it still runs then. */
export const run = (args: ReadonlyArray<string>, killAfter?: number): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const [program, all] = Child.commandOf(main, ...args, "--json", "--quiet")
    const started = performance.now()
    const child = spawn(program, all, { stdio: ["ignore", "pipe", "pipe"] })
    let [out, errors] = ["", ""]
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()))
    const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfter)
    child.on("error", reject)
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      const line = out.trimEnd().split("\n").at(-1) ?? ""
      const result = line.startsWith("{") && line.endsWith("}") ? (JSON.parse(line) as Outcome["result"]) : undefined
      resolve({ code, killed: signal === "SIGKILL", result, errors, millis: performance.now() - started })
    })
  })

/** Runs a command that must succeed. */
export const succeed = async (args: ReadonlyArray<string>): Promise<Outcome> => {
  const outcome = await run(args)
  if (outcome.code !== 0) throw new Error(`headrace ${args.join(" ")} ended with ${outcome.code}: ${outcome.errors}`)
  return outcome
}
