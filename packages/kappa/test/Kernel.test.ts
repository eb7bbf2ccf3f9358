/** What becomes of a record, step by step, and what the aggregates hold. */
import { assert, describe, it } from "@effect/vitest"
import { Aggregate, instant, Kernel, Log, View, Window } from "@headrace/kappa"
import { Schema } from "effect"
import * as fc from "fast-check"
import { batch, fold, type Fields, Order, orders, readable, start } from "./fixtures.ts"

const minute = 60_000
const ok = Log.where((o: Order) => o.status === "ok")

const perMinute = (source: Log.Source<Order>) =>
  View.aggregate("v", source, {
    version: 1,
    by: { category: "category" },
    window: Window.tumbling("1 minute"),
    values: { n: Aggregate.count }
  })

/** A view over all of time with these values by nothing. */
const overAll = (values: Readonly<Record<string, Aggregate.Aggregate<Order>>>) =>
  View.aggregate("v", orders, { version: 1, by: {}, values })

describe("Kernel, what becomes of a record", () => {
  it("decode, then the filter, then late, then the keys, then apply", () => {
    const view = perMinute(orders.pipe(Log.eventTime("ts"), ok))
    const { counts, dead, late, rows } = fold(view, [
      { ts: 10 * minute }, // moves the watermark: all that is before its minute is late
      null, // a tombstone is filtered
      "not json", // can't be decoded
      '{"id":1}', // nor can this
      { ts: 0, status: "no" }, // late, but filtered before that
      { ts: 0, category: null }, // no key, but late before that
      { ts: 10 * minute, category: null } // no key
    ])
    assert.deepStrictEqual(counts, { read: 7, applied: 1, filtered: 2, late: 1, dead: 3 })
    assert.deepStrictEqual(late, [5])
    assert.deepStrictEqual(dead, [
      [2, "not-json"],
      [3, "missing-field:status"],
      [6, "null-key:category"]
    ])
    assert.deepStrictEqual(rows, [{ category: "a", window: 10 * minute, n: 1 }])
  })

  it("an event time before the filter is moved by every record that decodes, one after it by those that pass", () => {
    const values = [{ ts: 10 * minute, status: "no" }, { ts: 0 }]
    const before = fold(perMinute(orders.pipe(Log.eventTime("ts"), ok)), values)
    assert.deepStrictEqual(before.counts, { read: 2, applied: 0, filtered: 1, late: 1, dead: 0 })
    const after = fold(perMinute(orders.pipe(ok, Log.eventTime("ts"))), values)
    assert.deepStrictEqual(after.counts, { read: 2, applied: 1, filtered: 1, late: 0, dead: 0 })
    const between = orders.pipe(
      ok,
      Log.eventTime("ts"),
      Log.where((o) => o.id > 0)
    )
    const moved = fold(perMinute(between), [{ ts: 10 * minute, id: 0 }, { ts: 0 }])
    assert.deepStrictEqual(moved.counts, { read: 2, applied: 0, filtered: 1, late: 1, dead: 0 })
  })

  it("a record is late from the millisecond on at which the watermark reaches its window's last one", () => {
    const view = perMinute(orders.pipe(Log.eventTime("ts", { outOfOrderness: "5 seconds" })))
    const lateAfter = (largest: number) => fold(view, [{ ts: largest }, { ts: 0 }]).counts.late
    assert.strictEqual(lateAfter(minute - 1 + 5000 - 1), 0)
    assert.strictEqual(lateAfter(minute - 1 + 5000), 1)
    // Its own event time doesn't count: only what came before it.
    assert.deepStrictEqual(fold(view, [{ ts: 100 * minute }]).late, [])
    // Nor do instants before 1970 behave otherwise.
    assert.strictEqual(fold(view, [{ ts: -1 + 5000 }, { ts: -1 }]).counts.late, 1)
    assert.strictEqual(fold(view, [{ ts: -1 + 4999 }, { ts: -minute }]).counts.late, 0)
  })

  it("of a late record its coordinates, event time, window and selected columns are kept, decimals exactly", () => {
    const source = Log.topic("orders", { value: Order }).pipe(Log.select("total", "ts"), Log.eventTime("ts"))
    const view = View.aggregate("v", source, {
      version: 1,
      by: {},
      window: Window.tumbling("1 minute"),
      values: { n: Aggregate.count }
    })
    const kernel = Kernel.make(view, { ...start, maxEventTime: 10 * minute, next: 40 })
    kernel.apply(batch(view, [{ ts: 61_000, total: 0.1 }], 40))
    assert.deepStrictEqual(kernel.take().late, [
      { offset: 40, eventTime: 61_000, windowStart: minute, columns: '{"total":"0.10","ts":61000}' }
    ])
  })

  it("without a window nothing is late", () => {
    const view = View.aggregate("v", orders.pipe(Log.eventTime("ts")), {
      version: 1,
      by: {},
      values: { n: Aggregate.count }
    })
    assert.deepStrictEqual(fold(view, [{ ts: 100 * minute }, { ts: 0 }]).rows, [{ n: 2 }])
  })

  it("an expression that throws, or gives what its type can't hold, makes a dead letter; nothing of that record is applied", () => {
    const bad: ReadonlyArray<readonly [string, (o: Order) => unknown]> = [
      ["throws", () => Symbol("no").description!.at(99)!.length],
      ["fraction", () => 0.5],
      ["unsafe", () => 2 ** 53],
      ["NaN", () => Number.NaN],
      ["text", () => "1"]
    ]
    for (const [name, of] of bad) {
      const view = overAll({
        n: Aggregate.count,
        total: Aggregate.sum("total"),
        s: Aggregate.sum((o: Order) => (o.id === 2 ? (of(o) as number) : o.id))
      })
      const { counts, dead, rows } = fold(view, [{ id: 1 }, { id: 2 }, { id: 3 }])
      assert.deepStrictEqual(dead, [[1, "expression-failed:s"]], name)
      assert.deepStrictEqual(rows, [{ n: 2, total: 200, s: 4 }], name)
      assert.deepStrictEqual(counts, { read: 3, applied: 2, filtered: 0, late: 0, dead: 1 }, name)
    }
    const tooManyPlaces = overAll({ s: Aggregate.sum((o: Order) => o.id / 1000, { scale: 2 }) })
    assert.deepStrictEqual(fold(tooManyPlaces, [{ id: 1 }, { id: 10 }]).dead, [[0, "expression-failed:s"]])
    assert.deepStrictEqual(fold(tooManyPlaces, [{ id: 1 }, { id: 10 }]).rows, [{ s: 1 }])
    const key = View.aggregate("v", orders, {
      version: 1,
      by: { c: (o: Order) => o.category!.toUpperCase() },
      values: { n: Aggregate.count }
    })
    assert.deepStrictEqual(fold(key, [{ category: null }, {}]).dead, [[0, "expression-failed:c"]])
    const where = orders.pipe(Log.where((o: Order) => o.category!.length > 0))
    const filter = View.aggregate("v", where, { version: 1, by: {}, values: { n: Aggregate.count } })
    assert.deepStrictEqual(fold(filter, [{ category: null }, {}]).dead, [[0, "expression-failed:where"]])
  })

  it("an expression that gives null as a key makes a dead letter, as a value it is skipped", () => {
    const view = View.aggregate("v", orders, {
      version: 1,
      by: { c: (o: Order) => o.category! },
      values: { s: Aggregate.sum((o: Order) => (o.id === 1 ? null : o.id)) }
    })
    const { dead, rows } = fold(view, [{ category: null }, { id: 1 }, { id: 5 }])
    assert.deepStrictEqual(dead, [[0, "null-key:c"]])
    assert.deepStrictEqual(rows, [{ c: "a", s: 5 }])
  })

  it("reading a column that isn't selected is the declaration's fault, not a record's", () => {
    const narrow = orders.pipe(
      Log.select("id"),
      Log.where((o) => (o as Order).status === "ok")
    )
    const view = View.aggregate("v", narrow, { version: 1, by: {}, values: { n: Aggregate.count } })
    assert.throws(() => fold(view, [{}]), Kernel.ColumnNotSelected, /reads the column "status"/)
  })
})

