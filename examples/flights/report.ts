/** What `npm start` prints at its end. */
import { DatabaseSync } from "node:sqlite"
import type { Archiver } from "@headrace/archive"
import type { Counts } from "@headrace/core/ViewStore"
import type { Compare } from "@headrace/kappa"

export interface Outcome {
  /** Path of the SQLite file. */
  readonly store: string
  /** Path of the table's metadata. */
  readonly metadata: string
  readonly archive: Archiver.Report
  readonly counts: Counts
  readonly comparison: Compare.Comparison
  /** Records a second. */
  readonly rates: { readonly append: number; readonly archive: number; readonly live: number; readonly replay: number }
  readonly workers: number
  readonly hash: string
  /** The project's folder. */
  readonly folder: string
}

interface Airport {
  readonly origin: string
  readonly flights: number
  readonly delay: number
  readonly delayed: number
  readonly destinations: number
}

interface Day {
  readonly day: number
  readonly delay: number
  readonly flights: number
}

const number = (n: number): string =>
  Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ",")
const rate = (n: number): string => (n >= 1e6 ? `${(n / 1e6).toFixed(2)} M` : `${Math.round(n / 1e3)} k`) + " records/s"

const table = (airports: ReadonlyArray<Airport>): string => {
  const rows = airports.map((a) => [
    a.origin,
    number(a.flights),
    a.delay.toFixed(1),
    `${((100 * a.delayed) / a.flights).toFixed(1)} %`,
    String(a.destinations)
  ])
  const head = ["airport", "flights", "delay, min", "delayed", "destinations"]
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]!.length)))
  const line = (cells: ReadonlyArray<string>) =>
    "  " + cells.map((c, i) => (i === 0 ? c.padEnd(widths[i]!) : c.padStart(widths[i]!))).join("   ")
  return [line(head), line(widths.map((w) => "─".repeat(w))), ...rows.map(line)].join("\n")
}

/** A column chart: one column per two days, eight rows of eighths. */
const chart = (days: ReadonlyArray<Day>): string => {
  const columns = Array.from({ length: Math.ceil(days.length / 2) }, (_, i) => {
    const some = days.slice(2 * i, 2 * i + 2)
    const flights = some.reduce((n, d) => n + d.flights, 0)
    return some.reduce((n, d) => n + d.delay * d.flights, 0) / flights
  })
  const top = Math.ceil(Math.max(...columns) / 5) * 5
  const height = 6
  const blocks = " ▁▂▃▄▅▆▇█"
  const rows = Array.from({ length: height }, (_, r) => {
    const base = ((height - 1 - r) * top) / height
    const cells = columns.map((c) => blocks[Math.max(0, Math.min(8, Math.round(((c - base) / (top / height)) * 8)))]!)
    return `${r === 0 ? `${top} min`.padStart(8) : " ".repeat(8)} │${cells.join("")}`
  })
  const months = days.flatMap((d, i) =>
    new Date(d.day).getUTCDate() === 1
      ? [[Math.floor(i / 2), new Date(d.day).toLocaleString("en", { month: "short", timeZone: "UTC" })] as const]
      : []
  )
  let axis = ""
  for (const [at, name] of months) axis = axis.padEnd(at) + name
  return [...rows, `${"0 min".padStart(8)} └${"─".repeat(columns.length)}`, " ".repeat(10) + axis].join("\n")
}

export const report = (o: Outcome): string => {
  const db = new DatabaseSync(o.store, { readOnly: true })
  db.exec("PRAGMA busy_timeout = 5000")
  const airports = db
    .prepare(
      `SELECT origin, SUM(flights) AS flights, SUM(average_delay * flights) / SUM(flights) AS delay, SUM(delayed) AS delayed, MAX(destinations) AS destinations
       FROM departures GROUP BY origin ORDER BY flights DESC, origin LIMIT 10`
    )
    .all() as unknown as ReadonlyArray<Airport>
  const days = db
    .prepare(
      `SELECT window_start AS day, SUM(average_delay * flights) / SUM(flights) AS delay, SUM(flights) AS flights FROM departures GROUP BY day ORDER BY day`
    )
    .all() as unknown as ReadonlyArray<Day>
  db.close()
  const { applied, deadLettered, filtered, late, read } = o.counts
  const { rows } = o.comparison
  return `
The ten busiest airports, January to June 2001 (most destinations of a day)

${table(airports)}

Average delay by day

${chart(days)}

Version 2 adds "destinations"; it was replayed beside version 1, compared and promoted:
  ${number(rows.same)} rows equal in ${o.comparison.common.join(", ")}; ${rows.different + rows.missingLeft + rows.missingRight} differ
  read ${number(read)} = applied ${number(applied)} + filtered ${number(filtered)} + late ${number(late)} + dead-lettered ${number(deadLettered)}
  append ${rate(o.rates.append)}   archive ${rate(o.rates.archive)}   live ${rate(o.rates.live)}   replay ${rate(o.rates.replay)} (${o.workers} workers)
  state ${o.hash}

The view is in SQLite   ${o.store}
The history in Iceberg  ${o.metadata}
                        (${number(o.archive.records)} records in ${o.archive.files} Parquet files, ${(o.archive.bytes / 1e6).toFixed(1)} MB)

Next:
  npx -y pnpm@12.21.0 headrace status --project ${o.folder}
  npx -y pnpm@12.21.0 headrace late departures --project ${o.folder} --limit 5
  npx -y pnpm@12.21.0 headrace rollback departures --project ${o.folder}
  sqlite3 ${o.store} "SELECT * FROM departures WHERE origin = 'JFK' ORDER BY window_start DESC LIMIT 5"
`
}
