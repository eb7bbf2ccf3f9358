/**
 * Makes a day of orders in a folder, reads it to revenue by category and region, and has DuckDB read what was written: its answer must be that
 * of PySpark, to the last digit. `node examples/revenue-by-region/main.ts [FOLDER]`; without a folder, one that is removed at the end.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { DuckDBInstance } from "@duckdb/node-api"
import { FolderObjectStore } from "@headrace/s3"
import { Effect } from "effect"
import { makeOrders } from "./orders.ts"
import { revenueByRegion } from "./revenue.ts"

const given = process.argv[2]
const folder = given ?? mkdtempSync(join(tmpdir(), "headrace-revenue-"))

/** PySpark's answer: category, region, revenue, order count. */
const expected = gunzipSync(readFileSync(join(import.meta.dirname, "../orders/golden/a_oracle.csv.gz")))
  .toString()
  .trimEnd()
  .split("\n")
  .slice(1)
  .map((line) => line.split(",").slice(0, 4).join(","))

const duckdb = async (): Promise<ReadonlyArray<string>> => {
  const connection = await (await DuckDBInstance.create(":memory:")).connect()
  const rows = await connection.runAndReadAll(
    `SELECT category, region, revenue, order_count
     FROM read_parquet('${join(folder, "revenue/*/*.parquet").replaceAll("'", "''")}', hive_partitioning = true)
     ORDER BY category, region`
  )
  return rows.getRows().map((row) => row.join(","))
}

try {
  const program = Effect.andThen(makeOrders({ rows: 100_000 }), (objects) => Effect.as(revenueByRegion, objects))
  const objects = await Effect.runPromise(program.pipe(Effect.provide(FolderObjectStore.layer({ path: folder }))))
  const found = await duckdb()
  const same = found.length === expected.length && found.every((row, i) => row === expected[i])
  for (const row of found.slice(0, 5)) console.log(row)
  console.log(
    `${objects} objects of orders; ${found.length} rows of revenue; ${same ? "equal to" : "NOT"} PySpark's answer`
  )
  if (!same) process.exitCode = 1
} finally {
  if (given === undefined) rmSync(folder, { recursive: true, force: true })
}
