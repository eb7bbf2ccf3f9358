/** Folds plain input rows into partials, and into merged rows: the oracle of the view store's suite. */
import type { PartialRows, StateValue, ViewRow, VersionSpec } from "../ViewStore.ts"

/** One input row: a group, and the value that every aggregate of the suite's view is fed. */
export interface Input {
  readonly key: string
  readonly place: number
  readonly window: number
  readonly amount: bigint | null
  readonly user: string | null
}

/** The view that these fold into. */
export const spec = (view: string, version: number, more: Partial<VersionSpec> = {}): VersionSpec => ({
  view,
  version,
  topic: "orders",
  keys: [
    { name: "key", type: { kind: "string" } },
    { name: "place", type: { kind: "integer" } }
  ],
  windowSize: 60_000,
  aggregates: [
    { name: "n", kind: "count" },
    { name: "total", kind: "sum", type: { kind: "decimal", scale: 2 } },
    { name: "least", kind: "min", type: { kind: "decimal", scale: 2 } },
    { name: "most", kind: "max", type: { kind: "decimal", scale: 2 } },
    { name: "mean", kind: "avg", type: { kind: "decimal", scale: 2 }, places: 3 },
    { name: "users", kind: "countDistinct", type: { kind: "string" } },
    { name: "amounts", kind: "countDistinct", type: { kind: "integer" } }
  ],
  declaration: `view ${view}\nversion ${version}`,
  source: "0".repeat(64),
  ...more
})

interface Group {
  readonly key: string
  readonly place: number
  readonly window: number
  n: number
  total: bigint | null
  least: bigint | null
  most: bigint | null
  summed: number
  readonly users: Set<StateValue>
  readonly amounts: Set<StateValue>
}

/** As a number while it is safe. */
const exact = (value: bigint | null): StateValue =>
  value === null || BigInt.asIntN(54, value) !== value || value === -(2n ** 53n) ? value : Number(value)

const groupsOf = (inputs: ReadonlyArray<Input>): ReadonlyArray<Group> => {
  const groups = new Map<string, Group>()
  for (const { amount, key, place, user, window } of inputs) {
    const id = JSON.stringify([key, place, window])
    let group = groups.get(id)
    if (group === undefined)
      groups.set(
        id,
        (group = {
          key,
          place,
          window,
          n: 0,
          total: null,
          least: null,
          most: null,
          summed: 0,
          users: new Set(),
          amounts: new Set()
        })
      )
    group.n++
    if (user !== null) group.users.add(user)
    if (amount === null) continue
    group.amounts.add(exact(amount))
    group.summed++
    group.total = (group.total ?? 0n) + amount
    if (group.least === null || amount < group.least) group.least = amount
    if (group.most === null || amount > group.most) group.most = amount
  }
  return [...groups.values()]
}

/** Partials of some inputs of one partition. */
export const partialsOf = (inputs: ReadonlyArray<Input>): PartialRows => {
  const groups = groupsOf(inputs)
  const column = (value: (group: Group) => StateValue) => groups.map(value)
  return {
    count: groups.length,
    keys: [column((g) => g.key), column((g) => g.place)],
    windows: groups.map((g) => g.window),
    values: [
      column((g) => g.n),
      column((g) => exact(g.total)),
      column((g) => exact(g.least)),
      column((g) => exact(g.most)),
      column((g) => exact(g.total)),
      column((g) => g.summed)
    ],
    sets: [groups.map((g) => g.users), groups.map((g) => g.amounts)]
  }
}

/** Compares texts by code point, as a store orders keys. */
const compareText = (a: string, b: string): number => {
  const [x, y] = [Array.from(a, (c) => c.codePointAt(0)!), Array.from(b, (c) => c.codePointAt(0)!)]
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return x[i]! - y[i]!
  return x.length - y.length
}

/** The merged rows of all inputs, in the order of a view store. */
export const rowsOf = (inputs: ReadonlyArray<Input>): ReadonlyArray<ViewRow> =>
  groupsOf(inputs)
    .toSorted((a, b) => compareText(a.key, b.key) || a.place - b.place || a.window - b.window)
    .map((g) => [
      g.key,
      g.place,
      g.window,
      g.n,
      exact(g.total),
      exact(g.least),
      exact(g.most),
      exact(g.total),
      g.summed,
      g.users.size,
      g.amounts.size
    ])
