/** DuckDB's side of the replay benchmark: the same filter and GROUP BY over the archive's files, on one thread. */
import { DuckDBInstance } from "@duckdb/node-api"

export interface Answer {
  readonly seconds: number
  readonly rows: ReadonlyArray<ReadonlyArray<unknown>>
}

export interface Duck {
  /** Completed orders by category and minute. */
  readonly plain: () => Promise<Answer>
  /** The same, with those that came late by the watermark of their partition apart: a window function in offset order. */
  readonly lateness: () => Promise<Answer>
  readonly close: () => void
}

/** Opens a database in memory over the Parquet files below a folder. */
export const open = async (folder: string): Promise<Duck> => {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" })
  const connection = await instance.connect()
  const files = `read_parquet('${folder.replaceAll("'", "''")}/**/*.parquet')`
  const start = "epoch_ms(ts) // 60000 * 60000"
  const plain = `SELECT category, ${start} AS window_start, count(*) AS n FROM ${files} WHERE status = 'completed' GROUP BY ALL`
  const lateness = `WITH marked AS (
      SELECT category, ${start} AS window_start,
        max(epoch_ms(ts)) OVER (PARTITION BY __partition ORDER BY __offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) - 1 AS watermark
      FROM ${files} WHERE status = 'completed')
    SELECT category, window_start, count(*) FILTER (watermark IS NULL OR watermark < window_start + 59999) AS applied,
      count(*) FILTER (watermark >= window_start + 59999) AS late FROM marked GROUP BY ALL`
  const ask = async (sql: string): Promise<Answer> => {
    const began = performance.now()
    const reader = await connection.runAndReadAll(sql)
    return { seconds: (performance.now() - began) / 1000, rows: reader.getRows() }
  }
  return {
    plain: () => ask(plain),
    lateness: () => ask(lateness),
    close: () => {
      connection.closeSync()
      instance.closeSync()
    }
  }
}
