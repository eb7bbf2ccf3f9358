/** State in the view store port: partials merged exactly, in order, and read as one state. */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as StateHash from "../StateHash.ts"
import { type PartialRows, type ValueType, type ViewStore } from "../ViewStore.ts"
import { type Input, partialsOf, rowsOf, spec } from "./Partials.ts"
import { reasonOf, tagOf, topic, commitOf, input, rows, stateOf, newView, lateRow, deadRow } from "./Versions.ts"
import type { Capabilities } from "./ViewStoreContract.ts"

const amounts = Schema.NullOr(
  Schema.Union([
    Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -300n, maximum: 300n })),
    Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(2n ** 56n), maximum: 2n ** 56n }))
  ])
)
const inputs = Schema.Array(
  Schema.Struct({
    partition: Schema.Literals([0, 1, 2]),
    key: Schema.Literals(["a", "b\uff5e", "b😀"]),
    place: Schema.Literals([-2, 10]),
    window: Schema.Literals([-60_000, 0]),
    amount: amounts,
    user: Schema.NullOr(Schema.Literals(["u1", "u2", "\ue000", "😀"])),
    commit: Schema.Boolean
  })
).check(Schema.isMaxLength(40))

export const state = (it: Vitest.MethodsNonLive<ViewStore>, capabilities: Capabilities): void => {
  const largest = capabilities.largestSum ?? 2n ** 63n - 1n

  it.effect.prop(
    "merges partials over commits and partitions as one fold of all rows, whatever the commits were",
    { inputs },
    (generated) =>
      Effect.gen(function* () {
        const { lease, store, view } = yield* newView([0, 0, 0])
        yield* store.register(spec(view, 2), topic(0, 0, 0))
        const all = generated.inputs
        const next = [0, 0, 0]
        const waiting: Array<Array<Input>> = [[], [], []]
        const flush = Effect.suspend(() =>
          store.commit(
            lease,
            waiting.flatMap((own, partition) => {
              if (own.length === 0) return []
              const from = next[partition]!
              next[partition] = from + own.length
              return [commitOf(partition, from, from + own.length, { partials: partialsOf(own.splice(0)) })]
            })
          )
        )
        for (const one of all) {
          waiting[one.partition]!.push(one)
          if (one.commit) yield* flush
        }
        yield* flush
        assert.deepStrictEqual(yield* rows(view, 1), rowsOf(all))
        // The same in one commit for each partition.
        const lease2 = yield* store.acquire(view, 2, "the test")
        for (const partition of [0, 1, 2]) {
          const own = all.filter((one) => one.partition === partition)
          if (own.length > 0)
            yield* store.commit(lease2, [commitOf(partition, 0, own.length, { partials: partialsOf(own) })])
        }
        assert.strictEqual(yield* StateHash.ofVersion(store, view, 2), yield* StateHash.ofVersion(store, view, 1))
      }),
    { arbitrary: { runs: 30 } }
  )

  it.effect("orders keys of every type, text by code point", () =>
    Effect.gen(function* () {
      const ordered: ReadonlyArray<readonly [ValueType, ReadonlyArray<string | number | boolean>]> = [
        [
          { kind: "string" },
          ["", " ", "A", "Z", "a", "a ", "aa", "b", "é", "\ue000", "\uff5e", "😀", "😀a", "\u{10ffff}"]
        ],
        [{ kind: "integer" }, [-(2 ** 53) + 1, -10, -9, 0, 9, 10, 2 ** 53 - 1]],
        [{ kind: "decimal", scale: 2 }, [-1050, -100, 0, 99, 1000]],
        [{ kind: "date" }, [-1, 0, 20_000]],
        [{ kind: "instant" }, [-62135596800000, 0, 253402300799999]],
        [{ kind: "boolean" }, [false, true]]
      ]
      for (const [type, values] of ordered) {
        const { lease, store, view } = yield* newView([0], {
          keys: [{ name: "k", type }],
          windowSize: undefined,
          aggregates: [
            { name: "n", kind: "count" },
            { name: "different", kind: "countDistinct", type }
          ]
        })
        const shuffled = values.toReversed()
        yield* store.commit(lease, [
          commitOf(0, 0, 1, {
            partials: {
              count: shuffled.length,
              keys: [shuffled],
              windows: undefined,
              values: [shuffled.map(() => 1)],
              sets: [shuffled.map((_, i) => new Set(values.slice(0, i)))]
            }
          })
        ])
        assert.deepStrictEqual(
          yield* rows(view, 1),
          values.map((value, i) => [value, 1, values.length - 1 - i])
        )
      }
    })
  )

  it.effect("holds a view without keys and windows as one row, and as none before its first record", () =>
    Effect.gen(function* () {
      const { lease, store, view } = yield* newView([0, 0], {
        keys: [],
        windowSize: undefined,
        aggregates: [
          { name: "n", kind: "count" },
          { name: "least", kind: "min", type: { kind: "integer" } },
          { name: "mean", kind: "avg", type: { kind: "integer" }, places: 2 }
        ]
      })
      const one = (n: number, least: number | null, sum: number | null, count: number): PartialRows => ({
        count: 1,
        keys: [],
        windows: undefined,
        values: [[n], [least], [sum], [count]],
        sets: []
      })
      assert.deepStrictEqual(yield* rows(view, 1), [])
      yield* store.commit(lease, [commitOf(0, 0, 2, { partials: one(2, null, null, 0) })])
      assert.deepStrictEqual(yield* rows(view, 1), [[2, null, null, 0]])
      yield* store.commit(lease, [
        commitOf(0, 2, 3, { partials: one(1, -4, -4, 1) }),
        commitOf(1, 0, 3, { partials: one(3, 7, 15, 2) })
      ])
      yield* store.commit(lease, [commitOf(0, 3, 4, { partials: one(1, null, null, 0) })])
      assert.deepStrictEqual(yield* rows(view, 1), [[7, -4, 11, 3]])
    })
  )

  it.effect("keeps sums exact beyond the safe integers, and refuses one that it can't hold", () =>
    Effect.gen(function* () {
      const { lease, store, view } = yield* newView([0, 0])
      const of = (amount: bigint) => ({ partials: partialsOf([input("a", { amount })]) })
      // Sums and extremes count here, not the sets, which hold safe integers.
      const row = Effect.map(rows(view, 1), (all) => all.map((r) => [r[4], r[5], r[6]]))
      yield* store.commit(lease, [commitOf(0, 0, 1, of(2n ** 62n))])
      yield* store.commit(lease, [commitOf(0, 1, 2, of(2n ** 62n - 1n))])
      assert.deepStrictEqual(yield* row, [[2n ** 63n - 1n, 2n ** 62n - 1n, 2n ** 62n]])
      const before = yield* stateOf(view, 1)
      const over = (amount: bigint) =>
        Effect.gen(function* () {
          const reason = yield* reasonOf(
            store.commit(lease, [commitOf(1, 0, 1, of(5n)), commitOf(0, 2, 3, { ...of(amount), late: [lateRow(2)] })])
          )
          assert.deepInclude(reason, { _tag: "Overflow", view, version: 1 })
          assert.deepStrictEqual(yield* stateOf(view, 1), before)
        })
      if (largest === 2n ** 63n - 1n) {
        yield* over(1n)
        yield* over(2n ** 62n)
      }
      yield* over(largest + 1n)
      // Partitions that fit each, and don't together: the answer is an error, never a rounded number.
      yield* store.commit(lease, [commitOf(1, 0, 1, of(1n))])
      if (largest === 2n ** 63n - 1n) assert.strictEqual(yield* tagOf(rows(view, 1)), "Overflow")
      else assert.deepStrictEqual(yield* row, [[2n ** 63n, 1, 2n ** 62n]])
      yield* store.commit(lease, [commitOf(1, 1, 2, of(-(2n ** 62n)))])
      assert.deepStrictEqual(yield* row, [[2n ** 62n, -(2n ** 62n), 2n ** 62n]])
    })
  )

  it.effect("reads from one state while commits go on", () =>
    Effect.gen(function* () {
      const { lease, store, view } = yield* newView([0, 0])
      const keys = Array.from({ length: 9_000 }, (_, i) => input(`${i}`.padStart(5, "0"), { amount: 1n }))
      const add = (partition: number, from: number) =>
        store.commit(lease, [
          commitOf(partition, from, from + 1, { partials: partialsOf(keys), dead: [deadRow(from)] })
        ])
      yield* add(0, 0)
      let seen = 0
      let pages = 0
      const check = (row: ReadonlyArray<unknown>, n: number) => assert.deepStrictEqual(row.slice(3, 5), [n, n])
      yield* Stream.runForEachArray(store.rows(view, 1), (page) =>
        Effect.gen(function* () {
          seen += page.length
          for (const row of page) check(row, 1)
          yield* pages % 2 === 0 ? add(1, pages / 2) : Effect.void
          pages++
        })
      )
      assert.strictEqual(seen, keys.length)
      assert.isAbove(pages, 1)
      const changed = Math.ceil(pages / 2)
      for (const row of yield* rows(view, 1)) check(row, 1 + changed)
    })
  )
}
