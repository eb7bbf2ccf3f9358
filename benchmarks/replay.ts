/**
 * Replay from a local archive: view d's shape (completed orders by minute and category, event time after the filter) over orders in 4
 * partitions, from Parquet files to a committed view, on one thread; beside it the same filter and GROUP BY in DuckDB on one thread,
 * without and with the lateness per partition, and the same view live from the embedded log. Then one and two worker threads over four
 * times as many orders. A round of ours is the median of two (then of five) in one process, the first of which compiles.
 */
import { join } from "node:path"
import * as Duck from "./Duck.ts"
import * as Orders from "example-orders/Orders"
import { fingerprint, totalOf } from "./Cells.ts"
import { metric, median, ratio, type Result, Steps } from "./harness.ts"
import { measure } from "./Measure.ts"
import { prepareArchive, prepareLog, withFolder } from "./Projects.ts"

/** The cells of the first orders by a plain loop over them. */
const expected = (rows: number): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  Orders.forEachOrder({ rows }, ({ category, status, ts }) => {
    const cell = `${category} ${Math.floor(ts / 60_000) * 60_000}`
    if (status === "completed") counts.set(cell, (counts.get(cell) ?? 0) + 1)
  })
  return [...counts].map(([cell, n]) => `${cell} ${n}`)
}

const millions = (n: number): string => `${(n / 1e6).toFixed(2)} M rows/s`

export const run = (reduced: boolean): Promise<Result> =>
  withFolder(async (folder) => {
    const [rows, largeRows, logRows] = reduced ? [1_000_000, 2_000_000, 500_000] : [5_000_000, 20_000_000, 2_000_000]
    const [rounds, largeRounds] = reduced ? [3, 2] : [7, 5]
    const [small, large, log] = [join(folder, "small"), join(folder, "large"), join(folder, "log")]
    const steps = new Steps(3 + rounds + largeRounds)

    await prepareArchive(small, rows)
    steps.done(`archive of ${rows} orders`)
    await prepareLog(log, logRows)
    steps.done(`log of ${logRows} orders`)

    const figures = { ours: [] as Array<number>, duckdb: [] as Array<number>, lateness: [] as Array<number> }
    const live: Array<number> = []
    let cells: ReadonlyArray<string> = []
    let answers = { plain: [] as ReadonlyArray<string>, lateness: [] as ReadonlyArray<string> }
    const liveCells = new Set<string>()
    let rss = 0
    const duck = await Duck.open(join(small, "archive/orders/data"))
    try {
      await duck.plain()
      for (let i = 0; i < rounds; i++) {
        const own = await measure(small, { mode: "replay", workers: 1, rounds: 2 })
        const plain = [await duck.plain(), await duck.plain()]
        const lateness = await duck.lateness()
        const running = await measure(log, { mode: "live", workers: 1, rounds: 1 })
        figures.ours.push(rows / median(own.seconds))
        figures.duckdb.push(rows / median(plain.map((p) => p.seconds)))
        figures.lateness.push(rows / lateness.seconds)
        live.push(logRows / median(running.seconds))
        rss = Math.max(rss, own.rss)
        cells = own.cells
        liveCells.add(fingerprint(running.cells.map(totalOf)))
        answers = {
          plain: plain[0]!.rows.map(([category, start, n]) => `${category} ${start} ${n}`),
          lateness: lateness.rows.map(([category, start, applied, late]) => `${category} ${start} ${applied} ${late}`)
        }
        steps.done(
          `round ${i + 1} of ${rounds}: ours ${millions(figures.ours.at(-1)!)}, DuckDB ${millions(figures.duckdb.at(-1)!)}, with lateness ${millions(figures.lateness.at(-1)!)}, live ${millions(live.at(-1)!)}`
        )
      }
    } finally {
      duck.close()
    }

    await prepareArchive(large, largeRows)
    steps.done(`archive of ${largeRows} orders`)
    const [one, two]: [Array<number>, Array<number>] = [[], []]
    const largeCells = new Set<string>()
    for (let i = 0; i < largeRounds; i++) {
      for (const [workers, into] of [
        [1, one],
        [2, two]
      ] as const) {
        const own = await measure(large, { mode: "replay", workers, rounds: 5 })
        into.push(largeRows / median(own.seconds))
        largeCells.add(fingerprint(own.cells))
        if (workers === 1) rss = Math.max(rss, own.rss)
      }
      steps.done(
        `${i + 1} of ${largeRounds}: one thread ${millions(one.at(-1)!)}, two workers ${millions(two.at(-1)!)}`
      )
    }

    const fingerprints = {
      ours: fingerprint(cells.map(totalOf)),
      duckdb: fingerprint(answers.plain),
      ours_lateness: fingerprint(cells),
      duckdb_lateness: fingerprint(answers.lateness)
    }
    return {
      bench: "replay",
      rounds,
      metrics: {
        rows_per_s: metric(figures.ours, "rows/s"),
        duckdb_rows_per_s: metric(figures.duckdb, "rows/s"),
        duckdb_lateness_rows_per_s: metric(figures.lateness, "rows/s"),
        live_records_per_s: metric(live, "records/s"),
        rows_per_s_1: metric(one, "rows/s"),
        rows_per_s_2: metric(two, "rows/s")
      },
      ratios: {
        duckdb: ratio(figures.ours, figures.duckdb),
        duckdb_lateness: ratio(figures.ours, figures.lateness),
        live: ratio(figures.ours, live),
        one_worker: ratio(two, one)
      },
      rss_mb: rss,
      checked:
        cells.length > 0 &&
        fingerprints.ours === fingerprints.duckdb &&
        fingerprints.ours_lateness === fingerprints.duckdb_lateness &&
        liveCells.size === 1 &&
        liveCells.has(fingerprint(expected(logRows))) &&
        largeCells.size === 1,
      fingerprints
    }
  })
