/** The example as users start it, killed with SIGKILL now and then: each order is in one file, in its folder, and the counts add up. */
import { assert, it } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { KafkaDriver, KafkaSink } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as ColumnReader from "@headrace/parquet/ColumnReader"
import { ObjectSink, ObjectStore, StoreLocation } from "@headrace/s3"
import { Effect, Random, type Scope, Stream } from "effect"
import { bucket, environment } from "integration-suite/S3Access"
import { spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("../main.ts", import.meta.url))
const brokers = process.env["HEADRACE_KAFKA"]
const server = process.env["HEADRACE_S3_VERSITYGW"]
// For the example, and for the store that the test looks into.
if (server !== undefined) Object.assign(process.env, environment(server))
const regions = ["eu-west", "us-east", "ap-south"]
const [partitions, orders] = [3, 60_000]

/** Runs the example; `killAfter` batches it is killed. Gives what it printed, or `undefined` when it was killed. */
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

const ordersOf = (partition: number) => {
  const builder = new BatchBuilder()
  const expected: Array<string> = []
  for (let i = 0; i < orders; i++) {
    const ts = Date.UTC(2026, 2, 25) + i * 2_500
    const [id, region] = [`${partition}-${i}`, regions[i % 3]!]
    const order = {
      order_id: id,
      region,
      status: "completed",
      total: i / 100,
      ts,
      ...(i % 2 === 0 ? { coupon: "x" } : {})
    }
    if (i % 1000 === 999) builder.add(id, '{"order_id":', ts)
    else {
      builder.add(id, JSON.stringify(order), ts)
      expected.push(`date=${new Date(ts).toISOString().slice(0, 10)}/region=${region} ${id}`)
    }
  }
  return { records: builder.take(), expected }
}

/** Folder and id of every order in the committed files. */
const found = (location: ObjectSink.Location) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const out: Array<string> = []
    for (const { folder, key, kind } of yield* Stream.runCollect(ObjectSink.files(location))) {
      if (kind === "bad") continue
      const file = yield* ColumnReader.open(ColumnReader.fromBytes(key, yield* store.get(key)))
      for (let group = 0; group < file.rowGroups.length; group++) {
        const { columns } = yield* ColumnReader.readRowGroup(file, group, ["order_id"])
        for (const id of columns["order_id"]!) out.push(`${folder} ${String(id)}`)
      }
    }
    return out
  })

const folder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(join(tmpdir(), "headrace-to-s3-"))),
  (path) => Effect.promise(() => fs.rm(path, { recursive: true, force: true }))
)
/** Where to; a bucket when the S3 servers run beside the broker (`pnpm test:integration kafka s3`). */
const places: ReadonlyArray<readonly [string, Effect.Effect<string, never, Scope.Scope>]> = [
  ["folders", folder],
  ...(server === undefined ? [] : [["a bucket", Effect.map(bucket(server), (made) => `s3://${made}/a lake`)] as const])
]

if (brokers === undefined || brokers === "")
  it("was not run: set HEADRACE_KAFKA=host:port, or run pnpm test:integration kafka", () => {
    assert.notStrictEqual(process.env["HEADRACE_REQUIRE_KAFKA"], "1", "a broker is required here")
  })
else
  for (const [name, place] of places)
    it.live(`copies a topic into ${name}, each order once, through SIGKILL`, () =>
      Effect.gen(function* () {
        const { admin } = yield* KafkaDriver
        const topic = `to-s3-${(yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)}`
        yield* admin.createTopic(topic, { partitions, configs: { "retention.ms": "-1" } })
        const all = Array.from({ length: partitions }, (_, partition) => ordersOf(partition))
        yield* Stream.fromIterable(all).pipe(
          Stream.map(({ records }) => records),
          Stream.run(KafkaSink.sink({ topic, partition: (key) => key![0]! - "0".charCodeAt(0), batchBytes: 100_000 }))
        )
        const to = yield* place
        const store = StoreLocation.layer(to)
        const args = ["--topic", topic, "--to", to, "--brokers", brokers, "--file-bytes", "20000"]
        for (const batches of [2, 4, 3]) assert.isUndefined(yield* run(args, batches))
        // Some of it was committed before the last of them died.
        const before = yield* Effect.provide(ObjectSink.committed({ name: topic, prefix: "orders" }), store)
        assert.isAbove(before.files, 0)
        const output = yield* run(args, Infinity)
        const [read, bad] = [orders, orders / 1000]
        for (let partition = 0; partition < partitions; partition++)
          assert.include(
            output,
            `partition ${partition}: next ${orders}, read ${read} = written ${read - bad} + bad ${bad} + tombstones 0`
          )
        const seen = yield* Effect.provide(found({ name: topic, prefix: "orders" }), store)
        assert.deepStrictEqual(seen.sort(), all.flatMap(({ expected }) => expected).sort())
        // Again: there is nothing to do.
        assert.strictEqual(yield* run(args, Infinity), output)
      }).pipe(Effect.scoped, Effect.provide(KafkaJs.layer({ brokers: brokers.split(",") })))
    )
