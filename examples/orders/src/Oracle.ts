/**
 * What the four golden questions have for an answer, worked out in the plainest way: one loop over the orders, exact integers only.
 *
 * Order `i` goes to partition `i % partitions`. Questions (a) and (b) have no windows, so nothing is late and partitions don't matter. In
 * (c) and (d) a partition's watermark is the largest `ts` of the orders before this one *in the same partition*, less the out-of-orderness;
 * an order is late, and in no result, if that has reached the last millisecond of its window.
 *
 * Answers are in the golden CSV form (`GoldenCsv.ts`): rows sorted by all columns from left to right, text by code point, everything else
 * by value. Averages are rounded HALF_UP, to 2 places in (a) and 6 in (b) and (c).
 *
 * It shares with the engine the CSV form alone.
 */
import { csv, decimal, instant, integer, isoDay, text } from "./GoldenCsv.ts"
import { type Options, type Order, forEachOrder, orderId } from "./Orders.ts"

export interface WindowedOptions extends Options {
  readonly partitions: number
}

/** An answer with windows, and the ids of the orders that came too late for it, in arrival order. */
export interface WindowedAnswer {
  readonly csv: string
  readonly dropped: ReadonlyArray<string>
}

const minute = 60_000
const day = 86_400_000

/** `cents / count`, as a scaled integer with `places` places, a half rounded up. Amounts are never negative. */
const average = (cents: bigint, count: bigint, places: 2 | 6): bigint => {
  const scaled = cents * (places === 2 ? 1n : 10_000n)
  const floor = scaled / count
  const rest = scaled % count
  return 2n * rest >= count ? floor + 1n : floor
}

interface Group {
  readonly first: Pick<Order, "ts" | "category" | "region">
  cents: bigint
  count: bigint
  readonly users: Set<number>
}

/** Adds the order to the group of that name, which it makes if it is the first. */
const addTo = (groups: Map<string, Group>, name: string, order: Order): void => {
  let group = groups.get(name)
  if (group === undefined) {
    group = { first: { ...order }, cents: 0n, count: 0n, users: new Set() }
    groups.set(name, group)
  }
  group.cents += BigInt(order.cents)
  group.count += 1n
  group.users.add(order.user)
}

const isCompleted = (order: Order): boolean => order.status === "completed"

/** (a) Completed orders by category and region. */
export const answerA = (options: Options): string => {
  const groups = new Map<string, Group>()
  forEachOrder(options, (order) => {
    if (isCompleted(order)) addTo(groups, `${order.category} ${order.region}`, order)
  })
  return csv(
    ["category", "region", "revenue", "order_count", "avg_order_value"],
    Array.from(groups.values(), (g) => [
      text(g.first.category),
      text(g.first.region),
      decimal(g.cents, 2),
      integer(g.count),
      decimal(average(g.cents, g.count, 2), 2)
    ])
  )
}

/** (b) Completed orders by UTC day, region and category, with the number of different users. */
export const answerB = (options: Options): string => {
  const groups = new Map<string, Group>()
  forEachOrder(options, (order) => {
    if (isCompleted(order)) addTo(groups, `${Math.floor(order.ts / day)} ${order.region} ${order.category}`, order)
  })
  return csv(
    ["order_date", "region", "category", "order_count", "revenue", "avg_order_value_exact6", "distinct_users"],
    Array.from(groups.values(), (g) => [
      isoDay(Math.floor(g.first.ts / day)),
      text(g.first.region),
      text(g.first.category),
      integer(g.count),
      decimal(g.cents, 2),
      decimal(average(g.cents, g.count, 6), 6),
      integer(g.users.size)
    ])
  )
}

const windowOf = (ts: number): number => Math.floor(ts / minute) * minute

/** Whether an order at `ts` is late where `before` is the largest `ts` before it in its partition, if there is any. */
export const isLate = (before: number | undefined, ts: number, outOfOrderness: number): boolean =>
  before !== undefined && before - outOfOrderness >= windowOf(ts) + minute - 1

/** The orders that pass the filter, by window and category, and the ids of those among them that came too late. */
const windowed = (
  options: WindowedOptions,
  filter: (order: Order) => boolean,
  outOfOrderness: number
): { readonly groups: Map<string, Group>; readonly dropped: ReadonlyArray<string> } => {
  if (!Number.isSafeInteger(options.partitions) || options.partitions < 1)
    throw new RangeError(`expected a number of partitions from 1, got ${options.partitions}`)
  const groups = new Map<string, Group>()
  const dropped: Array<string> = []
  /** By partition: the largest `ts` so far. */
  const largest = new Map<number, number>()
  forEachOrder(options, (order) => {
    if (!filter(order)) return
    const partition = order.index % options.partitions
    const before = largest.get(partition)
    largest.set(partition, before === undefined ? order.ts : Math.max(before, order.ts))

    if (isLate(before, order.ts, outOfOrderness)) dropped.push(orderId(order.index))
    else addTo(groups, `${windowOf(order.ts)} ${order.category}`, order)
  })
  return { groups, dropped }
}

/** Flink's `ts - 5 s`. */
export const outOfOrdernessC = 5_000

/** Kafka Streams drops an order if its window's end ≤ the largest `ts`: one millisecond later than `end - 1 ≤`. */
export const outOfOrdernessD = 1

/** (c) All orders by minute and category. The watermark is 5 s behind. */
export const answerC = (options: WindowedOptions): WindowedAnswer => {
  const { dropped, groups } = windowed(options, () => true, outOfOrdernessC)
  return {
    dropped,
    csv: csv(
      ["window_start_ms", "category", "revenue", "order_count", "avg_order_value"],
      Array.from(groups.values(), (g) => [
        instant(windowOf(g.first.ts)),
        text(g.first.category),
        decimal(g.cents, 2),
        integer(g.count),
        decimal(average(g.cents, g.count, 6), 6)
      ])
    )
  }
}

/** (d) Completed orders by minute and category. The watermark is that of the completed orders alone, 1 ms behind. */
export const answerD = (options: WindowedOptions): WindowedAnswer => {
  const { dropped, groups } = windowed(options, isCompleted, outOfOrdernessD)
  return {
    dropped,
    csv: csv(
      ["window_start_ms", "category", "count"],
      Array.from(groups.values(), (g) => [instant(windowOf(g.first.ts)), text(g.first.category), integer(g.count)])
    )
  }
}
