/** Change streams of running views: exactly the net differences, through every death of the crash table. */
import { assert, describe, it } from "@effect/vitest"
import { ChangeSink, ChangeSinkError, SinkOutcomeUnknown } from "@headrace/core/ChangeSink"
import { ViewStore } from "@headrace/core/ViewStore"
import { CommitPoint } from "@headrace/embedded"
import { Aggregate, Live, LiveOutput, Log, Output, View, ViewError } from "@headrace/kappa"
import { Effect, Exit, Layer, Result, Schema } from "effect"
import * as f from "./fixtures.ts"
import * as s from "./streams.ts"

const view = f.sales(1)
const owner = "the test"
const stream = { view: "sales", version: 1, topic: "sales.v1" }

/** An engine, a sink in memory and a fault that both meet; what is appended is remembered. */
const world = (partitions: number) =>
  Effect.gen(function* () {
    const fault = new s.Fault()
    const { published, sink } = s.memory(stream)
    const within = (point: string) => {
      if (point === "before-commit") fault.meet("within-commit")
    }
    const engine = yield* Layer.build(Layer.provide(f.engine, Layer.succeed(CommitPoint.CommitPoint, within)))
    const inEngine = Effect.provide(engine)
    yield* inEngine(f.createTopic(partitions))
    const records = Array.from({ length: partitions }, (): Array<f.Value> => [])
    const append = (partition: number, values: ReadonlyArray<f.Value>) => {
      records[partition]!.push(...values)
      return inEngine(f.append(partition, values))
    }
    const run = (options: Partial<LiveOutput.Options> = {}) =>
      Effect.gen(function* () {
        return yield* LiveOutput.run({ outputs: [{ declared: f.declared(view) }], owner, ...options }).pipe(
          Effect.provideService(ViewStore, yield* s.faultyStore(fault)),
          Effect.provideService(ChangeSink, ChangeSink.of(s.faultySink(sink, fault)))
        )
      }).pipe(inEngine)
    /** Dies at the point, which must be met. */
    const die = (point: s.Point, at: number, options: Partial<LiveOutput.Options> = {}) =>
      Effect.gen(function* () {
        fault.arm(point, at)
        const exit = yield* Effect.exit(run(options))
        assert.isTrue(Exit.isFailure(exit) && fault.died, point)
        fault.arm(undefined, 0)
      })
    const standing = inEngine(
      Effect.map(
        Effect.flatMap(ViewStore, (store) => store.version("sales", 1)),
        ({ positions }) => positions.map((p) => p.next)
      )
    )
    /** Every publish is the net difference of the tables at its vector and at the one before, each key once. */
    const check = (what: string, begin = 0) => {
      let before: ReadonlyArray<number> = records.map(() => 0)
      for (const [i, one] of published().entries()) {
        const now = s.vectorOf(one)
        if (i >= begin) {
          const expected = s.difference(s.tableOf(records, before), s.tableOf(records, now))
          assert.deepStrictEqual(
            new Map(one.changes.map((c) => [c.key, c.value])),
            new Map(expected),
            `${what}: publish ${i}`
          )
          assert.strictEqual(one.changes.length, expected.size, `${what}: publish ${i} has a key twice`)
          for (const [p, next] of now.entries()) assert.isAtLeast(next, before[p] ?? 0, `${what}: publish ${i}`)
        }
        before = now
      }
      assert.deepStrictEqual(new Map(s.sumOf(published())), new Map(s.tableOf(records, before)), what)
      return before
    }
    /** The store stands where the stream does, with the table that the stream sums to. */
    const checkEnd = Effect.gen(function* () {
      const vector = check("the end")
      assert.deepStrictEqual(
        vector,
        records.map((own) => own.length)
      )
      assert.deepStrictEqual(yield* standing, vector)
      const spec = View.spec(view, "")
      const rows = yield* inEngine(f.rows("sales", 1))
      assert.deepStrictEqual(
        new Map(rows.map((row) => Output.upsert(spec, row)).map((c) => [c.key, c.value])),
        new Map(s.sumOf(published()))
      )
    })
    return { append, run, die, published, standing, check, checkEnd, inEngine, fault, sink }
  })

