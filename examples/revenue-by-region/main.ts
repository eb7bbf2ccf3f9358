/**
 * Makes a day of orders, reads it to revenue by category and region, and has DuckDB read what was written: its answer must be that of PySpark,
 * to the last digit. `node examples/revenue-by-region/main.ts [LOCATION]`, a folder or `s3://bucket/prefix` (reached by `S3_…` or the SDK's own
 * settings); without one, a folder that is removed at the end.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { gunzipSync } from "node:zlib"
import { DuckDBInstance } from "@duckdb/node-api"
import { ObjectStore, StoreLocation } from "@headrace/s3"
import { Effect, Stream } from "effect"
import { makeOrders } from "./orders.ts"
import { revenueByRegion } from "./revenue.ts"

const temporary = mkdtempSync(join(tmpdir(), "headrace-revenue-"))
const location = process.argv[2] ?? temporary

/** PySpark's answer: category, region, revenue, order count. */
const expected = gunzipSync(readFileSync(join(import.meta.dirname, "../orders/golden/a_oracle.csv.gz")))
  .toString()
  .trimEnd()
  .split("\n")
  .slice(1)
  .map((line) => line.split(",").slice(0, 4).join(","))

const duckdb = async (folder: string): Promise<ReadonlyArray<string>> => {
  const connection = await (await DuckDBInstance.create(":memory:")).connect()
  const rows = await connection.runAndReadAll(
    `SELECT category, region, revenue, order_count
     FROM read_parquet('${join(folder, "revenue/*/*.parquet").replaceAll("'", "''")}', hive_partitioning = true)
     ORDER BY category, region`
  )
  return rows.getRows().map((row) => row.join(","))
}

/** What DuckDB finds by listing; from a bucket, a copy of it. */
const foundBy = Effect.gen(function* () {
  if (!StoreLocation.isS3(location)) return location
  const store = yield* ObjectStore
  for (const { key } of yield* Stream.runCollect(store.list("revenue/region="))) {
    const file = join(temporary, key)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, yield* store.get(key))
  }
  return temporary
})

try {
  const program = Effect.gen(function* () {
    const objects = yield* makeOrders({ rows: 100_000 })
    const report = yield* revenueByRegion
    return { objects, report, folder: yield* foundBy }
  })
  const { folder, objects, report } = await Effect.runPromise(Effect.provide(program, StoreLocation.layer(location)))
  const found = await duckdb(folder)
  const same = found.length === expected.length && found.every((row, i) => row === expected[i])
  for (const row of found.slice(0, 5)) console.log(row)
  console.log(
    `${objects} objects of orders; ${found.length} rows of revenue in ${report.files} files; ${same ? "equal to" : "NOT"} PySpark's answer`
  )
  if (!same) process.exitCode = 1
} finally {
  rmSync(temporary, { recursive: true, force: true })
}
