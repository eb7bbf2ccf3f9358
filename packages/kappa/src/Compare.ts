/**
 * Comparing two versions of a view: a merge of their rows, which both stores give in one order, so that memory stays bounded.
 */
import type { AggregateSpec, StateValue, VersionInfo, VersionSpec, ViewRow } from "@headrace/core/ViewStore"
import { ViewStore } from "@headrace/core/ViewStore"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { NotComparable, PositionsDiffer, type ViewError, wrap } from "./ViewError.ts"

/** A row that differs; a side without the row is undefined. Values are those of the common columns, in exact form. */
export interface Difference {
  readonly key: ReadonlyArray<StateValue>
  readonly left: ReadonlyArray<StateValue> | undefined
  readonly right: ReadonlyArray<StateValue> | undefined
}

/** What two versions have in common, and what differs. */
export interface Comparison {
  readonly view: string
  readonly left: number
  readonly right: number
  /** Names of the keys, and the window start if there is one. */
  readonly keys: ReadonlyArray<string>
  /** Aggregates that both versions have, of one kind and type: these are compared, an average by its sum and its count. */
  readonly common: ReadonlyArray<string>
  /** Columns that only one version has, or that mean something else in each. */
  readonly onlyLeft: ReadonlyArray<string>
  readonly onlyRight: ReadonlyArray<string>
  readonly rows: {
    readonly same: number
    readonly different: number
    readonly missingLeft: number
    readonly missingRight: number
  }
  /** The first differences, in key order. */
  readonly sample: ReadonlyArray<Difference>
}

/** Whether every common column of every row is the same. */
export const isEqual = (c: Comparison): boolean => c.rows.different + c.rows.missingLeft + c.rows.missingRight === 0

/** Text by code point, as stores order it; false before true. */
const compareValues = (a: StateValue, b: StateValue): number => {
  if (a === b) return 0
  if (typeof a !== "string" || typeof b !== "string") return a! < b! ? -1 : 1
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    const xs = x >= 0xd800 && x <= 0xdfff
    const ys = y >= 0xd800 && y <= 0xdfff
    // A surrogate stands for a code point above all others of 16 bits.
    return xs === ys ? x - y : xs ? 1 : -1
  }
  return a.length - b.length
}

const compareKeys = (a: ViewRow, b: ViewRow, length: number): number => {
  for (let i = 0; i < length; i++) {
    const order = compareValues(a[i]!, b[i]!)
    if (order !== 0) return order
  }
  return 0
}

/** Where each aggregate's cells begin behind the keys; an average has two, its sum and its count. */
const cells = (
  aggregates: ReadonlyArray<AggregateSpec>
): ReadonlyArray<{ readonly from: number; readonly width: number }> => {
  let from = 0
  return aggregates.map((a) => {
    const width = a.kind === "avg" ? 2 : 1
    from += width
    return { from: from - width, width }
  })
}

const identity = (a: AggregateSpec): string => JSON.stringify(a)

const shapeOf = (spec: VersionSpec): string => JSON.stringify([spec.keys, spec.windowSize ?? null])

const apart = (view: string, detail: string) => wrap(new PositionsDiffer({ view, detail }))

/** Where the two versions stand, as text. */
const positions = (view: string, left: number, right: number) =>
  Effect.gen(function* () {
    const store = yield* ViewStore
    const print = (v: VersionInfo) => v.positions.map((p) => `${p.partition}:${p.next}`).join(" ")
    return { left: print(yield* store.version(view, left)), right: print(yield* store.version(view, right)) }
  })

