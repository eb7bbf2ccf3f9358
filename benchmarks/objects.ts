/**
 * A day of orders as NDJSON objects in a folder, through `ObjectSource` and `ObjectSink` to Parquet: 4 GB, or 0.4 GB reduced, into one folder
 * and into `date=/hour=` folders. DuckDB reads every row back: counts and exact sums by category, region and status must be those of a plain
 * loop over the orders, and each row must be in its folder. A core does `mb_per_cpu_s` MB of NDJSON a second; more than 256 MB of memory, or
 * fewer than 25 MB a second and core, fail. The process is started with the `flags`.
 */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs"
import { join } from "node:path"
import { DuckDBInstance } from "@duckdb/node-api"
import * as Orders from "example-orders/Orders"
import { fingerprint } from "./Cells.ts"
import { type Copied, copy, heapFlags } from "./Copy.ts"
import { metric, type Result, Steps } from "./harness.ts"
import { withFolder } from "./Projects.ts"

const mostRss = 256
const leastRate = 25
const objectBytes = 100e6

/** A cell's rows, and what their columns add up to. */
interface Sums {
  rows: number
  cents: number
  ids: number
  users: number
  millis: number
}

const textOf = (cell: string, { cents, ids, millis, rows, users }: Sums) =>
  [cell, rows, cents, ids, users, millis].join(" ")

/** Writes the orders in objects of 100 MB. */
const makeOrders = (folder: string, rows: number): { readonly bytes: number; readonly cells: Array<string> } => {
  mkdirSync(folder, { recursive: true })
  const cells = new Map<string, Sums>()
  const cursor = new Orders.Cursor({ rows })
  let [total, bytes, objects, text] = [0, 0, 0, ""]
  let file: number | undefined
  const write = () => {
    file ??= openSync(join(folder, `${String(objects++).padStart(4, "0")}.ndjson`), "wx")
    bytes += writeSync(file, text, null, "latin1")
    text = ""
    if (bytes < objectBytes) return
    closeSync(file)
    total += bytes
    bytes = 0
    file = undefined
  }
  while (cursor.next()) {
    const { category, cents, index, region, status, ts, user } = cursor.order
    const name = `${category} ${region} ${status}`
    let sums = cells.get(name)
    if (sums === undefined) cells.set(name, (sums = { rows: 0, cents: 0, ids: 0, users: 0, millis: 0 }))
    sums.rows++
    sums.cents += cents
    sums.ids += index
    sums.users += user
    sums.millis += ts - Orders.dayStart
    text += `${Orders.json(cursor.order)}\n`
    if (text.length >= 1 << 18) write()
  }
  if (text !== "") write()
  if (file !== undefined) closeSync(file)
  return { bytes: total + bytes, cells: [...cells].map(([cell, sums]) => textOf(cell, sums)) }
}

/** The same by DuckDB from the Parquet files, and how many rows are in another folder than theirs. */
const readBack = async (folder: string, byHour: boolean) => {
  const instance = await DuckDBInstance.create(":memory:")
  const connection = await instance.connect()
  try {
    const from = `read_parquet('${join(folder, "**/*.parquet").replaceAll("'", "''")}', hive_partitioning = ${byHour}, hive_types_autocast = false)`
    const cells = await connection.runAndReadAll(
      `SELECT category || ' ' || region || ' ' || status, count(*), sum(CAST(total * 100 AS BIGINT)), sum(CAST(substr(order_id, 5) AS BIGINT)),
         sum(CAST(substr(user_id, 6) AS BIGINT)), sum(epoch_ms(ts) - ${Orders.dayStart}) FROM ${from} GROUP BY 1`
    )
    const hour = "strftime(ts AT TIME ZONE 'UTC', '%Y-%m-%d %H')"
    const astray = byHour
      ? await connection.runAndReadAll(`SELECT count(*) FROM ${from} WHERE ${hour} <> date || ' ' || hour`)
      : undefined
    return {
      cells: cells.getRows().map((row) => row.map(String).join(" ")),
      astray: Number(astray?.getRows()[0]![0] ?? 0)
    }
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

const variants = [
  { name: "one-folder", path: "" },
  { name: "by-hour", path: "date={ts:yyyy-MM-dd}/hour={ts:HH}" }
]

export const run = (reduced: boolean): Promise<Result> =>
  withFolder(async (folder) => {
    const rows = reduced ? 2_750_000 : 27_500_000
    const rounds = reduced ? 2 : 1
    const steps = new Steps(1 + rounds * variants.length)
    const { bytes, cells } = makeOrders(join(folder, "orders"), rows)
    steps.done(`${rows} orders, ${(bytes / 1e9).toFixed(2)} GB`)
    const figures = variants.map(() => [] as Array<Copied>)
    const fingerprints: Record<string, string> = { orders: fingerprint(cells) }
    let checked = true
    for (let round = 0; round < rounds; round++)
      for (const [i, { name, path }] of variants.entries()) {
        const copied = await copy(folder, name, path)
        figures[i]!.push(copied)
        const found = await readBack(join(folder, name), path !== "")
        rmSync(join(folder, name), { recursive: true })
        const print = (fingerprints[name.replace("-", "_")] = fingerprint(found.cells))
        checked &&= copied.rows === rows && found.astray === 0 && print === fingerprints["orders"]
        steps.done(
          `${name}: ${(bytes / 1e6 / copied.seconds).toFixed(1)} MB/s, ${(bytes / 1e6 / copied.cpuSeconds).toFixed(1)} MB/s a core, ${Math.round(copied.rss)} MB of memory, ${copied.files} files`
        )
      }
    const metrics = Object.fromEntries(
      variants.flatMap(({ name }, i) => {
        const title = name.replace("-", "_")
        const of = (value: (copied: Copied) => number) => figures[i]!.map(value)
        return [
          [
            `${title}_mb_per_s`,
            metric(
              of((c) => bytes / 1e6 / c.seconds),
              "MB/s"
            )
          ],
          [
            `${title}_mb_per_cpu_s`,
            metric(
              of((c) => bytes / 1e6 / c.cpuSeconds),
              "MB/s a core"
            )
          ],
          [
            `${title}_rss_mb`,
            metric(
              of((c) => c.rss),
              "MB"
            )
          ],
          [
            `${title}_rows`,
            metric(
              of((c) => c.rows),
              "rows"
            )
          ]
        ] as const
      })
    )
    const all = figures.flat()
    const rss = Math.max(...all.map((c) => c.rss))
    const rate = Math.min(...all.map((c) => bytes / 1e6 / c.cpuSeconds))
    if (rss > mostRss) console.error(`${Math.round(rss)} MB of memory, and ${mostRss} are allowed`)
    if (rate < leastRate) console.error(`${rate.toFixed(1)} MB a second and core, and ${leastRate} are needed`)
    return {
      bench: "objects",
      rounds,
      metrics,
      ratios: {},
      rss_mb: rss,
      checked: checked && rss <= mostRss && rate >= leastRate,
      fingerprints,
      flags: heapFlags
    }
  })
