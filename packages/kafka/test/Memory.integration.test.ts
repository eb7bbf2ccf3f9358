/**
 * What reading ahead is limited to is what reading takes: a process that reads gigabytes through a limit of 64 MB stays small, also when its
 * reader is slow, and when each byte that is fetched stands for a hundred. A topic is read again and again to make up the bytes:
 * `HEADRACE_MEMORY_BYTES`, by default 2 GB, and a quarter of that of compressed ones.
 */
import { assert, it } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { type Compression, KafkaDriver, KafkaSink } from "@headrace/kafka"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Effect, Random, Stream } from "effect"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { withBroker } from "./broker.ts"

const all = Number(process.env["HEADRACE_MEMORY_BYTES"] ?? 2e9)
/** Bun's collector lets go of what was read later, and Deno's sockets copy it once more, than Node's do. */
const most = "Bun" in globalThis || "Deno" in globalThis ? 600e6 : 400e6
/** Decompressing makes buffers as fast as a core can, and the collector takes its time over them. */
const mostCompressed = most + 100e6
const size = 1_000
const batches = 250
const perBatch = 1_000

interface Seen {
  readonly records: number
  readonly bytes: number
  readonly rounds: number
  readonly largest: number
  readonly peak: number
}

const reader = (...args: ReadonlyArray<string>) =>
  Effect.callback<Seen>((resume) => {
    const deno = "Deno" in globalThis ? ["run", "-A"] : []
    const child = spawn(process.execPath, [...deno, join(import.meta.dirname, "reader.child.ts"), ...args])
    let [out, err] = ["", ""]
    child.stdout.on("data", (chunk) => (out += String(chunk)))
    child.stderr.on("data", (chunk) => (err += String(chunk)))
    child.once("close", (code) =>
      resume(code === 0 ? Effect.sync(() => JSON.parse(out) as Seen) : Effect.die(`exit ${code}: ${out}${err}`))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Values that compress about a hundredfold, or, with other bytes in each, not at all. */
const records = (compression: Compression) =>
  Effect.gen(function* () {
    const bytes = new Uint8Array(perBatch * size)
    if (compression === "none")
      for (let i = 0; i < bytes.length; i += 4) new DataView(bytes.buffer).setInt32(i, yield* Random.nextInt)
    return (batch: number) => {
      const builder = new BatchBuilder(perBatch, perBatch * (size + 20))
      for (let i = 0; i < perBatch; i++)
        builder.add(`${batch * perBatch + i}`, bytes.subarray(i * size, (i + 1) * size), 1_700_000_000_000 + batch)
      return builder.take()
    }
  })

withBroker((brokers) => {
  for (const driver of ["@platformatic/kafka", "kafkajs"])
    for (const [compression, wanted, allowed] of [
      ["none", all, most],
      ["zstd", all / 4, mostCompressed]
    ] as const)
      it.live(
        `${driver}: reads ${wanted / 1e9} GB with compression ${compression} through 64 MB in less than ${allowed / 1e6} MB`,
        () =>
          Effect.gen(function* () {
            const { admin } = yield* KafkaDriver
            const topic = `memory.${(yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)}`
            yield* admin.createTopic(topic, { partitions: 4, configs: { "retention.ms": "-1" } })
            yield* Effect.addFinalizer(() => Effect.orDie(admin.deleteTopic(topic)))
            const next = yield* records(compression)
            yield* Stream.run(Stream.map(Stream.range(0, batches - 1), next), KafkaSink.sink({ topic, compression }))
            const began = performance.now()
            const seen = yield* reader(brokers.join(","), driver, topic, `${wanted}`)
            const seconds = (performance.now() - began) / 1000
            console.log(
              `${driver}, ${compression}: ${(seen.bytes / 1e9).toFixed(1)} GB in ${seen.rounds} readings of ${(seen.bytes / seen.rounds / 1e6).toFixed(0)} MB, ` +
                `${seconds.toFixed(1)} s; at most ${(seen.peak / 1e6).toFixed(0)} MB resident, ${(seen.largest / 1e6).toFixed(1)} MB a batch`
            )
            assert.isAtLeast(seen.bytes, wanted)
            assert.strictEqual(seen.records, seen.rounds * batches * perBatch)
            assert.isBelow(seen.peak, allowed)
          }).pipe(Effect.scoped, Effect.provide(Platformatic.layer({ brokers }))),
        600_000
      )
})
