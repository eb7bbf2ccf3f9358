/** Two processes on one view, signals, and a real process's exit codes. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as H from "./Harness.ts"

const project = Effect.gen(function* () {
  const data = yield* H.dataFolder
  const folder = yield* H.revenueProject(data, 1, 2)
  const file = join(data, "orders.ndjson")
  writeFileSync(file, H.lines(300))
  yield* H.cli(folder, "log", "import", file, "--topic", "orders")
  return folder
})

/** A process that holds the view; it ends with the scope. */
const follower = (folder: string) =>
  Effect.acquireRelease(
    Effect.sync(() => H.start(folder, "run", "revenue", "--follow", "--interval", "50 millis", "--json")),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )

it.live("a second process on a view is refused with the first one's id, until that one is killed", () =>
  Effect.gen(function* () {
    const folder = yield* project
    const first = yield* follower(folder)
    yield* Effect.all(
      [H.said(first, "revenue version 1 has caught up"), H.said(first, "revenue version 2 has caught up")],
      { concurrency: 2 }
    )
    const commands = [["run"], ["replay", "revenue"], ["drop", "revenue", "--all"]]
    const refused = yield* Effect.forEach(commands, (command) => H.processOf(folder, ...command, "--json"), {
      concurrency: "unbounded"
    })
    for (const second of refused) {
      assert.strictEqual(second.code, 1)
      const { error } = second.json<{ readonly error: { readonly tag: string; readonly message: string } }>()
      assert.strictEqual(error.tag, "LockedBy")
      assert.include(error.message, `process ${first.pid}`)
    }
    // Readers and swaps aren't kept out.
    assert.strictEqual((yield* H.cli(folder, "promote", "revenue", "2")).code, 0)
    const gone = H.ended(first)
    first.kill("SIGKILL")
    yield* gone
    assert.strictEqual((yield* H.cli(folder, "run")).code, 0)
  }).pipe(Effect.scoped)
)

it.live("an interrupted run prints its counts and ends with 130", () =>
  Effect.gen(function* () {
    const folder = yield* project
    const child = yield* follower(folder)
    const end = yield* Effect.forkChild(H.ended(child))
    yield* Effect.all(
      [H.said(child, "revenue version 1 has caught up"), H.said(child, "revenue version 2 has caught up")],
      { concurrency: 2 }
    )
    // Deno takes a child that it has signalled itself for killed.
    process.kill(child.pid!, "SIGINT")
    const outcome = yield* Fiber.join(end)
    assert.strictEqual(outcome.code, 130, outcome.err)
    const { interrupted, versions } = outcome.json<{
      readonly interrupted: boolean
      readonly versions: ReadonlyArray<{ readonly reconciled: boolean; readonly counts: { readonly read: number } }>
    }>()
    assert.isTrue(interrupted)
    assert.deepStrictEqual(
      versions.map((v) => [v.reconciled, v.counts.read]),
      [
        [true, 300],
        [true, 300]
      ]
    )
  }).pipe(Effect.scoped)
)

it.live("a process ends with 0, 1, 2 or 3 and one JSON object as its last line", () =>
  Effect.gen(function* () {
    const folder = yield* project
    yield* H.cli(folder, "run")
    const codes = [
      [["status"], 0],
      [["run", "sales"], 1],
      [["runn"], 2],
      [["compare", "revenue"], 3]
    ] as const
    const outcomes = yield* Effect.forEach(codes, ([args]) => H.processOf(folder, ...args, "--json"), {
      concurrency: "unbounded"
    })
    for (const [i, outcome] of outcomes.entries()) {
      assert.strictEqual(outcome.code, codes[i]![1], outcome.err)
      assert.strictEqual(outcome.out.trimEnd().split("\n").length, 1)
      assert.isObject(outcome.json())
    }
  }).pipe(Effect.scoped)
)
