/** Folding and running live: commits, resuming, following, several versions, and who may write. */
import { assert, describe, it } from "@effect/vitest"
import { EventLog } from "@headrace/core/EventLog"
import { ViewStore } from "@headrace/core/ViewStore"
import { Aggregate, Fold, Live, Log, Version, View, ViewError } from "@headrace/kappa"
import { Cause, Effect, Exit, Fiber, Queue, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as f from "./fixtures.ts"

const view = f.sales(1)
const owner = "the test"
const live = (...versions: ReadonlyArray<Version.Declared>) => Live.run({ views: versions, owner })

/** What the version holds when nothing disturbs it: the same records in a log of its own, folded in one go. */
const undisturbed = (...partitions: ReadonlyArray<ReadonlyArray<f.Value>>) =>
  Effect.gen(function* () {
    yield* f.createTopic(partitions.length)
    for (const [p, values] of partitions.entries()) yield* f.append(p, values)
    yield* live(f.declared(view))
    return yield* f.contents("sales", 1)
  }).pipe(Effect.provide(f.engine, { local: true }))

/** Where each commit of a partition stood. */
const commits = (checkpoint: Fold.Checkpoint) =>
  Effect.gen(function* () {
    yield* f.createTopic(1)
    yield* f.append(0, f.some(0, 10))
    const nexts: Array<number> = []
    const store = yield* f.observed((all) => Effect.sync(() => void nexts.push(...all.map((c) => c.position.next))))
    yield* Live.run({ views: [f.declared(view)], owner, checkpoint, maxRecords: 2 }).pipe(
      Effect.provideService(ViewStore, store)
    )
    return nexts
  }).pipe(Effect.provide(f.engine, { local: true }))

describe("Fold", () => {
  it.effect("commits after so many records, and when so many rows wait", () =>
    Effect.gen(function* () {
      const many = Number.MAX_SAFE_INTEGER
      assert.deepStrictEqual(yield* commits({ records: 4, pending: many }), [4, 8, 10])
      assert.deepStrictEqual(yield* commits({ records: many, pending: 1 }), [2, 4, 6, 8, 10, 10])
      assert.deepStrictEqual(yield* commits(Fold.defaultCheckpoint), [10])
    })
  )

  it.effect("goes on from the last commit after a death, and ends as if there had been none", () =>
    Effect.gen(function* () {
      const partitions = [f.some(0, 60), f.some(5, 40), []]
      const expected = yield* undisturbed(...partitions)
      assert.isAbove(expected.late.length, 0)
      for (let death = 1; ; death++) {
        const done = yield* Effect.gen(function* () {
          yield* f.createTopic(3)
          for (const [p, values] of partitions.entries()) yield* f.append(p, values)
          const run = Live.run({
            views: [f.declared(view)],
            owner,
            checkpoint: { records: 9, pending: 99 },
            maxRecords: 4
          })
          const exit = yield* Effect.exit(Effect.provideService(run, ViewStore, yield* f.dyingAt(death)))
          yield* run
          assert.deepStrictEqual(yield* f.contents("sales", 1), expected)
          return Exit.isSuccess(exit)
        }).pipe(Effect.provide(f.engine, { local: true }))
        if (done) return assert.isAbove(death, 9)
      }
    })
  )

  it.effect("commits nothing when there is nothing to fold", () =>
    Effect.gen(function* () {
      yield* f.createTopic(2)
      let commits = 0
      const store = yield* f.observed(() => Effect.sync(() => void commits++))
      yield* Effect.provideService(live(f.declared(view)), ViewStore, store)
      assert.strictEqual(commits, 0)
      assert.deepStrictEqual(yield* f.rows("sales", 1), [])
    }).pipe(Effect.provide(f.engine))
  )

  it.effect("fails the view, and blames no record, when an expression reads a column that isn't selected", () =>
    Effect.gen(function* () {
      yield* f.createTopic(1)
      yield* f.append(0, [{}])
      const narrow = f.orders.pipe(
        Log.select("id"),
        Log.where((o) => (o as f.Order).status === "ok")
      )
      const wrong = View.aggregate("sales", narrow, { version: 1, by: {}, values: { n: Aggregate.count } })
      const error = yield* Effect.flip(live(f.declared(wrong)))
      assert.deepStrictEqual(
        error.message,
        `view "sales" version 1: an expression reads the column "status", which the view doesn't select: select it too`
      )
      assert.deepStrictEqual((yield* f.contents("sales", 1)).positions[0]!.next, 0)
    }).pipe(Effect.provide(f.engine))
  )
})

describe("Live", () => {
  it.effect("follows the log: what is appended later is in the view after the next look", () =>
    Effect.gen(function* () {
      yield* f.createTopic(2)
      yield* f.append(0, [{ category: "a" }])
      const caughtUp = yield* Queue.unbounded<ReadonlyArray<number>>()
      const fiber = yield* Live.run({
        views: [f.declared(view)],
        owner,
        follow: "1 second",
        onCaughtUp: (name, version, positions) =>
          Queue.offer(caughtUp, [version, ...positions.map((p) => p.next)]).pipe(
            Effect.andThen(Effect.sync(() => assert.strictEqual(name, "sales")))
          )
      }).pipe(Effect.forkChild)
      assert.deepStrictEqual(yield* Queue.take(caughtUp), [1, 1, 0])
      yield* f.append(1, [{ category: "b" }, { category: "b" }])
      assert.deepStrictEqual((yield* f.rows("sales", 1)).length, 1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Queue.take(caughtUp), [1, 1, 2])
      assert.deepStrictEqual(
        (yield* f.rows("sales", 1)).map(([category, , n]) => [category, n]),
        [
          ["a", 1],
          ["b", 2]
        ]
      )
      yield* Fiber.interrupt(fiber)
      // Interrupted, it has let go of the version.
      yield* f.append(0, [{ category: "a" }])
      yield* live(f.declared(view))
      assert.strictEqual((yield* f.rows("sales", 1))[0]![2], 2)
    }).pipe(Effect.provide(f.engine))
  )

  it.effect("runs several versions at once, each with its own state", () =>
    Effect.gen(function* () {
      yield* f.createTopic(2)
      yield* f.append(0, f.some(0, 50))
      yield* f.append(1, f.some(3, 20))
      const changed = f.sales(2, { values: { biggest: Aggregate.max("total") } })
      yield* live(f.declared(view), f.declared(changed))
      const [one, two] = [yield* f.contents("sales", 1), yield* f.contents("sales", 2)]
      assert.deepStrictEqual(two.positions, one.positions)
      assert.deepStrictEqual(
        two.rows.map((row) => row.slice(0, 2)),
        one.rows.map((row) => row.slice(0, 2))
      )
      const store = yield* ViewStore
      assert.deepStrictEqual(
        (yield* store.versions).map((v) => [v.version, v.status, v.promoted]),
        [
          [1, "ready", true],
          [2, "ready", false]
        ]
      )
    }).pipe(Effect.provide(f.engine))
  )

  it.effect("refuses to read on in a topic that was deleted and made anew, also while it follows", () =>
    Effect.gen(function* () {
      yield* f.createTopic(1)
      yield* f.append(0, f.some(0, 5))
      const caughtUp = yield* Queue.unbounded<void>()
      const fiber = yield* Live.run({
        views: [f.declared(view)],
        owner,
        follow: "1 second",
        onCaughtUp: () => Effect.asVoid(Queue.offer(caughtUp, undefined))
      }).pipe(Effect.forkChild)
      yield* Queue.take(caughtUp)
      const log = yield* EventLog
      yield* log.deleteTopic("orders")
      yield* f.createTopic(1)
      yield* f.append(0, f.some(0, 9))
      yield* TestClock.adjust("1 second")
      for (const attempt of [Fiber.join(fiber), live(f.declared(view))]) {
        const { message } = yield* Effect.flip(attempt)
        assert.match(
          message,
          /version 1 of view "sales" .*topic "orders" was deleted and made anew.* Declare version 2/
        )
      }
      assert.strictEqual((yield* f.contents("sales", 1)).positions[0]!.next, 5)
    }).pipe(Effect.provide(f.engine))
  )
})

describe("Who may write", () => {
  it.effect("a second process is refused, with the name of the first, while that one lives", () =>
    Effect.gen(function* () {
      const folder = yield* f.temporaryFolder
      yield* Effect.gen(function* () {
        yield* f.createTopic(1)
        yield* f.append(0, [{}])
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Version.hold(f.declared(view), "process 4711")
            const second = live(f.declared(view)).pipe(Effect.provide(f.engineIn(folder), { local: true }))
            const error = yield* Effect.flip(second)
            assert.strictEqual(
              error.message,
              `version 1 of view "sales" is being written by process 4711: stop that process first`
            )
          })
        )
        yield* live(f.declared(view)).pipe(Effect.provide(f.engineIn(folder), { local: true }))
      }).pipe(Effect.provide(f.engineIn(folder)))
    })
  )

  it.effect("a zombie, which lost the version without knowing, is fenced and changes nothing", () =>
    Effect.gen(function* () {
      yield* f.createTopic(1)
      yield* f.append(0, f.some(0, 20))
      const lost = yield* Scope.make()
      const zombie = yield* Version.hold(f.declared(view), "zombie").pipe(Scope.provide(lost))
      yield* Scope.close(lost, Exit.void)
      const task = { view, start: zombie.positions[0]!, until: 20, prefer: "tail" } as const
      const fold = Fold.partition({ ...task, lease: zombie.lease })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const holder = yield* Version.hold(f.declared(view), "holder")
          const before = yield* f.contents("sales", 1)
          const error = yield* Effect.flip(fold)
          assert.match(
            error.message,
            /"sales" version 1 partition 0 was fenced: .*another process has taken the version/
          )
          assert.deepStrictEqual(yield* f.contents("sales", 1), before)
          yield* Fold.partition({ ...task, lease: holder.lease })
        })
      )
      const after = yield* f.contents("sales", 1)
      assert.strictEqual(after.positions[0]!.next, 20)
      const late = yield* Effect.exit(fold)
      assert.isTrue(Exit.isFailure(late) && Cause.pretty(late.cause).includes("fenced"))
      assert.deepStrictEqual(yield* f.contents("sales", 1), after)
    }).pipe(Effect.provide(f.engine))
  )

  it.effect("two folds of one partition under one lease: the second, which is behind, is fenced by its offset", () =>
    Effect.gen(function* () {
      yield* f.createTopic(1)
      yield* f.append(0, f.some(0, 20))
      const held = yield* Version.hold(f.declared(view), owner)
      const fold = Fold.partition({
        view,
        lease: held.lease,
        start: held.positions[0]!,
        until: 20,
        prefer: "tail"
      })
      yield* fold
      const once = yield* f.contents("sales", 1)
      const error = yield* Effect.flip(fold)
      assert.isTrue(error instanceof ViewError.ViewError)
      assert.match(error.message, /it folds from offset 0, and the partition stands at 20/)
      assert.deepStrictEqual(yield* f.contents("sales", 1), once)
    }).pipe(Effect.scoped, Effect.provide(f.engine))
  )
})
