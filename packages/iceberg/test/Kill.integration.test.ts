/** Writers in processes of their own, killed at random: what was acknowledged is there, once. `HEADRACE_KILLS` rounds (default 4). */
import { assert, describe, it } from "@effect/vitest"
import { FileCatalog, Metadata, Table } from "@headrace/iceberg"
import { FolderObjectStore } from "@headrace/s3"
import { Effect, Random } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { create, paths, temporaryFolder } from "./fixtures.ts"

const rounds = Number(process.env["HEADRACE_KILLS"] ?? 4)
const script = fileURLToPath(new URL("./writer.ts", import.meta.url))

/** Runs a writer for a while, kills it, and gives the last number that it acknowledged. */
const runAndKill = (folder: string, name: string, millis: number) =>
  Effect.callback<number>((resume) => {
    const child = spawn(process.execPath, [script, folder, name], { stdio: ["ignore", "pipe", "inherit"] })
    let output = ""
    let killed = false
    const kill = () => {
      killed = true
      child.kill("SIGKILL")
    }
    child.stdout.on("data", (chunk: Buffer) => {
      // The clock starts when the process does its work, so that slow machines test the same.
      if (output === "") setTimeout(kill, millis)
      output += chunk.toString()
    })
    child.on("close", () => {
      const numbers = output.split("\n").slice(0, -1)
      resume(
        killed ? Effect.succeed(Number(numbers.at(-1) ?? -1)) : Effect.die(new Error(`the writer ended: ${output}`))
      )
    })
    return Effect.sync(kill)
  })

describe("Commit, killed", () => {
  it.live(
    "loses and doubles nothing that was acknowledged",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const driver = FolderObjectStore.layer({ path: folder })
        yield* Effect.provide(create("t"), driver)
        const writers = ["a", "b", "replacer"]
        for (let round = 0; round < rounds; round++) {
          const acknowledged = yield* Effect.forEach(
            writers,
            (name) => Effect.flatMap(Random.nextIntBetween(1, 400), (millis) => runAndKill(folder, name, millis)),
            { concurrency: "unbounded" }
          )
          yield* Effect.gen(function* () {
            const table = yield* FileCatalog.load({ prefix: "t" })
            const counts = writers.map((name) => Number(Metadata.property(table.metadata, `writer.${name}`) ?? 0))
            counts.forEach((count, i) => assert.isAtLeast(count, acknowledged[i]! + 1))
            const expected = ["a", "b"].flatMap((name, i) =>
              Array.from({ length: counts[i]! }, (_, n) => `${name}-${n}`)
            )
            /** The files that were appended, of which a live one was made. */
            const origins = (name: string): ReadonlyArray<string> =>
              Metadata.property(table.metadata, name)?.split(",").flatMap(origins) ?? [name]
            assert.deepStrictEqual((yield* paths(table)).flatMap(origins).sort(), expected.sort())
            assert.strictEqual(
              (yield* Table.scan(table)).reduce((rows, task) => rows + task.file.recordCount, 0),
              10 * expected.length
            )
            const snapshots = table.metadata.snapshots!
            assert.strictEqual(snapshots.length, table.version - 1)
            snapshots.forEach((snapshot, i) =>
              assert.strictEqual(snapshot["parent-snapshot-id"], snapshots[i - 1]?.["snapshot-id"])
            )
          }).pipe(Effect.provide(driver))
        }
      }),
    { timeout: 20_000 * (rounds + 1) }
  )
})
