/** A view's changes on Kafka, exactly once: processes that are killed at every point of the crash table, and one that wakes too late. */
import { spawn } from "node:child_process"
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { EventLog } from "@headrace/core/EventLog"
import { KafkaDriver, KafkaLog } from "@headrace/kafka"
import { unique } from "@headrace/kafka/contract/Fixtures"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Output, View } from "@headrace/kappa"
import { Effect, Layer, type Scope } from "effect"
import * as f from "../../kappa/test/fixtures.ts"
import { difference, Fault, sumOf, tableOf } from "../../kappa/test/streams.ts"
import { withBroker } from "./broker.ts"
import { committed } from "./changes.ts"
import { engineOf, type Job, type Point, points, viewOf } from "./outputs.ts"

const script = join(import.meta.dirname, "output.child.ts")

/** A child with the job: what it said, and how it ended. */
const start = (job: Job) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const deno = process.versions["deno"] === undefined ? [] : ["run", "-A"]
      const child = spawn(process.execPath, [...deno, script, JSON.stringify(job)], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      let output = ""
      let stopped: () => void = () => {}
      const stops = new Promise<void>((resolve) => (stopped = resolve))
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString()
        if (output.includes("stops")) stopped()
      })
      const ended = new Promise<string>((resolve) =>
        child.on("close", (code, signal) => resolve(`${output}${signal ?? code}`))
      )
      return { child, ended, stops }
    }),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )
const run = (job: Job) => Effect.scoped(Effect.flatMap(start(job), ({ ended }) => Effect.promise(() => ended)))

const world = (brokers: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "headrace-output-"))),
      (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
    )
    const source = yield* unique("orders")
    const job: Job = {
      brokers,
      folder: join(folder, "store"),
      source,
      topic: `${source}.sales.v1`,
      progressTopic: `${source}.progress`,
      stepRecords: 30
    }
    const log = yield* EventLog
    yield* log.createTopic(source, { partitions: 2 })
    const records: ReadonlyArray<Array<f.Value>> = [[], []]
    const append = (partition: number, values: ReadonlyArray<f.Value>) => {
      records[partition]!.push(...values)
      return log.append(source, partition, f.records(values))
    }
    yield* append(0, f.some(0, 60))
    yield* append(1, f.some(5, 50))

    /** The committed publishes follow from the tables at their vectors one by one; gives the vectors. */
    const check = (what: string) =>
      Effect.gen(function* () {
        const key = JSON.stringify({ view: "sales", version: 1, topic: job.topic })
        const vectors = (yield* committed(job.progressTopic))
          .filter((own) => own.key === key)
          .map(({ value }) => {
            const { next } = JSON.parse(value!) as { readonly next: ReadonlyArray<{ partition: number; next: number }> }
            return next.toSorted((a, b) => a.partition - b.partition).map((p) => p.next)
          })
        const changes = yield* committed(job.topic)
        let at = 0
        let before: ReadonlyArray<number> = [0, 0]
        for (const [i, vector] of vectors.entries()) {
          const expected = difference(tableOf(records, before), tableOf(records, vector))
          const own = changes.slice(at, (at += expected.size))
          assert.deepStrictEqual(new Map(own.map((c) => [c.key, c.value])), new Map(expected), `${what}: publish ${i}`)
          before = vector
        }
        assert.strictEqual(changes.length, at, `${what}: changes without a vector`)
        const sum = sumOf([{ changes, progress: { declaration: "", topicId: "", next: [] } }])
        assert.deepStrictEqual(new Map(sum), new Map(tableOf(records, before)), what)
        return vectors
      })

    const stored = Effect.gen(function* () {
      const spec = View.spec(viewOf(job), "")
      const { positions, rows } = yield* f.contents("sales", 1)
      return {
        next: positions.map((p) => p.next),
        table: new Map(rows.map((row) => Output.upsert(spec, row)).map((c) => [c.key, c.value]))
      }
    }).pipe(Effect.provide(engineOf(job, new Fault<Point>()), { local: true }))

    /** A run that isn't disturbed brings stream and store to the end of the log. */
    const finish = (what: string) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* run({ ...job, stepRecords: 17 }), "done\n0", what)
        const vectors = yield* check(what)
        const end = records.map((own) => own.length)
        assert.deepStrictEqual(vectors.at(-1), end, what)
        assert.deepStrictEqual(yield* stored, { next: end, table: new Map(tableOf(records, end)) }, what)
        return vectors
      })
    return { job, append, check, finish, stored }
  })

