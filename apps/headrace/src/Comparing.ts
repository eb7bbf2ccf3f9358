/** A comparison of two versions, for people and for machines. */
import { type AggregateSpec, ViewStore } from "@headrace/core/ViewStore"
import { Compare } from "@headrace/kappa"
import { Effect } from "effect"
import * as Table from "./Table.ts"
import * as Values from "./Values.ts"

type Shown = Values.Shown

export interface Difference {
  readonly key: Readonly<Record<string, Shown>>
  /** Names of the columns that differ; none where one side has no such row. */
  readonly columns: ReadonlyArray<string>
  /** Null where that side has no such row. */
  readonly left: Readonly<Record<string, Shown>> | null
  readonly right: Readonly<Record<string, Shown>> | null
}

interface Report {
  readonly json: Omit<Compare.Comparison, "sample"> & {
    readonly equal: boolean
    readonly sample: ReadonlyArray<Difference>
  }
  readonly text: string
}

/** The columns whose cells differ: an average is its sum and its count. */
const differing = (
  common: ReadonlyArray<AggregateSpec>,
  { left, right }: Compare.Difference
): ReadonlyArray<string> => {
  if (left === undefined || right === undefined) return []
  let at = 0
  return common.flatMap((a) => {
    const from = at
    at += Values.widthOf(a)
    return left.slice(from, at).every((cell, i) => Object.is(cell, right[from + i])) ? [] : [a.name]
  })
}

const differences = (c: Compare.Comparison, sample: ReadonlyArray<Difference>): string =>
  Table.render(
    [
      ...c.keys.map((name) => ({ name })),
      { name: "column" },
      ...[c.left, c.right].map((v): Table.Column => ({ name: `version ${v}`, align: "right" }))
    ],
    sample.flatMap(({ columns, key, left, right }) => {
      const keys = Object.values(key).map(Values.text)
      if (left === null || right === null)
        return [[...keys, "(the row)", left === null ? "missing" : "there", right === null ? "missing" : "there"]]
      return columns.map((name) => {
        const [l, r] = [left[name]!, right[name]!]
        return [...keys, l === r ? `${name} (rounded alike)` : name, Values.text(l), Values.text(r)]
      })
    })
  )

const textOf = (c: Compare.Comparison, sample: ReadonlyArray<Difference>): string => {
  const { different, missingLeft, missingRight, same } = c.rows
  const n = different + missingLeft + missingRight
  const only = (version: number, names: ReadonlyArray<string>) =>
    names.length === 0 ? [] : [`only in version ${version}: ${names.join(", ")}`]
  return [
    `${c.view}: version ${c.left} and version ${c.right} at the same offsets, compared in ${c.common.join(", ") || "their keys alone"}`,
    ...only(c.left, c.onlyLeft),
    ...only(c.right, c.onlyRight),
    `${Table.number(same)} rows are equal, ${Table.number(different)} differ, ` +
      `${Table.number(missingLeft)} are missing in version ${c.left}, ${Table.number(missingRight)} in version ${c.right}`,
    ...(n === 0 ? [] : ["", differences(c, sample)]),
    ...(n > sample.length ? [`  … and ${Table.number(n - sample.length)} more: --limit shows them`] : [])
  ].join("\n")
}

/** Compares two versions and shows at most `limit` rows that differ. */
export const compare = Effect.fnUntraced(function* (view: string, left: number, right: number, limit: number) {
  const comparison = yield* Compare.run(view, left, right, { sample: limit })
  const store = yield* ViewStore
  const spec = yield* store.spec(view, left)
  // Columns that both have are declared alike in both.
  const common: ReadonlyArray<AggregateSpec> = spec.aggregates.filter((a) => comparison.common.includes(a.name))
  const sample = comparison.sample.map((d): Difference => ({
    key: Values.showKey(spec, d.key),
    columns: differing(common, d),
    left: d.left === undefined ? null : Values.showAggregates(common, d.left),
    right: d.right === undefined ? null : Values.showAggregates(common, d.right)
  }))
  const json = { ...comparison, equal: Compare.isEqual(comparison), sample }
  return { json, text: textOf(comparison, sample) } satisfies Report
})
