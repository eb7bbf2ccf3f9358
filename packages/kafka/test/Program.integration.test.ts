import { assert, it } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { KafkaDriver } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import { Effect, Random } from "effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { withBroker } from "./broker.ts"

const file = join(import.meta.dirname, "copy.child.ts")

it("the README shows the program that is tested here", () => {
  assert.include(readFileSync(join(import.meta.dirname, "../README.md"), "utf8"), readFileSync(file, "utf8").trim())
})

const run = (args: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    const deno = "Deno" in globalThis ? ["run", "-A"] : []
    const child = spawn(process.execPath, [...deno, file, ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)))
    child.on("close", (code) => resume(Effect.succeed(`${output}exit ${code}`)))
  })

withBroker((brokers) => {
  it.live("twenty lines copy a topic, and say what is wrong with a missing one", () =>
    Effect.gen(function* () {
      const { admin, producer } = yield* KafkaDriver
      const name = `program.${(yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)}`
      for (const topic of [name, `${name}.copy`])
        yield* admin.createTopic(topic, { partitions: 1, configs: { "retention.ms": "-1" } })
      const builder = new BatchBuilder()
      for (let i = 0; i < 1_000; i++) builder.add(`${i}`, `${i}`, 1_700_000_000_000)
      yield* (yield* producer()).send([{ topic: name, partition: 0, records: builder.take() }])
      const output = yield* run([name, `${name}.copy`, brokers.join(",")])
      assert.include(output, "exit 0")
      assert.deepStrictEqual(yield* admin.offsets(`${name}.copy`, "latest"), [1_000])
      const missing = yield* run([`${name}.missing`, `${name}.copy`, brokers.join(",")])
      assert.include(missing, `topic "${name}.missing" does not exist`)
      assert.notInclude(missing, "exit 0")
    }).pipe(Effect.scoped, Effect.provide(KafkaJs.layer({ brokers })))
  )
})
