/** Where a version stands in its topic, and how that is shown. */
import type { OneLog } from "@headrace/archive"
import type { Position, VersionInfo } from "@headrace/core/ViewStore"
import { Effect } from "effect"
import * as Counts from "./Counts.ts"
import * as Table from "./Table.ts"
import * as Values from "./Values.ts"

interface Partition {
  readonly partition: number
  readonly next: number
  /** The log's end, and how far it is; null when the topic isn't there. */
  readonly end: number | null
  readonly lag: number | null
  /** The largest event time so far, ISO. */
  readonly eventTime: string | null
}

/** A version's positions against the ends of its topic. */
const partitionsOf = (
  positions: ReadonlyArray<Position>,
  topic: OneLog.Description | undefined
): ReadonlyArray<Partition> =>
  positions.map(({ maxEventTime, next, partition }) => {
    const end = topic?.partitions[partition]?.end ?? null
    return {
      partition,
      next,
      end,
      lag: end === null ? null : Math.max(0, end - next),
      eventTime: Number.isFinite(maxEventTime) ? Values.instant(maxEventTime) : null
    }
  })

const stateOf = (v: VersionInfo): "promoted" | "ready" | "building" => (v.promoted ? "promoted" : v.status)

/** A version in JSON. */
export const toJson = (v: VersionInfo, topic: OneLog.Description | undefined) => {
  const counts = Counts.total(v.positions)
  return {
    view: v.view,
    version: v.version,
    state: stateOf(v),
    topic: v.topic,
    counts,
    reconciled: Counts.reconcile(counts),
    partitions: partitionsOf(v.positions, topic)
  }
}

export type Standing = ReturnType<typeof toJson>

/** Records that are left to fold. */
export const lagOf = (versions: ReadonlyArray<Standing>): number =>
  versions.reduce((n, v) => v.partitions.reduce((m, p) => m + (p.lag ?? 0), n), 0)

/** Counts that don't reconcile mean that a record was lost or taken twice: a defect. */
export const verify = ({ counts, reconciled, version, view }: Standing): Effect.Effect<void> =>
  reconciled
    ? Effect.void
    : Effect.die(new Error(`the counts of "${view}" version ${version} don't reconcile: ${Counts.format(counts)}`))

/** The counts of versions as a table. */
export const table = (versions: ReadonlyArray<Standing>): string =>
  Table.render(
    [
      { name: "view" },
      { name: "version", align: "right" },
      { name: "state" },
      ...["read", "applied", "filtered", "late", "dead-lettered", "lag"].map((name): Table.Column => ({
        name,
        align: "right"
      }))
    ],
    versions.map(({ counts: c, partitions, state, version, view }) => {
      const lag = partitions.reduce<number | null>((n, p) => (n === null || p.lag === null ? null : n + p.lag), 0)
      return [
        view,
        String(version),
        state,
        ...[c.read, c.applied, c.filtered, c.late, c.deadLettered].map(Table.number),
        lag === null ? "?" : Table.number(lag)
      ]
    })
  )