const reasonOf = <A, R>(effect: Effect.Effect<A, ViewError.ViewError, R>) =>
  Effect.map(Effect.flip(effect), (e) => e.reason)

describe("LiveOutput", () => {
  it.effect("writes the net difference of every step, and nothing for a row that stays the same", () =>
    Effect.gen(function* () {
      const w = yield* world(2)
      yield* w.append(0, f.some(0, 50))
      yield* w.append(1, f.some(3, 20))
      yield* w.run({ stepRecords: 14, maxRecords: 3 })
      assert.isAbove(w.published().length, 4)
      yield* w.checkEnd
      // Filtered and dead records move the vector alone.
      yield* w.append(1, [null, "no json"])
      yield* w.run()
      assert.deepStrictEqual(w.published().at(-1)!.changes, [])
      yield* w.checkEnd
      const before = w.published().length
      yield* w.run()
      assert.strictEqual(w.published().length, before)
    })
  )

  it.effect("ends a step when enough rows wait", () =>
    Effect.gen(function* () {
      const w = yield* world(2)
      const distinct = Array.from({ length: 40 }, (_, i) => ({ id: i, category: `c${i}`, ts: 0 }))
      yield* w.append(0, distinct)
      yield* w.append(1, distinct)
      yield* w.run({ stepPending: 16, maxRecords: 3 })
      // A record makes a partial and a distinct value: 8 rows a partition are there after two batches of 3.
      assert.deepStrictEqual(
        w.published().map(s.vectorOf),
        [6, 12, 18, 24, 30, 36, 40].map((n) => [n, n])
      )
      yield* w.checkEnd
    })
  )

  it.effect("shows keys, window and values in one canonical text", () =>
    Effect.gen(function* () {
      const w = yield* world(1)
      yield* w.append(0, [
        { category: 'é"😀', total: 0.1, ts: 60_000 },
        { category: 'é"😀', total: 0.2, ts: 61_000 }
      ])
      yield* w.run()
      assert.deepStrictEqual(w.published()[0]!.changes, [
        {
          key: '{"category":"é\\"😀","window_start":"1970-01-01T00:01:00.000Z"}',
          value:
            '{"category":"é\\"😀","window_start":"1970-01-01T00:01:00.000Z","window_end":"1970-01-01T00:02:00.000Z","n":2,"total":"0.30","mean":"0.15","ids":1}'
        }
      ])
    })
  )

  for (const point of s.points)
    it.effect(`loses nothing and writes nothing twice when it dies ${point}, whichever time`, () =>
      Effect.gen(function* () {
        for (const at of [1, 2, 3]) {
          const w = yield* world(2)
          yield* w.append(0, f.some(0, 40))
          yield* w.append(1, f.some(5, 30))
          yield* w.die(point, at, { stepRecords: 20 })
          const behind = point === "after-publish" || point === "within-commit"
          const vector = w.check(point)
          assert.strictEqual(
            w.published().length,
            at - (point === "after-publish" || point === "within-commit" || point === "after-commit" ? 0 : 1)
          )
          assert.strictEqual(
            (yield* w.standing).some((next, p) => next < (vector[p] ?? 0)),
            behind,
            point
          )
          // More has come meanwhile, and the next run takes other steps.
          yield* w.append(1, f.some(60, 70))
          yield* w.run({ stepRecords: 7, maxRecords: 2 })
          yield* w.checkEnd
        }
      }).pipe(Effect.scoped)
    )

  it.effect("dies again while it folds forward, and still writes nothing twice", () =>
    Effect.gen(function* () {
      for (const again of ["within-commit", "after-commit"] as const) {
        const w = yield* world(2)
        yield* w.append(0, f.some(0, 40))
        yield* w.append(1, f.some(5, 30))
        yield* w.die("after-publish", 2, { stepRecords: 30 })
        const vector = w.check("the first death")
        yield* w.die(again, 1)
        assert.deepStrictEqual(w.check(again), vector, "folding forward writes nothing")
        assert.isTrue(
          (yield* w.standing).some((next, p) => next < vector[p]!),
          again
        )
        yield* w.run()
        yield* w.checkEnd
      }
    })
  )

  it.effect("begins with the whole table where the store holds something and nothing was written, through deaths", () =>
    Effect.gen(function* () {
      const w = yield* world(2)
      yield* w.append(0, f.some(0, 40))
      yield* w.append(1, f.some(5, 30))
      yield* w.inEngine(Live.run({ views: [f.declared(view)], owner }))
      for (const point of ["before-publish", "within-publish"] as const) {
        yield* w.die(point, 1)
        assert.lengthOf(w.published(), 0)
      }
      yield* w.die("after-publish", 1)
      assert.lengthOf(w.published(), 1)
      w.check("the snapshot")
      yield* w.append(1, f.some(60, 70))
      yield* w.run()
      assert.lengthOf(w.published(), 2)
      yield* w.checkEnd
    })
  )

  it.effect("folds a store that was lost forward to the stream, and goes on from there", () =>
    Effect.gen(function* () {
      const w = yield* world(2)
      yield* w.append(0, f.some(0, 40))
      yield* w.run({ stepRecords: 15 })
      const before = w.published().length
      yield* w.inEngine(Effect.flatMap(ViewStore, (store) => store.dropView("sales")))
      yield* w.append(1, f.some(5, 30))
      yield* w.run({ stepRecords: 100 })
      assert.strictEqual(w.published().length, before + 1)
      yield* w.checkEnd
    })
  )

  it.effect("refuses a store that is ahead of the stream, and another topic begins with all rows", () =>
    Effect.gen(function* () {
      const w = yield* world(1)
      yield* w.append(0, f.some(0, 20))
      yield* w.run()
      yield* w.append(0, f.some(20, 30))
      yield* w.inEngine(Live.run({ views: [f.declared(view)], owner }))
      const reason = yield* reasonOf(w.run())
      assert.deepInclude(reason, {
        _tag: "OutputBehind",
        view: "sales",
        topic: "sales.v1",
        partition: 0,
        stream: 20,
        store: 30
      })
      assert.include(reason.message, "Drop the version")
      yield* w.run({ outputs: [{ declared: f.declared(view), topic: "other" }] })
      const other = w.sink.published({ ...stream, topic: "other" })
      assert.lengthOf(other, 1)
      assert.deepStrictEqual(other[0]!.progress.next, [{ partition: 0, next: 30 }])
    })
  )

  it.effect("refuses a topic of another declaration, and two views in one", () =>
    Effect.gen(function* () {
      const w = yield* world(1)
      yield* w.append(0, f.some(0, 20))
      yield* w.run()
      yield* w.inEngine(Effect.flatMap(ViewStore, (store) => store.dropView("sales")))
      const changed = f.declared(f.sales(1, { values: { n: Aggregate.count } }))
      const reason = yield* reasonOf(w.run({ outputs: [{ declared: changed }] }))
      assert.deepInclude(reason, { _tag: "OutputOfAnother", topic: "sales.v1" })
      const two = [f.declared(view), f.declared(f.sales(2))].map((declared) => ({ declared, topic: "one" }))
      assert.deepInclude(yield* reasonOf(w.run({ outputs: two })), {
        _tag: "OutputOfAnother",
        version: 2,
        topic: "one"
      })
      assert.lengthOf(w.published(), 1)
    })
  )

  it.effect("reads back what a sink doesn't know that it committed, or that it didn't", () =>
    Effect.gen(function* () {
      for (const took of [true, false]) {
        const w = yield* world(1)
        yield* w.append(0, f.some(0, 20))
        const unsure = ChangeSink.of({
          ...w.sink,
          open: (of) =>
            Effect.map(w.sink.open(of), ({ progress, publish }) => ({
              progress,
              publish: (changes, next) =>
                Effect.andThen(
                  took ? publish(changes, next) : Effect.void,
                  new ChangeSinkError({ reason: new SinkOutcomeUnknown({ topic: of.topic, detail: "no answer" }) })
                )
            }))
        })
        const reason = yield* reasonOf(
          LiveOutput.run({ outputs: [{ declared: f.declared(view) }], owner, stepRecords: 12 }).pipe(
            Effect.provideService(ChangeSink, unsure),
            w.inEngine
          )
        )
        assert.include(reason.message, "start again")
        assert.deepStrictEqual(yield* w.standing, [0])
        yield* w.run()
        assert.lengthOf(w.published(), took ? 2 : 1)
        yield* w.checkEnd
      }
    })
  )

  it.effect("fences a process that was taken for dead, whether it wakes before its publish or its commit", () =>
    Effect.gen(function* () {
      for (const wakes of ["publish", "commit"] as const) {
        const w = yield* world(1)
        yield* w.append(0, f.some(0, 20))
        // While the zombie holds still, the heir takes stream and version over; the lock of the embedded store is what would prevent it.
        const heir = Effect.orDie(Effect.scoped(w.sink.open(stream)))
        const store = yield* w.inEngine(ViewStore)
        const zombieStore = ViewStore.of({
          ...store,
          preview: (lease, commits) =>
            Effect.tap(store.preview(lease, commits), () => (wakes === "publish" ? heir : Effect.void)),
          commit: (lease, commits) =>
            store.commit(wakes === "commit" ? { ...lease, epoch: lease.epoch - 1 } : lease, commits)
        })
        const reason = yield* reasonOf(
          LiveOutput.run({ outputs: [{ declared: f.declared(view) }], owner }).pipe(
            Effect.provideService(ViewStore, zombieStore),
            Effect.provideService(ChangeSink, ChangeSink.of(w.sink)),
            w.inEngine
          )
        )
        assert.strictEqual("reason" in reason ? reason.reason._tag : "", wakes === "publish" ? "SinkFenced" : "Fenced")
        assert.deepStrictEqual(yield* w.standing, [0])
        assert.lengthOf(w.published(), wakes === "publish" ? 0 : 1)
      }
    })
  )
})