describe("Kernel, aggregates", () => {
  it("sums are exact beyond 2^53, in both directions and back again", () => {
    const view = overAll({ s: Aggregate.sum("id") })
    const largest = Number.MAX_SAFE_INTEGER
    const sum = (...ids: ReadonlyArray<number>) =>
      fold(
        view,
        ids.map((id) => ({ id }))
      ).rows[0]!["s"]
    assert.strictEqual(sum(largest, largest, largest), 3n * BigInt(largest))
    assert.strictEqual(sum(largest, 1, 1), BigInt(largest) + 2n)
    assert.strictEqual(sum(-largest, -largest), -2n * BigInt(largest))
    assert.strictEqual(sum(largest, largest, -largest), largest)
    assert.strictEqual(sum(largest, 5, -largest), 5)
  })

  it("count, countIf, sum, min, max, avg and countDistinct of decimals; nulls are skipped", () => {
    const view = overAll({
      n: Aggregate.count,
      large: Aggregate.countIf((o: Order) => o.total !== null && o.total > 1),
      sum: Aggregate.sum("total"),
      min: Aggregate.min("total"),
      max: Aggregate.max("total"),
      avg: Aggregate.avg("total", { places: 3 }),
      totals: Aggregate.countDistinct("total"),
      first: Aggregate.countDistinct((o: Order) => o.status.slice(0, 1))
    })
    const values = [
      { total: 0.1 },
      { total: 0.2, status: "no" },
      { total: null },
      { total: 2, status: "okay" },
      { total: 0.2 }
    ]
    assert.deepStrictEqual(fold(view, values).rows, [
      { n: 5, large: 1, sum: 250, min: 10, max: 200, avg: [250, 4], totals: [10, 20, 200], first: ["o", "n"] }
    ])
    assert.deepStrictEqual(fold(view, [{ total: null }]).rows, [
      { n: 1, large: 0, sum: null, min: null, max: null, avg: [null, 0], totals: [], first: ["o"] }
    ])
  })

  it("minimum and maximum of instants, and of negative numbers", () => {
    const view = overAll({
      from: Aggregate.min("ts"),
      to: Aggregate.max("ts"),
      low: Aggregate.min("id"),
      high: Aggregate.max("id")
    })
    const values = [
      { ts: 5, id: -3 },
      { ts: -7, id: -9 },
      { ts: 0, id: -4 }
    ]
    assert.deepStrictEqual(fold(view, values).rows, [{ from: -7, to: 5, low: -9, high: -3 }])
  })

  it("keys of every type, several of them, apart by window", () => {
    const Reading = Schema.Struct({ place: Schema.String, indoors: Schema.Boolean, at: instant })
    const source = Log.topic("orders", { value: Reading, eventTime: "at", outOfOrderness: "1 hour" })
    const view = View.aggregate("v", source, {
      version: 1,
      by: { place: "place", indoors: "indoors", hour: { of: (r) => r.at % 24, type: { kind: "integer" } } },
      window: Window.tumbling(1000),
      values: { n: Aggregate.count }
    })
    const json = (place: string, indoors: boolean, at: number) => JSON.stringify({ place, indoors, at })
    const { rows } = fold(view, [json("x", true, 24), json("x", false, 24), json("x", true, 48), json("x", true, 1008)])
    assert.deepStrictEqual(rows, [
      { place: "x", indoors: true, hour: 0, window: 0, n: 2 },
      { place: "x", indoors: false, hour: 0, window: 0, n: 1 },
      { place: "x", indoors: true, hour: 0, window: 1000, n: 1 }
    ])
  })
})

