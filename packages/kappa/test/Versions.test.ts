/** Versions of a view: changed declarations, comparing two of them, promoting and rolling back. */
import { DatabaseSync } from "node:sqlite"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { EventLog } from "@headrace/core/EventLog"
import { ViewStore } from "@headrace/core/ViewStore"
import { Aggregate, Compare, Live, Log, Promotion, Replay, Version, View, Window } from "@headrace/kappa"
import { Effect, Stream } from "effect"
import * as f from "./fixtures.ts"

const owner = "the test"
const live = (...views: ReadonlyArray<View.Any>) => Live.run({ views: views.map(f.declared), owner })
const message = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.message)

describe("Version", () => {
  it.effect("never begins later than another version of its view did", () =>
    Effect.gen(function* () {
      yield* f.createTopic(2)
      yield* f.append(0, f.some(0, 20))
      const log = yield* EventLog
      yield* log.deleteBefore("orders", 0, 3)
      yield* live(f.sales(1))
      const { info } = yield* Version.register(f.declared(f.sales(2)))
      assert.deepStrictEqual(info.starts, [
        { partition: 0, offset: 3 },
        { partition: 1, offset: 0 }
      ])
      yield* log.deleteBefore("orders", 0, 8)
      const refused = yield* message(Replay.run({ declared: f.declared(f.sales(3)), owner }))
      assert.match(refused, /^offsets \[3, 8\) of topic "orders" partition 0 are neither in the archive nor in the log/)
      // Nothing was made of it, and what has begun goes on.
      const store = yield* ViewStore
      assert.deepStrictEqual(
        (yield* store.versions).map((v) => v.version),
        [1, 2]
      )
      yield* live(f.sales(1))
      // Another view begins where the history begins now.
      const other = View.aggregate("others", f.orders, { version: 1, by: {}, values: { n: Aggregate.count } })
      assert.deepStrictEqual((yield* Version.register(f.declared(other))).info.starts[0], { partition: 0, offset: 8 })
    }).pipe(Effect.provide(f.engine))
  )

  it.effect("a declaration that was changed under its version is refused, with what differs", () =>
    Effect.gen(function* () {
      yield* f.createTopic(1)
      const view = f.sales(1)
      yield* live(view)
      const source = f.orders.pipe(Log.eventTime("ts", { outOfOrderness: "2 minutes" }))
      const narrow = f.orders.pipe(Log.select("ts", "category"), Log.eventTime("ts", { outOfOrderness: "1 minute" }))
      const filtered = f.orders.pipe(
        Log.where(() => true),
        Log.eventTime("ts", { outOfOrderness: "1 minute" })
      )
      const n = Aggregate.count
      const changed: ReadonlyArray<readonly [Version.Declared, RegExp]> = [
        [
          f.declared(f.sales(1, { from: source })),
          /says "event time ts out of order by 120000 ms after 0 filters" where it said "event time ts out of order by 60000 ms after 0 filters"/
        ],
        [f.declared(f.sales(1, { from: filtered })), /says "filters 1" where it said "filters 0"/],
        [f.declared(f.sales(1, { from: narrow, values: { n } })), /says "columns ts, category" where/],
        [f.declared(f.sales(1, { values: { n } })), /says "nothing" where it said "value .*\\"total\\"/],
        [
          f.declared(View.aggregate("sales", view.source, { version: 1, by: { category: "category" }, values: { n } })),
          /says "no window" where it said "window tumbling 60000 ms"/
        ],
        [{ view, source: "another hash" }, /the source of its module, or of a module that it imports, was changed/]
      ]
      for (const [declared, difference] of changed) {
        const text = yield* message(Live.run({ views: [declared], owner }))
        assert.match(
          text,
          /^version 1 of view "sales" was built from another declaration: .* Declare version 2, or drop this one$/s
        )
        assert.match(text, difference)
        assert.strictEqual(yield* message(Replay.run({ declared, owner })), text)
      }
      yield* live(view)
    }).pipe(Effect.provide(f.engine))
  )

  it.effect("begins where the log or its archive begins", () =>
    Effect.gen(function* () {
      yield* f.createTopic(2)
      yield* f.append(0, f.some(0, 20))
      yield* f.append(1, f.some(0, 20))
      yield* f.archive(f.sales(1), new Map([[1, 0]]))
      const log = yield* EventLog
      yield* log.deleteBefore("orders", 0, 8)
      yield* log.deleteBefore("orders", 1, 8)
      const { info } = yield* Version.register(f.declared(f.sales(1)))
      assert.deepStrictEqual(
        info.positions.map((p) => p.next),
        [0, 0]
      )
      // Partition 1 was cut before it was archived: that is refused, not skipped.
      assert.match(yield* message(live(f.sales(1))), /offsets \[0, 8\) of topic "orders" partition 1 are neither in/)
    }).pipe(Effect.provide(f.engine))
  )
})

describe("Compare", () => {
  /** Versions 1 and 2 over the same records. */
  const compared = (
    values: ReadonlyArray<f.Value>,
    left: View.Any,
    right: View.Any,
    options?: { readonly sample?: number }
  ) =>
    Effect.gen(function* () {
      yield* f.createTopic(2)
      yield* f.append(
        0,
        values.filter((_, i) => i % 2 === 0)
      )
      yield* f.append(
        1,
        values.filter((_, i) => i % 2 === 1)
      )
      yield* live(left, right)
      return yield* Compare.run("sales", 1, 2, options)
    }).pipe(Effect.provide(f.engine, { local: true }))

  const byCategory = (
    version: number,
    values: View.AggregateOptions<f.Order>["values"],
    keep: (o: f.Order) => boolean = () => true
  ) => View.aggregate("sales", f.orders.pipe(Log.where(keep)), { version, by: { category: "category" }, values })

  it.effect("equal versions: every row is the same, over the columns that both have", () =>
    Effect.gen(function* () {
      const left = byCategory(1, { n: Aggregate.count, sum: Aggregate.sum("total"), low: Aggregate.min("id") })
      const right = byCategory(2, {
        high: Aggregate.max("id"),
        sum: Aggregate.sum("total"),
        n: Aggregate.count,
        low: Aggregate.min("total")
      })
      const comparison = yield* compared(f.some(0, 40), left, right)
      assert.deepStrictEqual(comparison, {
        view: "sales",
        left: 1,
        right: 2,
        keys: ["category"],
        common: ["n", "sum"],
        onlyLeft: ["low"],
        onlyRight: ["high", "low"],
        rows: { same: 3, different: 0, missingLeft: 0, missingRight: 0 },
        sample: []
      })
      assert.isTrue(Compare.isEqual(comparison))
    })
  )

  it.effect("tells rows that differ from rows that only one side has, and shows the first of them in key order", () =>
    Effect.gen(function* () {
      const values = ["d", "b", "a", "c", "b"].map((category, id) => ({ category, id }))
      const n = Aggregate.count
      const left = byCategory(1, { n, sum: Aggregate.sum("id") }, (o) => o.category !== "a")
      const right = byCategory(2, { n, sum: Aggregate.sum("id") }, (o) => o.category !== "d" && o.id !== 1)
      const comparison = yield* compared(values, left, right, { sample: 2 })
      assert.deepStrictEqual(comparison.rows, { same: 1, different: 1, missingLeft: 1, missingRight: 1 })
      assert.deepStrictEqual(comparison.sample, [
        { key: ["a"], left: undefined, right: [1, 2] },
        { key: ["b"], left: [2, 5], right: [1, 4] }
      ])
      assert.isFalse(Compare.isEqual(comparison))
      const all = yield* compared(values, left, right)
      assert.deepStrictEqual(all.sample.at(-1), { key: ["d"], left: [1, 0], right: undefined })
      assert.deepStrictEqual((yield* compared(values, left, right, { sample: 0 })).sample, [])
    })
  )

  it.effect("an average is compared by its sum and its count, not as it is rounded", () =>
    Effect.gen(function* () {
      const values = [{ total: 2 }, { total: 2, id: 9 }]
      const mean = Aggregate.avg("total", { places: 2 })
      const comparison = yield* compared(
        values,
        byCategory(1, { mean }),
        byCategory(2, { mean }, (o) => o.id !== 9)
      )
      assert.deepStrictEqual(comparison.sample, [{ key: ["a"], left: [400, 2], right: [200, 1] }])
    })
  )

  it.effect(
    "walks both sides in one order: text by code point, then the window; over more rows than come at a time",
    () =>
      Effect.gen(function* () {
        // Sixteen bits each, but above the surrogates that stand for the code points beyond them.
        const high = ["\ue000", "ﬀ", "\uffff"]
        const categories = ["", "a", "a\u0301", "é", "\ud7ff", ...high, "😀", "😁", "z", "A", "aa"]
        const many = Array.from({ length: 3000 }, (_, i) => ({ category: `k${i % 1500}`, ts: 60_000 * (i % 7) }))
        const values = [...categories.map((category) => ({ category })), ...many]
        const windowed = (version: number, keep: (o: f.Order) => boolean) =>
          View.aggregate("sales", f.orders.pipe(Log.where(keep), Log.eventTime("ts", { outOfOrderness: "1 day" })), {
            version,
            by: { category: "category" },
            window: Window.tumbling("1 minute"),
            values: { n: Aggregate.count }
          })
        const comparison = yield* compared(
          values,
          windowed(1, (o) => !high.includes(o.category!)),
          windowed(2, (o) => o.category !== "😀")
        )
        const cells = new Set(values.map((v) => JSON.stringify([v.category, "ts" in v ? v.ts : 0]))).size
        assert.deepStrictEqual(comparison.rows, { same: cells - 4, different: 0, missingLeft: 3, missingRight: 1 })
        assert.deepStrictEqual(
          comparison.sample.map((d) => d.key),
          [...high, "😀"].map((category) => [category, 0])
        )
      })
  )

  it.effect("versions at different offsets, of another shape, or that aren't there, are refused", () =>
    Effect.gen(function* () {
      yield* f.createTopic(2)
      yield* f.append(0, f.some(0, 5))
      const n = Aggregate.count
      yield* live(byCategory(1, { n }), byCategory(2, { n }))
      yield* f.append(0, f.some(5, 8))
      yield* live(byCategory(1, { n }))
      assert.strictEqual(
        yield* message(Compare.run("sales", 1, 2)),
        'the versions of view "sales" stand at different offsets: version 1 at 0:8 1:0, version 2 at 0:5 1:0. Let both catch up (run or replay), then compare'
      )
      yield* live(View.aggregate("sales", f.orders, { version: 3, by: { status: "status" }, values: { n } }))
      assert.match(
        yield* message(Compare.run("sales", 1, 3)),
        /can't be compared row by row: version 1 has keys .*category.* version 3 has .*status/
      )
      assert.match(yield* message(Compare.run("sales", 1, 9)), /version 9 of view "sales" is not in the store/)
    }).pipe(Effect.provide(f.engine))
  )

  it.effect("a comparison that a live run overtakes is refused: its sides would be of different moments", () =>
    Effect.gen(function* () {
      yield* f.createTopic(1)
      yield* f.append(0, f.some(0, 5))
      const n = Aggregate.count
      const both = live(byCategory(1, { n }), byCategory(2, { n }))
      yield* both
      const store = yield* ViewStore
      const context = yield* Effect.context<Effect.Services<typeof both> | EventLog>()
      const moving = ViewStore.of({
        ...store,
        rows: (view, version) =>
          Stream.unwrap(
            f
              .append(0, f.some(0, 1))
              .pipe(Effect.andThen(both), Effect.provide(context), Effect.orDie, Effect.as(store.rows(view, version)))
          )
      })
      const text = yield* message(Effect.provideService(Compare.run("sales", 1, 2), ViewStore, moving))
      assert.match(text, /they were at 0:5, and moved on while they were compared\. Let both catch up/)
    }).pipe(Effect.provide(f.engine))
  )
})

describe("Promotion", () => {
  it.effect("swaps what readers of the view see, and swaps it back", () =>
    Effect.gen(function* () {
      const folder = yield* f.temporaryFolder
      yield* Effect.gen(function* () {
        yield* f.createTopic(1)
        yield* f.append(0, [{ total: 1 }, { total: 2.5 }])
        const reader = new DatabaseSync(join(folder, "views.db"), { readOnly: true })
        yield* Effect.addFinalizer(() => Effect.sync(() => reader.close()))
        const seen = () => ({ ...reader.prepare("SELECT * FROM sales").get() })
        const one = View.aggregate("sales", f.orders, { version: 1, by: {}, values: { n: Aggregate.count } })
        const two = View.aggregate("sales", f.orders, { version: 2, by: {}, values: { total: Aggregate.sum("total") } })
        yield* live(one)
        assert.deepStrictEqual(seen(), { n: 2 })
        assert.strictEqual(
          yield* message(Promotion.rollback("sales")),
          'view "sales" has no earlier promoted version to roll back to: promote another one first'
        )
        // A version that is being built can't be promoted, nor one that isn't there.
        yield* Version.register(f.declared(two))
        assert.match(
          yield* message(Promotion.promote("sales", 2)),
          /version 2 of view "sales" is half built: finish its replay/
        )
        assert.match(
          yield* message(Promotion.promote("sales", 3)),
          /version 3 of view "sales" is not in the store: build it/
        )
        assert.deepStrictEqual(seen(), { n: 2 })

        yield* Replay.run({ declared: f.declared(two), owner })
        assert.deepStrictEqual(seen(), { n: 2 })
        const promoted = yield* Promotion.promote("sales", 2)
        assert.deepStrictEqual([promoted.version, promoted.previous, promoted.info.promoted], [2, 1, true])
        assert.deepInclude(seen(), { total: 3.5 })

        // Version 1 is no longer run: a rollback says where it stopped.
        yield* f.append(0, [{ total: 4 }])
        yield* live(two)
        const back = yield* Promotion.rollback("sales")
        assert.deepStrictEqual([back.version, back.previous, back.info.positions[0]!.next], [1, 2, 2])
        assert.deepStrictEqual(seen(), { n: 2 })
        const again = yield* Promotion.rollback("sales")
        assert.deepStrictEqual([again.version, again.previous, again.info.positions[0]!.next], [2, 1, 3])
      }).pipe(Effect.scoped, Effect.provide(f.engineIn(folder)))
    })
  )
})
