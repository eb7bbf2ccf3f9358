/** The example as users start it, from and to a bucket. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { bucket, environment } from "integration-suite/S3Access"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("../main.ts", import.meta.url))
const server = process.env["HEADRACE_S3_VERSITYGW"]
if (server === undefined) throw new Error("HEADRACE_S3_VERSITYGW isn't set; run this file by pnpm test:integration s3")

const run = (location: string) =>
  Effect.callback<{ readonly code: number | null; readonly output: string }>((resume) => {
    const deno = "Deno" in globalThis ? ["run", "-A"] : []
    const child = spawn(process.execPath, [...deno, script, location], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment(server) }
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()))
    child.on("close", (code) => resume(Effect.succeed({ code, output })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

it.live("gives PySpark's answer from a bucket into it, once", () =>
  Effect.gen(function* () {
    const location = `s3://${yield* bucket(server)}/a day+of orders/łódź`
    const first = yield* run(location)
    assert.strictEqual(first.code, 0, first.output)
    assert.include(first.output, "160 rows of revenue in 8 files; equal to PySpark's answer")
    assert.deepStrictEqual(yield* run(location), first)
    const nowhere = yield* run("s3://no-such-bucket/orders")
    assert.notStrictEqual(nowhere.code, 0)
    assert.include(nowhere.output, `no bucket "no-such-bucket"`)
  })
)
