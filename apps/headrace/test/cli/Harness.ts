/** Projects in temporary folders, and the command line over them, in this process and in others. */
import { spawn as spawnProcess, type ChildProcess } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EventLog } from "@headrace/core/EventLog"
import { SqliteLog } from "@headrace/embedded"
import { Effect } from "effect"
import { run } from "../../src/Cli.ts"
import { Streams } from "../../src/Output.ts"

/** What a command printed, and how it ended. `json` is the last line of standard output. */
export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
  readonly json: <A>() => A
}

const outcomeOf = (code: number, out: string, err: string): Outcome => ({
  code,
  out,
  err,
  json: <A>() => JSON.parse(out.trimEnd().split("\n").at(-1)!) as A
})

/** Runs a command in this process. */
export const cli = (folder: string, ...args: ReadonlyArray<string>): Effect.Effect<Outcome> =>
  Effect.gen(function* () {
    let [out, err] = ["", ""]
    const code = yield* run([...args, "--project", folder]).pipe(
      Effect.provideService(Streams, {
        out: (text) => void (out += text),
        err: (text) => void (err += text),
        terminal: false
      })
    )
    return outcomeOf(code, out, err)
  })

const main = join(import.meta.dirname, "../../src/main.ts")

/** Starts a command as a process of its own. */
export const start = (folder: string, ...args: ReadonlyArray<string>): ChildProcess =>
  spawnProcess(process.execPath, [...("Deno" in globalThis ? ["run", "-A"] : []), main, ...args, "--project", folder], {
    stdio: ["ignore", "pipe", "pipe"]
  })

/** Runs a command as a process of its own. */
export const processOf = (folder: string, ...args: ReadonlyArray<string>): Effect.Effect<Outcome> =>
  Effect.flatMap(
    Effect.sync(() => start(folder, ...args)),
    (child) => ended(child)
  )

/** Waits for the end of a process. */
export const ended = (child: ChildProcess): Effect.Effect<Outcome> =>
  Effect.callback((resume) => {
    let [out, err] = ["", ""]
    child.stdout!.on("data", (chunk) => void (out += String(chunk)))
    child.stderr!.on("data", (chunk) => void (err += String(chunk)))
    child.on("close", (code, signal) => resume(Effect.succeed(outcomeOf(code ?? -1, out, `${err}${signal ?? ""}`))))
  })

/** Waits until a process has said a text on standard error. */
export const said = (child: ChildProcess, text: string): Effect.Effect<void> =>
  Effect.callback((resume) => {
    let err = ""
    child.stderr!.on("data", (chunk) => {
      err += String(chunk)
      if (err.includes(text)) resume(Effect.void)
    })
    child.on("close", () => resume(Effect.die(new Error(`it ended before it said "${text}": ${err}`))))
  })

/** The module of a topic of orders. */
export const orders = (topic = "orders") => `import { decimal, instant, Log } from "@headrace/kappa"
import { Schema } from "effect"
const Order = Schema.Struct({ id: Schema.String, category: Schema.String, total: decimal(2), status: Schema.String, user: Schema.String, ts: instant })
export const orders = Log.topic("${topic}", { value: Order, eventTime: "ts", outOfOrderness: "5 seconds" })
`

/** A view module: version 2 takes all that isn't cancelled and counts customers. */
export const revenue = (
  version: number,
  name = "revenue",
  values = 'revenue: Aggregate.sum("total"), orders: Aggregate.count, average: Aggregate.avg("total", { places: 4 })'
) => `import { Aggregate, Log, View, Window } from "@headrace/kappa"
import { orders } from "./orders.ts"
export const view${version} = View.aggregate("${name}", orders.pipe(Log.select("category", "total", "status", "user", "ts"), Log.where((o) => o.status ${version === 1 ? '=== "completed"' : '!== "cancelled"'})), {
  version: ${version},
  by: { category: "category" },
  window: Window.tumbling("1 minute"),
  values: { ${values}${version === 1 ? "" : ', customers: Aggregate.countDistinct("user")'} }
})
`

/** The config of a project whose data lie in `data`. */
export const config = (
  data: string,
  views: ReadonlyArray<string>,
  more = ""
) => `import { defineConfig } from "headrace"
export default defineConfig({ log: { path: "${data}/log.db" }, archive: { path: "${data}/archive" }, store: { path: "${data}/views.db" }, views: ${JSON.stringify(views)}${more} })
`

/** A folder for data, removed with the scope. */
export const dataFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "headrace-cli-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** A project's folder beside this file, where the packages resolve; removed with the scope. */
export const projectFolder = (files: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(import.meta.dirname, ".run-"))
      writeFileSync(join(folder, "orders.ts"), orders())
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )

/** A project with these versions of `revenue`. */
export const revenueProject = (data: string, ...versions: ReadonlyArray<number>) =>
  projectFolder({
    "headrace.config.ts": config(
      data,
      versions.map((v) => `revenue${v}.ts`)
    ),
    ...Object.fromEntries(versions.map((v) => [`revenue${v}.ts`, revenue(v)]))
  })

/** Orders as NDJSON, half a second apart: a third each is completed, pending, cancelled. */
export const lines = (n: number, from = 0): string =>
  Array.from({ length: n }, (_, j) => {
    const i = from + j
    const status = ["completed", "pending", "cancelled"][i % 3]
    return `${JSON.stringify({ id: `o${i}`, category: `c${i % 5}`, total: (i % 40) + 0.25, status, user: `u${i % 17}`, ts: 1_700_000_000_000 + i * 500 })}\n`
  }).join("")

/** Cuts a partition of the log, as retention does. */
export const deleteBefore = (data: string, topic: string, partition: number, offset: number) =>
  EventLog.use((log) => log.deleteBefore(topic, partition, offset)).pipe(
    Effect.provide(SqliteLog.layer({ path: join(data, "log.db") }))
  )
