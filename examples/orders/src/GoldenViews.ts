/** A view's rows in the golden CSV form. */
import { Decimal } from "@headrace/core"
import { type StateValue, ViewStore, type ViewStoreError } from "@headrace/core/ViewStore"
import type { View } from "@headrace/kappa"
import { Effect, Stream } from "effect"
import * as GoldenCsv from "./GoldenCsv.ts"
import { byDay, byRegion, completedPerMinute, perMinute } from "./views.ts"

/** A golden file: its view, its columns, and how a row of the store becomes its cells. */
export interface Golden {
  readonly name: "a" | "b" | "c" | "d"
  readonly view: View.Any
  readonly header: ReadonlyArray<string>
  readonly cells: (row: ReadonlyArray<StateValue>) => ReadonlyArray<GoldenCsv.Cell>
}

const text = (value: StateValue | undefined) => GoldenCsv.text(String(value))
const whole = (value: StateValue | undefined) => value as number | bigint
const average = (sum: StateValue | undefined, count: StateValue | undefined, places: number) =>
  GoldenCsv.decimal(Decimal.average(BigInt(whole(sum)), BigInt(whole(count)), 2, places), places)

export const goldens: ReadonlyArray<Golden> = [
  {
    name: "a",
    view: byRegion,
    header: ["category", "region", "revenue", "order_count", "avg_order_value"],
    cells: ([category, region, revenue, count, sum, n]) => [
      text(category),
      text(region),
      GoldenCsv.decimal(whole(revenue), 2),
      GoldenCsv.integer(whole(count)),
      average(sum, n, 2)
    ]
  },
  {
    name: "b",
    view: byDay,
    header: ["order_date", "region", "category", "order_count", "revenue", "avg_order_value_exact6", "distinct_users"],
    cells: ([day, region, category, count, revenue, sum, n, distinct]) => [
      GoldenCsv.isoDay(whole(day)),
      text(region),
      text(category),
      GoldenCsv.integer(whole(count)),
      GoldenCsv.decimal(whole(revenue), 2),
      average(sum, n, 6),
      GoldenCsv.integer(whole(distinct))
    ]
  },
  {
    name: "c",
    view: perMinute,
    header: ["window_start_ms", "category", "revenue", "order_count", "avg_order_value"],
    cells: ([category, window, revenue, count, sum, n]) => [
      GoldenCsv.instant(whole(window)),
      text(category),
      GoldenCsv.decimal(whole(revenue), 2),
      GoldenCsv.integer(whole(count)),
      average(sum, n, 6)
    ]
  },
  {
    name: "d",
    view: completedPerMinute,
    header: ["window_start_ms", "category", "count"],
    cells: ([category, window, count]) => [
      GoldenCsv.instant(whole(window)),
      text(category),
      GoldenCsv.integer(whole(count))
    ]
  }
]

/** The view's rows as golden CSV. */
export const csv = (golden: Golden): Effect.Effect<string, ViewStoreError, ViewStore> =>
  Effect.gen(function* () {
    const store = yield* ViewStore
    const rows = yield* Stream.runCollect(store.rows(golden.view.name, golden.view.version))
    return GoldenCsv.csv(golden.header, rows.map(golden.cells))
  })