describe("Kernel, batches and commits", () => {
  const view = View.aggregate("v", orders.pipe(Log.eventTime("ts", { outOfOrderness: "10 seconds" }), ok), {
    version: 1,
    by: { category: "category" },
    window: Window.tumbling("1 minute"),
    values: {
      n: Aggregate.count,
      s: Aggregate.sum("id"),
      low: Aggregate.min("ts"),
      avg: Aggregate.avg("total"),
      ids: Aggregate.countDistinct("id")
    }
  })
  const value: fc.Arbitrary<Fields | null | string> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        id: fc.integer({ min: -3, max: 3 }),
        category: fc.constantFrom("a", "b", null),
        total: fc.option(fc.integer({ min: 0, max: 9 })),
        status: fc.constantFrom("ok", "ok", "no"),
        ts: fc.nat(5 * minute)
      })
    },
    { weight: 1, arbitrary: fc.constantFrom(null, "no json") }
  )
  const batches = fc.array(fc.array(value, { maxLength: 12 }), { minLength: 1, maxLength: 6 })

  it("records cut into batches otherwise give the same commit, and the counts add up", () => {
    fc.assert(
      fc.property(batches, (batches) => {
        const whole = fold(view, batches.flat())
        assert.deepStrictEqual(fold(view, ...batches), whole)
        const { applied, dead, filtered, late, read } = whole.counts
        assert.strictEqual(read, applied + dead + filtered + late)
        assert.strictEqual(read, batches.flat().length)
      }),
      { numRuns: 200 }
    )
  })

  it("a commit holds what came since the one before it; position, watermark and counts are totals", () => {
    const kernel = Kernel.make(view, start)
    kernel.apply(batch(view, [{ ts: 5 * minute, id: 7 }, "no json"], 0))
    const first = kernel.take()
    assert.deepStrictEqual([first.from, first.position.next, first.position.maxEventTime], [0, 2, 5 * minute])
    assert.strictEqual(kernel.pending(), 0)
    kernel.apply(batch(view, [{ ts: 5 * minute, id: 8 }, { ts: 0 }], 2))
    assert.strictEqual(kernel.pending(), 3) // a row, a distinct value, a late record
    const second = readable(view, kernel.take())
    assert.deepStrictEqual(second.counts, { read: 4, applied: 2, filtered: 0, late: 1, dead: 1 })
    assert.deepStrictEqual(second.rows, [
      { category: "a", window: 5 * minute, n: 1, s: 8, low: 5 * minute, avg: [100, 1], ids: [8] }
    ])
    const third = kernel.take()
    assert.deepStrictEqual([third.from, third.position.next, third.partials.count, third.late], [4, 4, 0, []])
  })

  it("goes on from a position as if it had never stopped", () => {
    fc.assert(
      fc.property(batches, batches, (before, after) => {
        const kernel = Kernel.make(view, start)
        kernel.apply(batch(view, before.flat()))
        kernel.take()
        const resumed = Kernel.make(view, kernel.position())
        const more = batch(view, after.flat(), before.flat().length)
        kernel.apply(more)
        resumed.apply(more)
        assert.deepStrictEqual(resumed.take(), kernel.take())
      }),
      { numRuns: 100 }
    )
  })
})
