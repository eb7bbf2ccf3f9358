import { assert, it } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { KafkaDriver } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import { Effect, Random } from "effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { withBroker } from "./broker.ts"
import { contents, numbered } from "./groups.ts"

const [copies, shares] = ["copy.child.ts", "share.child.ts"].map((name) => join(import.meta.dirname, name))

it.each([copies!, shares!])("the README shows the program that is tested here: %s", (file) => {
  assert.include(readFileSync(join(import.meta.dirname, "../README.md"), "utf8"), readFileSync(file, "utf8").trim())
})

const start = (file: string, args: ReadonlyArray<string>) => {
  const deno = "Deno" in globalThis ? ["run", "-A"] : []
  return spawn(process.execPath, [...deno, file, ...args], { stdio: ["ignore", "pipe", "pipe"] })
}

const run = (args: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    const child = start(copies!, args)
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

  it.live(
    "twenty lines copy a topic exactly once, as many processes as there are: one is killed, another goes on",
    () =>
      Effect.gen(function* () {
        const { admin, producer } = yield* KafkaDriver
        const name = `shared.${(yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)}`
        for (const topic of [name, `${name}.copy`])
          yield* admin.createTopic(topic, { partitions: 1, configs: { "retention.ms": "-1" } })
        const { send } = yield* producer()
        const args = [name, `${name}.copy`, brokers.join(",")]
        const copied = (count: number) =>
          Effect.repeat(Effect.andThen(Effect.sleep(50), contents(`${name}.copy`)), {
            until: ([found]) => found!.values.length >= count
          })
        for (const [round, from] of [0, 1_000].entries()) {
          const child = yield* Effect.acquireRelease(
            Effect.sync(() => start(shares!, args)),
            (own) => Effect.sync(() => own.kill("SIGKILL"))
          )
          yield* send([{ topic: name, partition: 0, records: numbered(from, from + 1_000) }])
          yield* copied(from + 1_000)
          assert.isNull(child.exitCode)
          if (round === 0) child.kill("SIGKILL")
        }
        const [found] = yield* contents(`${name}.copy`)
        assert.deepStrictEqual(
          found!.values,
          Array.from({ length: 2_000 }, (_, i) => i)
        )
      }).pipe(Effect.scoped, Effect.provide(KafkaJs.layer({ brokers })))
  )
})