withBroker((brokers) => {
  const kafka = Layer.provideMerge(KafkaLog.layer(), Platformatic.layer({ brokers }))
  const live = (name: string, body: Effect.Effect<void, unknown, KafkaDriver | EventLog | Scope.Scope>) =>
    it.live(name, () => Effect.provide(Effect.scoped(body), kafka))

  describe("exactly once into Kafka", () => {
    for (const point of points)
      live(
        `a process that is killed ${point}`,
        Effect.gen(function* () {
          const w = yield* world(brokers)
          assert.strictEqual(yield* run({ ...w.job, point, at: 2 }), "SIGKILL")
          const store = yield* w.stored
          // What was open is ended by whoever takes the stream over; here that is the next run.
          yield* w.append(1, f.some(60, 75))
          const vectors = yield* w.finish(point)
          const committedBefore = ["after-publish", "within-commit", "after-commit"].includes(point)
          assert.strictEqual(
            store.next.reduce((a, b) => a + b, 0),
            point === "after-commit" ? 60 : 30,
            point
          )
          // The first step was of 15 records in each partition, and so was the second one where it was committed.
          assert.deepStrictEqual(vectors[0], [15, 15])
          if (point !== "committing")
            assert.strictEqual(JSON.stringify(vectors[1]) === "[30,30]", committedBefore, point)
        })
      )

    live(
      "a process that is killed again while it folds forward",
      Effect.gen(function* () {
        const w = yield* world(brokers)
        assert.strictEqual(yield* run({ ...w.job, point: "after-publish", at: 2 }), "SIGKILL")
        assert.strictEqual(yield* run({ ...w.job, point: "within-commit", at: 2 }), "SIGKILL")
        assert.strictEqual(yield* run({ ...w.job, point: "after-commit", at: 1 }), "SIGKILL")
        assert.deepStrictEqual(yield* w.check("after three deaths"), [
          [15, 15],
          [30, 30]
        ])
        yield* w.finish("forward")
      })
    )

    live(
      "a process that is killed within the snapshot that begins a stream",
      Effect.gen(function* () {
        const w = yield* world(brokers)
        assert.strictEqual(yield* run({ ...w.job, begun: true, point: "all-sent", at: 1 }), "SIGKILL")
        const vectors = yield* w.finish("snapshot")
        assert.deepStrictEqual(vectors, [[60, 45]])
      })
    )

    live(
      "a process that was stopped, taken for dead, and wakes within its transaction, is fenced",
      Effect.gen(function* () {
        const w = yield* world(brokers)
        const zombie = yield* start({ ...w.job, point: "all-sent", at: 2, signal: "SIGSTOP" })
        yield* Effect.promise(() => zombie.stops)
        // The heir works on a copy of the store, as on another machine: the zombie holds the lock of this one.
        const folder = join(w.job.folder, "../heir")
        cpSync(w.job.folder, folder, { recursive: true })
        assert.strictEqual(yield* run({ ...w.job, folder, stepRecords: 40 }), "done\n0")
        const vectors = yield* w.check("the heir")
        assert.deepStrictEqual(vectors.at(-1), [60, 45])
        process.kill(zombie.child.pid!, "SIGCONT")
        assert.strictEqual(yield* Effect.promise(() => zombie.ended), "stops\nfailed ChangeSinkError SinkFenced\n0")
        assert.deepStrictEqual(yield* w.check("the zombie"), vectors)
        assert.deepStrictEqual((yield* w.stored).next, [15, 15])
        // Its store is behind, and comes forward when it takes over in turn.
        yield* w.finish("the zombie's next run")
      })
    )
  })
})
