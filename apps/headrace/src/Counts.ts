/** The counts of a version over all of its partitions, and how they are shown. */
import type { Counts, Position } from "@headrace/core/ViewStore"
import { number } from "./Table.ts"

/** The sums over the partitions. */
export const total = (positions: ReadonlyArray<Position>): Counts => {
  const sum = (pick: (c: Counts) => number) => positions.reduce((n, p) => n + pick(p.counts), 0)
  return {
    read: sum((c) => c.read),
    applied: sum((c) => c.applied),
    filtered: sum((c) => c.filtered),
    late: sum((c) => c.late),
    deadLettered: sum((c) => c.deadLettered)
  }
}

/** Whether every record that was read has become one of the four. */
export const reconcile = (c: Counts): boolean => c.read === c.applied + c.filtered + c.late + c.deadLettered

/** The counts as an equation. */
export const format = (c: Counts): string =>
  `read ${number(c.read)} ${reconcile(c) ? "=" : "≠"} applied ${number(c.applied)} + filtered ${number(c.filtered)} + late ${number(c.late)} + dead-lettered ${number(c.deadLettered)}`
