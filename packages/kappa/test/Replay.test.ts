/** Rebuilding a version from the whole history: shares, workers, archive and tail, deaths. */
import { assert, describe, it } from "@effect/vitest"
import { EventLog } from "@headrace/core/EventLog"
import { ViewStore } from "@headrace/core/ViewStore"
import { Fold, Live, Replay, type Version, ViewError } from "@headrace/kappa"
import { Effect, Exit } from "effect"
import * as fc from "fast-check"
import * as f from "./fixtures.ts"

const owner = "the test"
const checkpoint = { records: 18, pending: 99 }
const one = f.declared(f.sales(1))
const two = f.declared(f.sales(2))

/** The same history in three partitions, partly in the archive only; version 1 has run live over it. */
const history = Effect.gen(function* () {
  yield* f.createTopic(3)
  yield* f.append(0, f.some(0, 60))
  yield* f.append(1, f.some(5, 40))
  yield* Live.run({ views: [one], owner })
  yield* f.archive(
    one.view,
    new Map([
      [0, 44],
      [1, 35]
    ])
  )
  const log = yield* EventLog
  yield* log.deleteBefore("orders", 0, 30)
  yield* log.deleteBefore("orders", 1, 35)
  return yield* f.contents("sales", 1)
})

/** Folds shares in this process; notes them. */
const folding = (shares: Array<ReadonlyArray<Replay.Task>>) =>
  Effect.map(
    Effect.context<Effect.Services<ReturnType<typeof Fold.partition>>>(),
    (context): Replay.Spawn =>
      (held, tasks, onProgress) =>
        Effect.suspend(() => {
          shares.push(tasks)
          return Effect.forEach(
            tasks,
            ({ start, until }) =>
              Fold.partition({
                view: held.view,
                lease: held.lease,
                start,
                until,
                prefer: "archive",
                checkpoint,
                onProgress
              }),
            { discard: true }
          )
        }).pipe(Effect.provide(context))
  )

describe("Replay.share", () => {
  const tasks = fc.array(fc.tuple(fc.nat(1000), fc.integer({ min: 1, max: 1000 })), { maxLength: 40 }).map((all) =>
    all.map(([next, records], partition): Replay.Task => ({
      start: { ...f.start, partition, next },
      until: next + records
    }))
  )
  const size = (share: ReadonlyArray<Replay.Task>) => share.reduce((n, t) => n + t.until - t.start.next, 0)

  it("gives every task to one worker, as evenly as the largest task allows, and always the same way", () => {
    fc.assert(
      fc.property(tasks, fc.integer({ min: 1, max: 9 }), (tasks, workers) => {
        const shares = Replay.share(tasks, workers)
        assert.strictEqual(shares.length, Math.min(workers, tasks.length))
        const partitions = shares.flat().map((t) => t.start.partition)
        assert.deepStrictEqual(
          partitions.toSorted((a, b) => a - b),
          tasks.map((t) => t.start.partition)
        )
        const sizes = shares.map(size)
        for (const share of shares) {
          assert.isAbove(share.length, 0)
          // Without its last and smallest task no share is larger than any other.
          assert.isAtMost(size(share.slice(0, -1)), Math.min(...sizes))
        }
        assert.deepStrictEqual(Replay.share(tasks.toReversed(), workers), shares)
      })
    )
  })
})