describe("Output", () => {
  it("writes a tombstone for a row that is gone, and nothing for a change that isn't shown", () => {
    const mean = View.aggregate("mean", f.orders.pipe(Log.select("id")), {
      version: 1,
      by: { id: "id" },
      values: { mean: Aggregate.avg("id", { places: 0 }) }
    })
    const spec = View.spec(mean, "")
    assert.deepStrictEqual(
      Output.changesOf(spec, [
        { before: [1, 10, 2], after: undefined },
        { before: [2, 10, 2], after: [2, 15, 3] },
        { before: [3, 10, 2], after: [3, 16, 2] },
        { before: undefined, after: [4, null, 0] }
      ]),
      [
        { key: '{"id":1}', value: null },
        { key: '{"id":3}', value: '{"id":3,"mean":"8"}' },
        { key: '{"id":4}', value: '{"id":4,"mean":null}' }
      ]
    )
  })

  it("goes from the store's vector to the stream's, or says why it can't", () => {
    const spec = View.spec(view, "")
    const at = (partition: number, next: number) => ({ ...f.start, partition, next })
    const recover = (stored: ReadonlyArray<number>, streamed: ReadonlyArray<number> | undefined, topicId = "id") => {
      const positions = stored.map((next, partition) => at(partition, next))
      const starts = stored.map((_, partition) => ({ partition, offset: 5 }))
      const info = { ...spec, status: "ready", promoted: true, topicId: "id", starts, positions } as const
      const progress =
        streamed &&
        Output.progressOf(
          spec,
          topicId,
          streamed.map((next, partition) => at(partition, next))
        )
      const way = Output.recover(spec, "out", info, progress)
      if (Result.isFailure(way)) return way.failure.message
      return way.success === "snapshot"
        ? way.success
        : way.success.map((s) => [s.start.partition, s.start.next, s.until])
    }
    assert.deepStrictEqual(recover([5, 5], undefined), [])
    assert.deepStrictEqual(recover([5, 6], undefined), "snapshot")
    assert.deepStrictEqual(recover([9, 7], [9, 8]), [[1, 7, 8]])
    // A partition that was added since stands at its start in the stream.
    assert.deepStrictEqual(recover([9, 5], [9]), [])
    assert.include(recover([9, 6], [9]), "stop before offset 5 of partition 1, but the store holds it up to 6")
    assert.include(recover([9, 9], [9, 8]), "stop before offset 8 of partition 1, but the store holds it up to 9")
    assert.include(recover([9], [9, 8]), 'it tells of partition 1, which topic "orders" doesn\'t have')
    assert.include(recover([5], [9], "former"), "was deleted and made anew (its id was former, and is id)")
  })

  it("shares a step out evenly, at least one record each", () => {
    const at = (partition: number, next: number) => ({ ...f.start, partition, next })
    const ends = [10, 5, 5, 100]
    const steps = (records: number) =>
      Output.step([at(0, 0), at(1, 5), at(2, 3), at(3, 40)], (p) => ends[p]!, records).map((t) => [
        t.start.partition,
        t.until
      ])
    assert.deepStrictEqual(steps(30), [
      [0, 10],
      [2, 5],
      [3, 50]
    ])
    assert.deepStrictEqual(steps(1), [
      [0, 1],
      [2, 4],
      [3, 41]
    ])
  })
})

