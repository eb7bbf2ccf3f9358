/** How the suite of the view store writes and reads a version. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import {
  type Commit,
  type Counts,
  type DeadRow,
  type LateRow,
  type PartialRows,
  type VersionSpec,
  ViewStore,
  type ViewStoreError
} from "../ViewStore.ts"
import { type Input, partialsOf, spec } from "./Partials.ts"

export const reasonOf = <A, R>(effect: Effect.Effect<A, ViewStoreError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)
export const tagOf = <A, R>(effect: Effect.Effect<A, ViewStoreError, R>) =>
  Effect.map(reasonOf(effect), ({ _tag }) => _tag)

/** A name of the test's own. */
export const newName = Effect.map(
  Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER),
  (n) => `contract_${n.toString(36)}`
)

export const topic = (...offsets: ReadonlyArray<number>) => ({
  id: "topic-1",
  starts: offsets.map((offset, partition) => ({ partition, offset }))
})

export const noCounts: Counts = { read: 0, applied: 0, filtered: 0, late: 0, deadLettered: 0 }
export const noPartials: PartialRows = partialsOf([])

/** A commit of a partition's records `[from, next)`. */
export const commitOf = (partition: number, from: number, next: number, more: Partial<Commit> = {}): Commit => ({
  from,
  position: { partition, next, maxEventTime: next % 1e9, counts: { ...noCounts, read: next, applied: next } },
  partials: noPartials,
  late: [],
  dead: [],
  ...more
})

export const input = (key: string, more: Partial<Input> = {}): Input => ({
  key,
  place: 0,
  window: 0,
  amount: 1n,
  user: null,
  ...more
})

export const rows = (view: string, version: number) =>
  Effect.flatMap(ViewStore, (store) => Stream.runCollect(store.rows(view, version)))

/** Everything of a version that a commit can change. */
export const stateOf = (view: string, version: number) =>
  Effect.gen(function* () {
    const store = yield* ViewStore
    const { positions } = yield* store.version(view, version)
    return {
      positions,
      rows: yield* rows(view, version),
      late: yield* Stream.runCollect(store.late(view, version)),
      dead: yield* Stream.runCollect(store.dead(view, version))
    }
  })

/** A view whose version 1 is registered and leased, with its partitions at the given offsets. */
export const newView = (offsets: ReadonlyArray<number> = [0], more: Partial<VersionSpec> = {}) =>
  Effect.gen(function* () {
    const store = yield* ViewStore
    const view = yield* newName
    yield* store.register(spec(view, 1, more), topic(...offsets))
    return { store, view, lease: yield* store.acquire(view, 1, "the test") }
  })

export const lateRow = (offset: number): LateRow => ({
  offset,
  eventTime: offset * 1_000 - 7,
  windowStart: Math.floor(offset / 60) * 60_000,
  columns: `{"a":${offset},"b":"é"}`
})

export const deadRow = (offset: number): DeadRow => ({
  offset,
  reason: "missing-field:total",
  detail: `record ${offset}`,
  timestamp: offset % 2 === 0 ? offset : null,
  key: offset % 3 === 0 ? null : Uint8Array.of(offset % 256),
  value: null,
  headers: "[]"
})
