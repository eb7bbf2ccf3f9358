/**
 * The sink in a process of its own that is killed with SIGKILL at each named point, again and again. A reader of the commits finds each row
 * once and in its folder, at any time no row twice; orphans are found and collected.
 */
import { assert, describe, it } from "@effect/vitest"
import { ObjectSink, type ObjectStore } from "@headrace/s3"
import type { Point } from "@headrace/s3/SinkPoint"
import { Effect, type Layer, type Scope, Stream } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { killOptions, killRows } from "./sinkKill.ts"
import { idOf, listed, written } from "./sinkRows.ts"

const script = fileURLToPath(new URL("./sink.child.ts", import.meta.url))
const points: ReadonlyArray<Point> = [
  "after-part",
  "after-parked",
  "after-intent",
  "after-first-file",
  "after-complete",
  "before-commit",
  "after-commit"
]

/** Whether the child was killed; otherwise it came to its end. */
const child = (place: string, point: string, times: number) =>
  Effect.callback<boolean>((resume) => {
    const args = "Deno" in globalThis ? ["run", "-A", script] : [script]
    const running = spawn(process.execPath, [...args, place, point, `${times}`], {
      stdio: ["ignore", "inherit", "inherit"]
    })
    running.on("close", (code, signal) => {
      if (signal === "SIGKILL") resume(Effect.succeed(true))
      else resume(code === 0 ? Effect.succeed(false) : Effect.die(new Error(`the writer ended with ${code ?? signal}`)))
    })
    return Effect.sync(() => running.kill("SIGKILL"))
  })

const expected = killRows.flatMap((rows, partition) =>
  rows.map(({ is, ts }, offset) => {
    const iso = new Date(ts).toISOString()
    const folder = is === undefined ? `date=${iso.slice(0, 10)}/hour=${iso.slice(11, 13)}` : "_headrace/orders/bad"
    return `${folder} ${idOf(partition, offset)}`
  })
)
const wanted = new Set(expected)

/** An empty store, and what the writer reaches it by. */
interface Place<E> {
  readonly argument: string
  readonly store: Layer.Layer<ObjectStore, E>
}

/** Runs the suite, so many rounds a point, each in a place of its own. */
export const sinkKillSuite = <E>(
  name: string,
  place: Effect.Effect<Place<E>, never, Scope.Scope>,
  rounds: number
): void => {
  describe(`ObjectSink on ${name}, killed`, () => {
    it.live.each(points)(
      "%s: each row once",
      (point) =>
        Effect.gen(function* () {
          for (let round = 1; round <= rounds; round++) {
            const { argument, store } = yield* place
            const rows = Effect.provide(written(killOptions), store)
            let kills = 0
            while (yield* child(argument, point, (kills === 0 ? round : 1 + ((round + kills) % 7)) % 9 || 1)) {
              kills++
              const seen = (yield* rows).map((row) => `${row.folder} ${row.id}`)
              assert.strictEqual(new Set(seen).size, seen.length, "a row is there twice")
              assert.isTrue(seen.every((row) => wanted.has(row)))
              // Some heirs are killed too.
              if (kills === 1 + (round % 2)) break
            }
            assert.isAbove(kills, 0, "the point was never reached")
            // Its heir goes on to the end.
            assert.isFalse(yield* child(argument, "nowhere", 1))
            const found = (yield* rows).map((row) => `${row.folder} ${row.id}`)
            assert.deepStrictEqual(found.sort(), [...expected].sort())
            yield* Effect.gen(function* () {
              const files = (yield* Stream.runCollect(ObjectSink.files(killOptions))).map(({ key }) => key)
              assert.deepStrictEqual((yield* listed("lake")).sort(), files.sort())
              const { partitions } = yield* ObjectSink.committed(killOptions)
              for (const { bad, read, tombstones, waiting, written } of partitions.values())
                assert.deepStrictEqual([read, written + bad, tombstones, waiting], [400, 400, 0, 0])
              assert.deepStrictEqual(yield* ObjectSink.collect(killOptions), [])
            }).pipe(Effect.provide(store))
          }
        }),
      { timeout: 60_000 * rounds }
    )
  })
}