const action = Schema.Union([
  Schema.Struct({
    do: Schema.Literal("append"),
    partition: Schema.Literals([0, 1, 2]),
    from: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })),
    count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 25 }))
  }),
  Schema.Struct({
    do: Schema.Literal("run"),
    stepRecords: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })),
    maxRecords: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })),
    point: Schema.Literals([...s.points, "none"]),
    at: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))
  }),
  Schema.Struct({ do: Schema.Literals(["lose the store"]) })
])

it.effect.prop(
  "whatever dies when, with whatever steps, every publish is the net difference of two tables and the stream sums to the table",
  {
    partitions: Schema.Literals([1, 2, 3]),
    actions: Schema.Array(action).check(Schema.isMinLength(3), Schema.isMaxLength(14)),
    begun: Schema.Boolean
  },
  ({ actions, begun, partitions }) =>
    Effect.gen(function* () {
      const w = yield* world(partitions)
      yield* w.append(0, f.some(0, 20))
      if (begun) yield* w.inEngine(Live.run({ views: [f.declared(view)], owner }))
      for (const [i, one] of actions.entries()) {
        if (one.do === "append") yield* w.append(one.partition % partitions, f.some(one.from, one.from + one.count))
        else if (one.do === "lose the store") {
          // What was never written can't be told from what never was.
          if (w.published().length > 0) yield* w.inEngine(Effect.flatMap(ViewStore, (store) => store.dropView("sales")))
        } else {
          w.fault.arm(one.point === "none" ? undefined : one.point, one.at)
          const exit = yield* Effect.exit(w.run({ stepRecords: one.stepRecords, maxRecords: one.maxRecords }))
          assert.strictEqual(Exit.isFailure(exit), w.fault.died, `action ${i}`)
          w.fault.arm(undefined, 0)
          w.check(`action ${i}`)
          if (!Exit.isFailure(exit)) yield* w.checkEnd
        }
      }
      yield* w.run()
      yield* w.checkEnd
    }).pipe(Effect.scoped),
  { arbitrary: { runs: 40 } }
)
