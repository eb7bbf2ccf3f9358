/** Commits to the view store port: whole, fenced by epoch and offset, and with all that they carry. */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Commit, type DeadRow, type Lease, ViewStore } from "../ViewStore.ts"
import { partialsOf, spec } from "./Partials.ts"
import {
  reasonOf,
  tagOf,
  newName,
  topic,
  noCounts,
  commitOf,
  input,
  stateOf,
  newView,
  lateRow,
  deadRow
} from "./Versions.ts"

export const commits = (it: Vitest.MethodsNonLive<ViewStore>): void => {
  it.effect("lends a version to one at a time, and names the holder", () =>
    Effect.gen(function* () {
      const store = yield* ViewStore
      const view = yield* newName
      for (const version of [1, 2]) yield* store.register(spec(view, version), topic(0))
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* store.acquire(view, 1, "process 17 of here")
          yield* store.acquire(view, 2, "process 18 of here")
          const reason = yield* reasonOf(Effect.scoped(store.acquire(view, 1, "me")))
          assert.deepInclude(reason, { _tag: "LockedBy", view, version: 1, owner: "process 17 of here" })
          // The one that was refused has fenced nobody.
          yield* store.commit(lease, [commitOf(0, 0, 1)])
          return lease
        })
      )
      const second = yield* Effect.scoped(store.acquire(view, 1, "me"))
      assert.isAbove(second.epoch, first.epoch)
    })
  )

  it.effect("fences a commit with an old epoch or another offset, and changes nothing", () =>
    Effect.gen(function* () {
      const store = yield* ViewStore
      const view = yield* newName
      yield* store.register(spec(view, 1), topic(0, 10))
      const old = yield* Effect.scoped(store.acquire(view, 1, "the zombie"))
      const lease = yield* store.acquire(view, 1, "the test")
      const more = { partials: partialsOf([input("a")]), late: [lateRow(1)], dead: [deadRow(2)] }
      yield* store.commit(lease, [commitOf(0, 0, 5, more)])
      const before = yield* stateOf(view, 1)
      const fenced: ReadonlyArray<readonly [string, Lease, ReadonlyArray<Commit>]> = [
        ["an old epoch", old, [commitOf(0, 5, 6, more)]],
        ["an epoch to come", { ...lease, epoch: lease.epoch + 1 }, [commitOf(0, 5, 6, more)]],
        ["an offset behind", lease, [commitOf(0, 0, 6, more)]],
        ["an offset ahead", lease, [commitOf(0, 6, 7, more)]],
        ["a partition that isn't there", lease, [commitOf(2, 0, 1, more)]],
        ["the second of two partitions", lease, [commitOf(0, 5, 6, more), commitOf(1, 11, 12, more)]],
        ["a partition twice from one offset", lease, [commitOf(0, 5, 6, more), commitOf(0, 5, 6)]]
      ]
      for (const [what, by, commits] of fenced) {
        const reason = yield* reasonOf(store.commit(by, commits))
        assert.deepInclude(
          reason,
          { _tag: "Fenced", view, version: 1, partition: commits.at(-1)!.position.partition },
          what
        )
        assert.deepStrictEqual(yield* stateOf(view, 1), before, what)
      }
      assert.strictEqual(yield* tagOf(store.ready(old)), "Fenced")
      yield* store.commit(lease, [commitOf(0, 5, 6), commitOf(1, 10, 12)])
      assert.deepStrictEqual(
        (yield* store.version(view, 1)).positions.map((p) => p.next),
        [6, 12]
      )
    })
  )

  it.effect("fences who held a version of the same number before it was dropped", () =>
    Effect.gen(function* () {
      const { store, view } = yield* newView()
      yield* store.register(spec(view, 2), topic(0))
      const old = yield* Effect.scoped(store.acquire(view, 2, "the zombie"))
      yield* store.drop(view, 2)
      yield* store.register(spec(view, 2), topic(0))
      assert.strictEqual(yield* tagOf(store.commit(old, [commitOf(0, 0, 1)])), "Fenced")
      const lease = yield* store.acquire(view, 2, "the test")
      assert.strictEqual(yield* tagOf(store.commit(old, [commitOf(0, 0, 1)])), "Fenced")
      yield* store.commit(lease, [commitOf(0, 0, 1)])
    })
  )

  it.effect("keeps positions, watermarks and counts with what was committed", () =>
    Effect.gen(function* () {
      const { lease, store, view } = yield* newView([0, 2 ** 40])
      const position = {
        partition: 1,
        next: 2 ** 53 - 1,
        maxEventTime: -62135596800000,
        counts: { read: 15, applied: 8, filtered: 4, late: 2, deadLettered: 1 }
      }
      yield* store.commit(lease, [{ ...commitOf(1, 2 ** 40, 0), position }])
      assert.deepStrictEqual((yield* store.version(view, 1)).positions, [
        { partition: 0, next: 0, maxEventTime: Number.NEGATIVE_INFINITY, counts: noCounts },
        position
      ])
      yield* store.commit(lease, [])
      const still = {
        ...commitOf(0, 0, 0),
        position: { partition: 0, next: 0, maxEventTime: Number.NEGATIVE_INFINITY, counts: noCounts }
      }
      yield* store.commit(lease, [still])
      assert.deepStrictEqual((yield* store.version(view, 1)).positions[0], still.position)
    })
  )

  it.effect("gives late records and dead letters by partition and offset", () =>
    Effect.gen(function* () {
      const { lease, store, view } = yield* newView([0, 0])
      const count = 5_000
      const late = (partition: number) => Array.from({ length: count }, (_, i) => lateRow(2 * i + partition))
      const dead = Array.from({ length: count }, (_, i) => deadRow(i))
      yield* store.commit(lease, [commitOf(1, 0, 2 * count + 1, { late: late(1) })])
      yield* store.commit(lease, [commitOf(0, 0, count, { late: late(0), dead })])
      const special: DeadRow = {
        offset: 2 ** 53 - 2,
        reason: "not-json",
        detail: "Unexpected \u0022é😀\u0022",
        timestamp: -1,
        key: new Uint8Array(),
        value: Uint8Array.from({ length: 256 }, (_, i) => i),
        headers: '[["a",null],["b","AAE="]]'
      }
      yield* store.commit(lease, [commitOf(1, 2 * count + 1, 2 ** 53 - 1, { dead: [special] })])
      assert.deepStrictEqual(yield* Stream.runCollect(store.late(view, 1)), [
        ...late(0).map((row) => ({ partition: 0, ...row })),
        ...late(1).map((row) => ({ partition: 1, ...row }))
      ])
      const found = yield* Stream.runCollect(store.dead(view, 1))
      const plain = (bytes: Uint8Array | null) => (bytes === null ? null : Uint8Array.from(bytes))
      assert.deepStrictEqual(
        found.map((row) => ({ ...row, key: plain(row.key), value: plain(row.value) })),
        [...dead.map((row) => ({ partition: 0, ...row })), { partition: 1, ...special }]
      )
      assert.deepStrictEqual(
        (yield* Stream.runCollect(Stream.take(store.late(view, 1), 2))).map((row) => row.offset),
        [0, 2]
      )
    })
  )
}
