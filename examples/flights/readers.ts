/**
 * Neutral readers on what `npm start` left: DuckDB answers the view's question from the file of flights, and agrees with applied + late in
 * every cell; PyIceberg reads the archive, and finds the rows, sums and offsets that we find.
 */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Archive } from "@headrace/archive"
import { DuckDBInstance } from "@duckdb/node-api"
import { Fold } from "@headrace/kappa"
import { Effect, Stream } from "effect"
import { Project } from "headrace"
import { python } from "../../scripts/python.ts"
import { file } from "./load.ts"

const folder = import.meta.dirname
const project = await Effect.runPromise(Project.load(folder))
const store = Project.paths(project).store
if (!existsSync(store)) {
  console.error("there are no flights here: run npm start first")
  process.exit(1)
}

/** Per cell: flights, sum of the delays, delayed flights, distinct destinations; with the late ones. */
const ours = (): ReadonlyArray<string> => {
  const db = new DatabaseSync(store, { readOnly: true })
  const rows = db
    .prepare(
      `WITH late AS (
         SELECT window_start, columns ->> 'origin' AS origin, columns ->> 'delay' AS delay, columns ->> 'destination' AS destination
         FROM departures__v2__late),
       flown AS (
         SELECT origin, window_start, sum(flights) AS flights, sum(delay) AS delay, sum(delayed) AS delayed FROM (
           SELECT origin, window_start, flights, average_delay__sum AS delay, delayed FROM departures__v2__exact
           UNION ALL SELECT origin, window_start, 1, delay, delay > 15 FROM late)
         GROUP BY origin, window_start),
       places AS (
         SELECT origin, window_start, count(*) AS destinations FROM (
           SELECT origin, window_start, value FROM departures__v2__set_destinations
           UNION SELECT origin, window_start, destination FROM late)
         GROUP BY origin, window_start)
       SELECT origin, window_start, flights, delay, delayed, destinations FROM flown JOIN places USING (origin, window_start)
       ORDER BY origin, window_start`
    )
    .all()
  db.close()
  return rows.map((row) => Object.values(row).join(" "))
}

const duckdb = async (): Promise<ReadonlyArray<string>> => {
  const connection = await (await DuckDBInstance.create(":memory:")).connect()
  const rows = await connection.runAndReadAll(
    `SELECT origin, epoch_ms(date_trunc('day', date)) AS day, count(*), sum(delay), count(*) FILTER (delay > 15), count(DISTINCT destination)
     FROM read_parquet('${file}') GROUP BY ALL ORDER BY origin, day`
  )
  return rows.getRows().map((row) => row.join(" "))
}

interface Reading {
  readonly rows: number
  readonly decoded: number
  readonly sums: Readonly<Record<"date" | "delay" | "distance", number>>
  readonly partitions: Readonly<
    Record<string, { readonly begin: number; readonly end: number; readonly records: number }>
  >
}

/** What our own reader finds in the archive. */
const reading = Effect.gen(function* () {
  const archive = yield* Archive.Archive
  const codec = Fold.codecOf(project.views[0]!.view)
  const holding = yield* archive.holding("flights")
  const sums = { date: 0n, delay: 0n, distance: 0n }
  let [rows, decoded] = [0, 0]
  const partitions: Record<string, { begin: number; end: number; records: number }> = {}
  for (const [partition, { begin, end }] of holding!.ranges) {
    let records = 0
    const options = { topic: "flights", partition, from: begin, until: end, columns: Object.keys(sums) }
    yield* Stream.runForEach(archive.read(codec, options), (batch) =>
      Effect.sync(() => {
        records += batch.count
        if (batch.kinds === undefined) decoded += batch.count
        for (const name of ["date", "delay", "distance"] as const) {
          let sum = 0n
          for (const value of batch.columns[name] as Float64Array) sum += BigInt(value)
          sums[name] += sum
        }
      })
    )
    rows += records
    partitions[partition] = { begin, end, records }
  }
  const number = (n: bigint) => Number(n)
  return {
    rows,
    decoded,
    sums: { date: number(sums.date), delay: number(sums.delay), distance: number(sums.distance) },
    partitions
  } satisfies Reading
}).pipe(Effect.provide(Project.archiveLayer(project)!))

let failed = 0
const report = (what: string, difference: string | undefined) => {
  if (difference !== undefined) failed++
  console.log(
    `${difference === undefined ? "ok" : "DIFFERS"}: ${what}${difference === undefined ? "" : `: ${difference}`}`
  )
}

const [mine, theirs] = [ours(), await duckdb()]
const at = Array.from({ length: Math.max(mine.length, theirs.length) }).findIndex((_, i) => mine[i] !== theirs[i])
report(
  `DuckDB's answer from the file is applied + late in each of ${theirs.length} cells`,
  at < 0 ? undefined : `ours ${mine[at] ?? "nothing"}, DuckDB's ${theirs[at] ?? "nothing"}`
)

const metadata = join(Project.paths(project).archive!, "flights/metadata")
const hint = readFileSync(join(metadata, "version-hint.text"), "utf8").trim()
const neutral = JSON.parse(
  execFileSync(python(), [join(folder, "archive_reader.py"), join(metadata, `v${hint}.metadata.json`)], {
    encoding: "utf8"
  })
) as Reading
const own = await Effect.runPromise(reading)
const canonical = ({ decoded, partitions, rows, sums }: Reading) =>
  JSON.stringify([rows, decoded, sums.date, sums.delay, sums.distance, Object.entries(partitions).toSorted()])
report(
  `PyIceberg reads the archive: ${neutral.rows} rows, sums and offset ranges of ${Object.keys(neutral.partitions).length} partitions`,
  canonical(own) === canonical(neutral) ? undefined : `ours ${canonical(own)}, PyIceberg's ${canonical(neutral)}`
)
console.log(`${2 - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
