/** Change streams under faults: a store and a sink that die at named points, and what a stream must say, by a plain loop over the records. */
import type { ChangeStream, Service } from "@headrace/core/ChangeSink"
import type { Published } from "@headrace/core/MemoryChangeSink"
import { MemoryChangeSink } from "@headrace/core"
import { ViewStore } from "@headrace/core/ViewStore"
import { Effect, Stream } from "effect"
import type { Value } from "./fixtures.ts"

/** Where a run may die; `within-commit` is inside the store's transaction. */
export const points = [
  "after-preview",
  "before-publish",
  "within-publish",
  "after-publish",
  "within-commit",
  "after-commit"
] as const
export type Point = (typeof points)[number]

/** Dies when a point is met for the so-many-th time: by throwing, or as it is told. */
export class Fault<P extends string = Point> {
  readonly #die: (point: P) => void
  #point: P | undefined
  #left = 0
  died = false

  constructor(
    die: (point: P) => void = (point) => {
      throw new Error(`died ${point}`)
    }
  ) {
    this.#die = die
  }

  arm(point: P | undefined, at: number): void {
    this.#point = point
    this.#left = at
    this.died = false
  }

  meet(point: P): void {
    if (point !== this.#point || --this.#left !== 0) return
    this.died = true
    this.#die(point)
  }
}

/** The sink of a process that may die. */
export const faultySink = (inner: Service, fault: Pick<Fault, "meet">): Service => ({
  ...inner,
  open: (stream) =>
    Effect.map(inner.open(stream), ({ progress, publish }) => ({
      progress,
      publish: (changes, next) =>
        Effect.sync(() => fault.meet("before-publish")).pipe(
          Effect.andThen(
            publish(Stream.concat(changes, Stream.drain(Stream.sync(() => fault.meet("within-publish")))), next)
          ),
          Effect.tap(() => Effect.sync(() => fault.meet("after-publish")))
        )
    }))
})

/** The store of a process that may die; what happens within its commit is the business of its `CommitPoint`. */
export const faultyStore = (fault: Pick<Fault, "meet">) =>
  Effect.map(ViewStore, (store) =>
    ViewStore.of({
      ...store,
      preview: (lease, commits) =>
        Effect.tap(store.preview(lease, commits), () => Effect.sync(() => fault.meet("after-preview"))),
      commit: (lease, commits) =>
        Effect.tap(store.commit(lease, commits), () => Effect.sync(() => fault.meet("after-commit")))
    })
  )

/** A table as its stream shows it: value by key. */
export type Table = ReadonlyMap<string, string>

interface Group {
  n: number
  sum: number
  summed: number
  readonly ids: Set<number>
}

const iso = (t: number) => new Date(t).toISOString()

const decimal = (cents: number) =>
  `${cents < 0 ? "-" : ""}${Math.floor(Math.abs(cents) / 100)}.${`${Math.abs(cents) % 100}`.padStart(2, "0")}`

/** The table of `sales` (see the fixtures) over the first records of each partition. */
export const tableOf = (partitions: ReadonlyArray<ReadonlyArray<Value>>, next: ReadonlyArray<number>): Table => {
  const groups = new Map<string, Group>()
  for (const [p, values] of partitions.entries()) {
    let latest = Number.NEGATIVE_INFINITY
    for (const value of values.slice(0, next[p])) {
      if (value === null || typeof value === "string") continue
      const { category = "a", id = 1, total = 1, ts = 0 } = value
      const watermark = latest - 60_000
      latest = Math.max(latest, ts)
      const window = Math.floor(ts / 60_000) * 60_000
      if (watermark >= window + 59_999 || category === null) continue
      const key = JSON.stringify({ category, window_start: iso(window) })
      const group = groups.get(key) ?? { n: 0, sum: 0, summed: 0, ids: new Set() }
      groups.set(key, group)
      group.n++
      group.ids.add(id)
      if (total === null) continue
      group.summed++
      group.sum += Math.round(total * 100)
    }
  }
  return new Map(
    Array.from(groups, ([key, { ids, n, sum, summed }]) => {
      const head = JSON.parse(key) as { readonly window_start: string }
      const half = Math.floor((2 * Math.abs(sum) + summed) / (2 * summed)) * Math.sign(sum)
      const values = {
        n,
        total: summed === 0 ? null : decimal(sum),
        mean: summed === 0 ? null : decimal(half),
        ids: ids.size
      }
      return [key, JSON.stringify({ ...head, window_end: iso(Date.parse(head.window_start) + 60_000), ...values })]
    })
  )
}

/** What changes from one table to another: the value by key, null where a key is gone. */
export const difference = (from: Table, to: Table): ReadonlyMap<string, string | null> =>
  new Map<string, string | null>([
    ...Array.from(to).filter(([key, value]) => from.get(key) !== value),
    ...Array.from(from.keys(), (key) => [key, null] as const).filter(([key]) => !to.has(key))
  ])

/** What the publishes add up to: the latest value of each key. */
export const sumOf = (published: ReadonlyArray<Published>): Table => {
  const sum = new Map<string, string>()
  for (const { changes } of published)
    for (const { key, value } of changes)
      if (value === null) sum.delete(key)
      else sum.set(key, value)
  return sum
}

export const vectorOf = ({ progress }: Published): ReadonlyArray<number> => {
  const next: Array<number> = []
  for (const p of progress.next) next[p.partition] = p.next
  return next
}

/** A sink in memory, with what it took of one stream. */
export const memory = (stream: ChangeStream) => {
  const sink = MemoryChangeSink.make()
  return { sink, published: () => sink.published(stream) }
}