/** Compares the common columns of two versions that stand at the same offsets. Keeps at most `sample` differences (default 20). */
export const run = (
  view: string,
  left: number,
  right: number,
  options: { readonly sample?: number } = {}
): Effect.Effect<Comparison, ViewError, ViewStore> =>
  Effect.gen(function* () {
    const store = yield* ViewStore
    const [l, r] = [yield* store.spec(view, left), yield* store.spec(view, right)]
    if (shapeOf(l) !== shapeOf(r))
      return yield* wrap(
        new NotComparable({
          view,
          detail: `version ${left} has keys and window ${shapeOf(l)}, version ${right} has ${shapeOf(r)}`
        })
      )
    const stand = positions(view, left, right)
    const before = yield* stand
    if (before.left !== before.right)
      return yield* apart(view, `version ${left} at ${before.left}, version ${right} at ${before.right}`)
    const [lc, rc] = [cells(l.aggregates), cells(r.aggregates)]
    const inRight = new Map(r.aggregates.map((a, i) => [identity(a), rc[i]!.from]))
    const inLeft = new Set(l.aggregates.map(identity))
    const common = l.aggregates.filter((a) => inRight.has(identity(a)))
    const pairs = l.aggregates.flatMap((a, i) => {
      const right = inRight.get(identity(a))
      const { from, width } = lc[i]!
      return right === undefined ? [] : Array.from({ length: width }, (_, k) => ({ left: from + k, right: right + k }))
    })
    const keys = [...l.keys.map((k) => k.name), ...(l.windowSize === undefined ? [] : ["window_start"])]
    const at = keys.length
    const pick = (row: ViewRow, side: "left" | "right") => pairs.map((p) => row[at + p[side]]! as StateValue)

    const limit = options.sample ?? 20
    const sample: Array<Difference> = []
    const rows = { same: 0, different: 0, missingLeft: 0, missingRight: 0 }
    const note = (key: ViewRow, a: ViewRow | undefined, b: ViewRow | undefined) => {
      if (sample.length < limit)
        sample.push({
          key: key.slice(0, at),
          left: a === undefined ? undefined : pick(a, "left"),
          right: b === undefined ? undefined : pick(b, "right")
        })
    }
    const visit = (a: ViewRow | undefined, b: ViewRow | undefined) => {
      if (a === undefined) rows.missingLeft++
      else if (b === undefined) rows.missingRight++
      else if (pairs.every((p) => Object.is(a[at + p.left], b[at + p.right]))) {
        rows.same++
        return
      } else rows.different++
      note((a ?? b)!, a, b)
    }
    yield* merge(store.rows(view, left), store.rows(view, right), (a, b) => compareKeys(a, b, at), visit)
    const after = yield* stand
    if (after.left !== before.left || after.right !== before.right)
      return yield* apart(view, `they were at ${before.left}, and moved on while they were compared`)
    return {
      view,
      left,
      right,
      keys,
      common: common.map((a) => a.name),
      onlyLeft: l.aggregates.filter((a) => !inRight.has(identity(a))).map((a) => a.name),
      onlyRight: r.aggregates.filter((a) => !inLeft.has(identity(a))).map((a) => a.name),
      rows,
      sample
    }
  }).pipe(Effect.mapError((e) => (e._tag === "ViewError" ? e : wrap(e))))

/** Walks two ordered streams together; `visit` gets the rows with equal keys, or one of them alone. */
const merge = <E>(
  left: Stream.Stream<ViewRow, E>,
  right: Stream.Stream<ViewRow, E>,
  compare: (a: ViewRow, b: ViewRow) => number,
  visit: (a: ViewRow | undefined, b: ViewRow | undefined) => void
): Effect.Effect<void, E> =>
  Effect.gen(function* () {
    const pulls = [yield* Stream.toPull(left), yield* Stream.toPull(right)] as const
    const more = (side: 0 | 1): Effect.Effect<ReadonlyArray<ViewRow>, E> =>
      Pull.catchDone(pulls[side], () => Effect.succeed<ReadonlyArray<ViewRow>>([]))
    let a = yield* more(0)
    let b = yield* more(1)
    let i = 0
    let j = 0
    while (a.length > 0 || b.length > 0) {
      while (i < a.length && j < b.length) {
        const order = compare(a[i]!, b[j]!)
        if (order === 0) visit(a[i++], b[j++])
        else if (order < 0) visit(a[i++], undefined)
        else visit(undefined, b[j++])
      }
      if (b.length === 0) for (; i < a.length; i++) visit(a[i], undefined)
      if (a.length === 0) for (; j < b.length; j++) visit(undefined, b[j])
      if (i === a.length && a.length > 0) {
        a = yield* more(0)
        i = 0
      }
      if (j === b.length && b.length > 0) {
        b = yield* more(1)
        j = 0
      }
    }
  }).pipe(Effect.scoped)
