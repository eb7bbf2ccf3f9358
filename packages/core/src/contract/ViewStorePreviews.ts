/** Looking ahead in the view store port: what a commit will change, told before it is made. */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RowChange, ViewRow, ViewStore } from "../ViewStore.ts"
import { type Input, partialsOf, rowsOf } from "./Partials.ts"
import { commitOf, deadRow, input, lateRow, newView, rows, stateOf, tagOf } from "./Versions.ts"

const steps = Schema.Array(
  Schema.Array(
    Schema.Struct({
      partition: Schema.Literals([0, 1]),
      key: Schema.Literals(["a", "b😀"]),
      place: Schema.Literals([-2, 10]),
      window: Schema.Literals([-60_000, 0]),
      amount: Schema.NullOr(Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(2n ** 56n), maximum: 2n ** 56n }))),
      user: Schema.NullOr(Schema.Literals(["u1", "u2"]))
    })
  ).check(Schema.isMaxLength(12))
).check(Schema.isMaxLength(6))

const idOf = (row: ViewRow) => JSON.stringify(row.slice(0, 3))

/** By group, whatever the order in which a store gives them. */
const sorted = (changes: ReadonlyArray<RowChange>) =>
  changes.toSorted((a, b) => (idOf((a.after ?? a.before)!) < idOf((b.after ?? b.before)!) ? -1 : 1))

export const previews = (it: Vitest.MethodsNonLive<ViewStore>): void => {
  it.effect.prop(
    "previews the rows of the touched groups before and after a commit, each once, and changes nothing",
    { steps },
    (generated) =>
      Effect.gen(function* () {
        const { lease, store, view } = yield* newView([0, 0])
        const next = [0, 0]
        const all: Array<Input> = []
        for (const step of generated.steps) {
          const commits = [0, 1].map((partition) => {
            const own = step.filter((one) => one.partition === partition)
            const from = next[partition]!
            next[partition] = from + own.length
            return commitOf(partition, from, from + own.length, { partials: partialsOf(own) })
          })
          const touched = new Set(rowsOf(step).map(idOf))
          const before = new Map(rowsOf(all).map((row) => [idOf(row), row]))
          all.push(...step)
          const after = new Map(rowsOf(all).map((row) => [idOf(row), row]))
          const state = yield* stateOf(view, 1)
          const told = yield* store.preview(lease, commits)
          assert.deepStrictEqual(
            sorted(told),
            sorted([...touched].map((id) => ({ before: before.get(id), after: after.get(id) })))
          )
          assert.deepStrictEqual(yield* stateOf(view, 1), state)
          yield* store.commit(lease, commits)
          assert.deepStrictEqual(yield* rows(view, 1), rowsOf(all))
        }
      }),
    { arbitrary: { runs: 20 } }
  )

  it.effect("previews the one row of a view without keys and windows, and keys of every type", () =>
    Effect.gen(function* () {
      const whole = yield* newView([0], { keys: [], windowSize: undefined, aggregates: [{ name: "n", kind: "count" }] })
      const one = { count: 1, keys: [], windows: undefined, values: [[2]], sets: [] }
      const commit = (from: number) => [commitOf(0, from, from + 1, { partials: one })]
      assert.deepStrictEqual(yield* whole.store.preview(whole.lease, commit(0)), [{ before: undefined, after: [2] }])
      yield* whole.store.commit(whole.lease, commit(0))
      assert.deepStrictEqual(yield* whole.store.preview(whole.lease, commit(1)), [{ before: [2], after: [4] }])
      assert.deepStrictEqual(
        yield* whole.store.preview(
          whole.lease,
          [commitOf(0, 1, 9)].map((c) => ({ ...c, partials: { ...one, count: 0, values: [[]] } }))
        ),
        []
      )
      const kinds = ["string", "integer", "boolean", "date", "instant"] as const
      const typed = yield* newView([0], {
        keys: [
          ...kinds.map((kind) => ({ name: kind, type: { kind } })),
          { name: "d", type: { kind: "decimal", scale: 2 } }
        ],
        windowSize: undefined,
        aggregates: [{ name: "yes", kind: "countDistinct", type: { kind: "boolean" } }]
      })
      const key = ["1", 1, true, -1, 0, 199]
      const partials = {
        count: 1,
        keys: key.map((k) => [k]),
        windows: undefined,
        values: [],
        sets: [[new Set([true])]]
      }
      const commits = [commitOf(0, 0, 1, { partials })]
      assert.deepStrictEqual(yield* typed.store.preview(typed.lease, commits), [
        { before: undefined, after: [...key, 1] }
      ])
      yield* typed.store.commit(typed.lease, commits)
      const again = [commitOf(0, 1, 2, { partials })]
      assert.deepStrictEqual(yield* typed.store.preview(typed.lease, again), [
        { before: [...key, 1], after: [...key, 1] }
      ])
    })
  )

  it.effect("refuses to preview what it would refuse to commit, and changes nothing", () =>
    Effect.gen(function* () {
      const { store, view } = yield* newView([0])
      yield* store.register(
        { ...(yield* store.spec(view, 1)), version: 2 },
        { id: "topic-1", starts: [{ partition: 0, offset: 0 }] }
      )
      const zombie = yield* Effect.scoped(store.acquire(view, 2, "the zombie"))
      const lease = yield* store.acquire(view, 2, "the test")
      const more = { partials: partialsOf([input("a")]), late: [lateRow(0)], dead: [deadRow(1)] }
      const largest = partialsOf([input("b", { amount: 2n ** 63n - 1n })])
      yield* store.commit(lease, [commitOf(0, 0, 5, { partials: largest })])
      const state = yield* stateOf(view, 2)
      assert.strictEqual(yield* tagOf(store.preview(zombie, [commitOf(0, 5, 6, more)])), "Fenced")
      assert.strictEqual(yield* tagOf(store.preview(lease, [commitOf(0, 4, 6, more)])), "Fenced")
      const over = partialsOf([input("b", { amount: 2n ** 63n - 1n })])
      assert.strictEqual(yield* tagOf(store.preview(lease, [commitOf(0, 5, 6, { partials: over })])), "Overflow")
      assert.lengthOf(yield* store.preview(lease, [commitOf(0, 5, 6, more)]), 1)
      assert.deepStrictEqual(yield* stateOf(view, 2), state)
    })
  )
}
