/** The example as users start it, killed with SIGKILL now and then: each row is in the topic once, rows of one key in order. */
import { assert, it } from "@effect/vitest"
import { keyOf, valueOf } from "@headrace/core/Batch"
import { KafkaDriver, KafkaSource } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import { Effect, Random, Stream } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("../main.ts", import.meta.url))
const brokers = process.env["HEADRACE_KAFKA"]
const [objects, rows, keys] = [4, 50_000, 997]

/** Runs the example; after `killAfter` lines of progress it is killed. Gives what it printed, or `undefined` when it was killed. */
const run = (args: ReadonlyArray<string>, killAfter: number) =>
  Effect.callback<string | undefined>((resume) => {
    const deno = "Deno" in globalThis ? ["run", "-A"] : []
    const child = spawn(process.execPath, [...deno, script, ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let [output, errors] = ["", ""]
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString()
      if (errors.split("\n").length > killAfter) child.kill("SIGKILL")
    })
    child.on("close", (code, signal) => {
      if (signal === "SIGKILL") resume(Effect.succeed(undefined))
      else resume(code === 0 ? Effect.succeed(output) : Effect.die(new Error(`exit ${code}: ${errors.slice(-2000)}`)))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

if (brokers === undefined || brokers === "")
  it("was not run: set HEADRACE_KAFKA=host:port, or run pnpm test:integration kafka", () => {
    assert.notStrictEqual(process.env["HEADRACE_REQUIRE_KAFKA"], "1", "a broker is required here")
  })
else
  it.live("sends a folder of NDJSON into a topic, each row once and in order, through SIGKILL", () =>
    Effect.gen(function* () {
      const { admin } = yield* KafkaDriver
      const topic = `from-s3-${(yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)}`
      yield* admin.createTopic(topic, { partitions: 3, configs: { "retention.ms": "-1" } })
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => fs.mkdtemp(join(tmpdir(), "headrace-from-s3-"))),
        (path) => Effect.promise(() => fs.rm(path, { recursive: true, force: true }))
      )
      yield* Effect.promise(async () => {
        await fs.mkdir(join(folder, "orders"))
        for (let object = 0; object < objects; object++) {
          const lines = Array.from({ length: rows }, (_, i) => {
            const n = object * rows + i
            return n % 5_000 === 0 ? `{"n":${n}}` : `{"order_id":"k${n % keys}","n":${n}}`
          })
          await fs.writeFile(join(folder, "orders", `${object}.ndjson`), lines.join("\n") + "\n")
        }
      })
      const args = ["--from", folder, "--topic", topic, "--brokers", brokers]
      for (const lines of [1, 3, 2]) assert.isUndefined(yield* run(args, lines))
      const output = yield* run(args, Infinity)
      const total = objects * rows
      assert.strictEqual(output, `read ${total} = with a key ${total - total / 5_000} + without ${total / 5_000}\n`)

      const seen = new Uint8Array(total)
      const last = new Map<string, number>()
      yield* Stream.runForEach(KafkaSource.stream({ topic, until: "now" }), (batch) =>
        Effect.sync(() => {
          for (let i = 0; i < batch.count; i++) {
            const { n } = JSON.parse(Buffer.from(valueOf(batch, i)!).toString()) as { readonly n: number }
            const bytes = keyOf(batch, i)
            const key = bytes === null ? `keyless ${batch.partition}` : Buffer.from(bytes).toString()
            assert.isAbove(n, last.get(key) ?? -1, `row ${n} of key ${key} is out of order`)
            last.set(key, n)
            seen[n]!++
          }
        })
      )
      assert.isTrue(seen.every((times) => times === 1))
      // Again: there is nothing to do.
      assert.strictEqual(yield* run(args, Infinity), output)
    }).pipe(Effect.scoped, Effect.provide(KafkaJs.layer({ brokers: brokers.split(",") })))
  )
