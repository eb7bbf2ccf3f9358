/** Versions of the view store port: how they are known, shown, promoted and dropped. */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Lease, type PartialRows, type VersionSpec, ViewStore } from "../ViewStore.ts"
import { partialsOf, rowsOf, spec } from "./Partials.ts"
import { reasonOf, tagOf, newName, topic, noCounts, commitOf, input, rows, newView } from "./Versions.ts"

export const versions = (it: Vitest.MethodsNonLive<ViewStore>): void => {
  it.effect("shows a view's first version at once, and others when they are ready", () =>
    Effect.gen(function* () {
      const { lease, store, view } = yield* newView([5, 7])
      const first = yield* store.version(view, 1)
      assert.deepInclude(first, {
        view,
        version: 1,
        status: "ready",
        promoted: true,
        topic: "orders",
        topicId: "topic-1"
      })
      assert.deepStrictEqual(
        first.positions,
        [5, 7].map((next, partition) => ({
          partition,
          next,
          maxEventTime: Number.NEGATIVE_INFINITY,
          counts: noCounts
        }))
      )
      const second = yield* store.register(spec(view, 2), topic(5, 7))
      assert.deepInclude(second, { version: 2, status: "building", promoted: false })
      assert.deepStrictEqual(yield* reasonOf(store.promote(view, 2)).pipe(Effect.map((r) => r._tag)), "VersionNotReady")
      const lease2 = yield* store.acquire(view, 2, "the test")
      yield* store.ready(lease2)
      yield* store.ready(lease2)
      yield* store.ready(lease)
      assert.deepInclude(yield* store.version(view, 2), { status: "ready", promoted: false })
      assert.deepStrictEqual(
        (yield* store.versions).filter((v) => v.view === view),
        [yield* store.version(view, 1), yield* store.version(view, 2)]
      )
    })
  )

  it.effect("knows a version again, adds new partitions, and says what differs", () =>
    Effect.gen(function* () {
      const { lease, store, view } = yield* newView([5])
      const same = spec(view, 1)
      yield* store.commit(lease, [commitOf(0, 5, 9)])
      yield* store.register(same, topic(0, 3))
      const { positions } = yield* store.version(view, 1)
      assert.deepStrictEqual(
        positions.map((p) => p.next),
        [9, 3]
      )
      // Where it began stays as it was, wherever it stands and the log begins now.
      assert.deepStrictEqual((yield* store.register(same, topic(7, 8))).starts, [
        { partition: 0, offset: 5 },
        { partition: 1, offset: 3 }
      ])
      yield* store.commit(lease, [commitOf(1, 3, 4)])
      const differs = (other: VersionSpec, id = "topic-1") =>
        Effect.map(reasonOf(store.register(other, { ...topic(0), id })), (reason) =>
          reason._tag === "VersionExists" ? reason.difference : reason._tag
        )
      const said = yield* differs({ ...same, declaration: `view ${view}\nversion 1\nwhere x > 1` })
      assert.include(said, "where x > 1")
      const gone = yield* differs({ ...same, declaration: `view ${view}` })
      assert.include(gone, "version 1")
      assert.include(yield* differs({ ...same, source: "1".repeat(64) }), "source")
      const anew = yield* differs(same, "topic-2")
      assert.include(anew, "topic-1")
      assert.include(anew, "topic-2")
      assert.strictEqual((yield* store.version(view, 1)).positions.length, 2)
    })
  )

  it.effect("gives back the declaration as it was registered", () =>
    Effect.gen(function* () {
      const store = yield* ViewStore
      const view = yield* newName
      const whole = spec(view, 1, { declaration: 'it\'s "ünquoted"\n😀' })
      yield* store.register(whole, topic(0))
      assert.deepStrictEqual(yield* store.spec(view, 1), whole)
      const flat = spec(view, 2, { windowSize: undefined, keys: [] })
      yield* store.register(flat, topic(0))
      const back = yield* store.spec(view, 2)
      assert.isUndefined(back.windowSize)
      assert.deepStrictEqual({ ...back, windowSize: undefined }, flat)
    })
  )

  it.effect("refuses names that it can't hold", () =>
    Effect.gen(function* () {
      const { store, view } = yield* newView()
      const keys = (...names: ReadonlyArray<string>) =>
        names.map((n) => ({ name: n, type: { kind: "string" } as const }))
      const bad: ReadonlyArray<VersionSpec> = [
        ...["", "1a", "a-b", "a__b", "a_", "_a", 'a"b', "é", "headrace_x"].map((n) => spec(n, 1)),
        spec(view.toUpperCase(), 1),
        spec(view, 0),
        spec(view, 1.5),
        ...["", "a b", "a__b", "partition", "Window_End", "window_start", "N", "total_scaled"].map((n) =>
          spec(view, 2, { keys: keys(n) })
        ),
        spec(view, 2, { keys: keys("a", "A") })
      ]
      for (const one of bad)
        assert.strictEqual(
          yield* tagOf(store.register(one, topic(0))),
          "InvalidName",
          JSON.stringify([one.view, one.keys])
        )
      assert.deepStrictEqual(
        (yield* store.versions).filter((v) => v.view.toLowerCase() === view).map((v) => v.version),
        [1]
      )
      for (const n of ["order", "select", "from", "a1", "A_b"])
        yield* store.register(spec(view, 3, { keys: keys(n) }), topic(0)).pipe(Effect.andThen(store.drop(view, 3)))
    })
  )

  it.effect("says which version isn't there", () =>
    Effect.gen(function* () {
      const { store, view } = yield* newView()
      const lease: Lease = { view, version: 9, epoch: 1 }
      for (const call of [
        store.version(view, 9),
        store.spec(view, 9),
        Effect.scoped(store.acquire(view, 9, "me")),
        store.commit(lease, [commitOf(0, 0, 1)]),
        store.ready(lease),
        store.promote(view, 9),
        store.drop(view, 9),
        rows(view, 9),
        Stream.runDrain(store.late(view, 9)),
        Stream.runDrain(store.dead(view, 9))
      ]) {
        const reason = yield* reasonOf(Effect.asVoid(call))
        assert.deepInclude(reason, { _tag: "VersionNotFound", view, version: 9 })
      }
      assert.deepStrictEqual(yield* store.promotions(yield* newName), [])
    })
  )

  it.effect("promotes, rolls back and drops", () =>
    Effect.gen(function* () {
      const store = yield* ViewStore
      const view = yield* newName
      for (const version of [1, 2, 3]) {
        yield* store.register(spec(view, version), topic(0))
        const lease = yield* store.acquire(view, version, "the test")
        yield* store.commit(lease, [commitOf(0, 0, 1, { partials: partialsOf([input(`v${version}`)]) })])
        yield* store.ready(lease)
      }
      assert.deepStrictEqual(yield* store.promotions(view), [1])
      assert.strictEqual(yield* store.promote(view, 2), 1)
      assert.strictEqual(yield* store.promote(view, 2), 2)
      assert.strictEqual(yield* store.promote(view, 3), 2)
      assert.deepStrictEqual(yield* store.promotions(view), [3, 2, 1])
      assert.deepStrictEqual(
        (yield* store.versions).filter((v) => v.view === view).map((v) => v.promoted),
        [false, false, true]
      )
      assert.deepInclude(yield* reasonOf(store.drop(view, 3)), { _tag: "VersionPromoted", view, version: 3 })
      assert.strictEqual(yield* store.promote(view, 1), 3)
      assert.deepStrictEqual(yield* store.promotions(view), [1, 3, 2, 1])
      yield* store.drop(view, 3)
      assert.deepStrictEqual(yield* store.promotions(view), [1, 2, 1])
      assert.strictEqual(yield* tagOf(store.promote(view, 3)), "VersionNotFound")
      // What is left is whole, and a version of that number begins anew.
      assert.deepStrictEqual(
        (yield* rows(view, 1)).map((row) => row[0]),
        ["v1"]
      )
      assert.deepStrictEqual(
        (yield* rows(view, 2)).map((row) => row[0]),
        ["v2"]
      )
      const anew = yield* store.register(
        spec(view, 3, { aggregates: [{ name: "n", kind: "count" }], declaration: "another" }),
        topic(4)
      )
      assert.deepInclude(anew, { status: "building", promoted: false })
      assert.deepStrictEqual(yield* rows(view, 3), [])
    })
  )

  it.effect("drops a view with all its versions, the promoted one too, and no other view", () =>
    Effect.gen(function* () {
      const { lease, store, view } = yield* newView([0])
      const other = yield* newView([0])
      yield* store.register(spec(view, 2), topic(0))
      yield* store.commit(lease, [commitOf(0, 0, 1, { partials: partialsOf([input("a")]) })])
      yield* store.commit(other.lease, [commitOf(0, 0, 1, { partials: partialsOf([input("b")]) })])
      assert.deepStrictEqual(yield* store.dropView(view), [1, 2])
      assert.deepStrictEqual(yield* store.dropView(view), [])
      assert.deepStrictEqual(yield* store.promotions(view), [])
      assert.strictEqual(yield* tagOf(store.version(view, 1)), "VersionNotFound")
      assert.strictEqual(yield* tagOf(store.commit(lease, [commitOf(0, 1, 2)])), "VersionNotFound")
      assert.deepStrictEqual(yield* rows(other.view, 1), rowsOf([input("b")]))
      // It begins anew: its first version is shown at once, and whoever held the old one is fenced.
      assert.deepInclude(yield* store.register(spec(view, 1), topic(0)), { status: "ready", promoted: true })
      assert.strictEqual(yield* tagOf(store.commit(lease, [commitOf(0, 0, 1)])), "Fenced")
      assert.deepStrictEqual(yield* rows(view, 1), [])
    })
  )

  it.effect("writes a version that was dropped and made anew in its new shape", () =>
    Effect.gen(function* () {
      const { store, view } = yield* newView()
      const shapes: ReadonlyArray<Partial<VersionSpec>> = [{}, { keys: [], aggregates: [{ name: "n", kind: "count" }] }]
      for (const [i, shape] of shapes.entries()) {
        yield* store.register(spec(view, 2, { declaration: `${i}`, ...shape }), topic(0))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const lease = yield* store.acquire(view, 2, "the test")
            const partials: PartialRows =
              i === 0 ? partialsOf([input("a")]) : { count: 1, keys: [], windows: [0], values: [[3]], sets: [] }
            yield* store.commit(lease, [commitOf(0, 0, 1, { partials })])
          })
        )
        const expected = i === 0 ? rowsOf([input("a")]) : [[0, 3]]
        assert.deepStrictEqual(yield* rows(view, 2), expected)
        yield* store.drop(view, 2)
      }
    })
  )
}