describe("Replay", () => {
  it.effect("builds from archive and tail what the live run built, with any number of workers", () =>
    Effect.gen(function* () {
      for (const workers of [1, 2, 7]) {
        yield* Effect.gen(function* () {
          const expected = yield* history
          const shares: Array<ReadonlyArray<Replay.Task>> = []
          let [total, done] = [0, 0]
          const positions = yield* Replay.run({
            declared: two,
            owner,
            workers,
            spawn: yield* folding(shares),
            checkpoint,
            maxRecords: 4,
            onStart: (records) => Effect.sync(() => void (total = records)),
            onProgress: (records) => Effect.sync(() => void (done += records))
          })
          assert.deepStrictEqual(yield* f.contents("sales", 2), expected)
          assert.deepStrictEqual(positions, expected.positions)
          assert.deepStrictEqual([total, done], [95, 95])
          // One worker folds here; an empty partition is nobody's task.
          assert.strictEqual(shares.length, workers === 1 ? 0 : 2)
        }).pipe(Effect.provide(f.engine, { local: true }))
      }
    })
  )

  it.effect(
    "after a death goes on where its partitions stand, with other workers; nobody sees it before it is whole",
    () =>
      Effect.gen(function* () {
        for (let death = 1; ; death++) {
          const died = yield* Effect.gen(function* () {
            const expected = yield* history
            const store = yield* ViewStore
            const attempt = Replay.run({ declared: two, owner, checkpoint, maxRecords: 4 })
            const exit = yield* Effect.exit(Effect.provideService(attempt, ViewStore, yield* f.dyingAt(death)))
            if (Exit.isSuccess(exit)) return false
            assert.strictEqual((yield* store.version("sales", 2)).status, "building")
            assert.match((yield* Effect.flip(store.promote("sales", 2))).message, /half built: finish its replay/)
            const left = (yield* f.contents("sales", 2)).positions.reduce((n, p) => n - p.next, 95)
            let total = 0
            yield* Replay.run({
              declared: two,
              owner,
              workers: 1 + (death % 3),
              spawn: yield* folding([]),
              onStart: (records) => Effect.sync(() => void (total = records))
            })
            assert.strictEqual(total, left)
            assert.deepStrictEqual(yield* f.contents("sales", 2), expected)
            assert.strictEqual((yield* store.version("sales", 2)).status, "ready")
            return true
          }).pipe(Effect.provide(f.engine, { local: true }))
          if (!died) return assert.isAbove(death, 5)
        }
      })
  )

  it.effect("a worker that fails fails the replay, and the version stays invisible", () =>
    Effect.gen(function* () {
      yield* history
      const failure = ViewError.wrap(new ViewError.WorkerFailed({ view: "sales", detail: "it ended with exit code 9" }))
      const error = yield* Effect.flip(
        Replay.run({ declared: two, owner, workers: 2, spawn: () => Effect.fail(failure) })
      )
      assert.strictEqual(error.message, `a replay worker of view "sales" failed: it ended with exit code 9`)
      const store = yield* ViewStore
      assert.strictEqual((yield* store.version("sales", 2)).status, "building")
    }).pipe(Effect.provide(f.engine))
  )

  it.effect("refuses a history with a hole, and says which offsets are missing", () =>
    Effect.gen(function* () {
      yield* history
      const log = yield* EventLog
      yield* log.deleteBefore("orders", 0, 50)
      const error = yield* Effect.flip(Replay.run({ declared: two, owner }))
      assert.match(
        error.message,
        /offsets \[44, 50\) of topic "orders" partition 0 are neither in the archive nor in the log/
      )
    }).pipe(Effect.provide(f.engine))
  )

  it.effect("ends where the log ended when it began, and a live run goes on from there", () =>
    Effect.gen(function* () {
      yield* history
      const more = Effect.orDie(f.append(2, f.some(0, 9)))
      const log = yield* EventLog
      const replay = Replay.run({
        declared: two,
        owner,
        onStart: () => Effect.provideService(more, EventLog, log)
      })
      assert.deepStrictEqual(
        (yield* replay).map((p) => p.next),
        [60, 35, 0]
      )
      const both: ReadonlyArray<Version.Declared> = [one, two]
      yield* Live.run({ views: both, owner })
      const live = yield* f.contents("sales", 1)
      assert.deepStrictEqual(
        live.positions.map((p) => p.next),
        [60, 35, 9]
      )
      assert.deepStrictEqual(yield* f.contents("sales", 2), live)
    }).pipe(Effect.provide(f.engine))
  )
})
