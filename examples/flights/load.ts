/**
 * The 3,000,000 US flights of January to June 2001 that the npm package `vega-datasets` ships, appended to a topic in the order in which
 * they became known.
 */
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { partitionOf } from "@headrace/core/Partitioner"
import * as ColumnReader from "@headrace/parquet/ColumnReader"
import { Effect, Stream } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export const file = fileURLToPath(new URL("../data/flights-3m.parquet", import.meta.resolve("vega-datasets")))

const minute = 60_000

interface Flights {
  readonly count: number
  readonly date: ArrayLike<number>
  readonly delay: ArrayLike<number>
  readonly distance: ArrayLike<number>
  readonly origin: ReadonlyArray<string>
  readonly destination: ReadonlyArray<string>
}

const read = Effect.gen(function* () {
  const parquet = yield* ColumnReader.open(ColumnReader.fromBytes(file, readFileSync(file)))
  const names = ["date", "delay", "distance", "origin", "destination"]
  const groups = yield* Effect.forEach(parquet.rowGroups, (_, i) => ColumnReader.readRowGroup(parquet, i, names))
  const numbers = (name: string): Float64Array => {
    const out = new Float64Array(parquet.rowCount)
    let at = 0
    for (const g of groups) {
      out.set(g.columns[name] as Float64Array, at)
      at += g.rowCount
    }
    return out
  }
  const texts = (name: string) => groups.flatMap((g) => g.columns[name] as ReadonlyArray<string>)
  return {
    count: parquet.rowCount,
    date: numbers("date"),
    delay: numbers("delay"),
    distance: numbers("distance"),
    origin: texts("origin"),
    destination: texts("destination")
  } satisfies Flights
})

/** Rows by the minute in which they became known, ties by file row: a counting sort. */
const inOrderOfNews = (flights: Flights): { readonly rows: Uint32Array; readonly known: (row: number) => number } => {
  const known = (row: number) => flights.date[row]! + flights.delay[row]! * minute
  let first = Number.POSITIVE_INFINITY
  let last = Number.NEGATIVE_INFINITY
  for (let i = 0; i < flights.count; i++) {
    const t = known(i)
    if (t < first) first = t
    if (t > last) last = t
  }
  const starts = new Uint32Array((last - first) / minute + 2)
  for (let i = 0; i < flights.count; i++) starts[(known(i) - first) / minute + 1]!++
  for (let m = 1; m < starts.length; m++) starts[m]! += starts[m - 1]!
  const rows = new Uint32Array(flights.count)
  for (let i = 0; i < flights.count; i++) {
    const m = (known(i) - first) / minute
    rows[starts[m]!++] = i
  }
  return { rows, known }
}

/** What was appended, and per partition the first offset of the last ten days. */
export interface Loaded {
  readonly records: number
  readonly recent: ReadonlyMap<number, number>
}

/** Creates the topic and appends all flights. */
export const load = (topic: string, partitions: number, onProgress: (records: number) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const log = yield* EventLog
    const flights = yield* read
    const { known, rows } = inOrderOfNews(flights)
    const cutoff = known(rows.at(-1)!) - 10 * 24 * 60 * minute
    yield* log.createTopic(topic, { partitions })

    const utf8 = new TextEncoder()
    const homes = new Map<string, number>()
    const home = (origin: string) => {
      let partition = homes.get(origin)
      if (partition === undefined) homes.set(origin, (partition = partitionOf(utf8.encode(origin), partitions)))
      return partition
    }
    const builders = Array.from({ length: partitions }, () => new BatchBuilder(16_384))
    const offsets = new Float64Array(partitions)
    const recent = new Map<number, number>()
    const chunk = 50_000
    yield* Stream.range(0, Math.ceil(flights.count / chunk) - 1).pipe(
      Stream.runForEach((c) =>
        Effect.gen(function* () {
          const end = Math.min(flights.count, (c + 1) * chunk)
          for (let i = c * chunk; i < end; i++) {
            const row = rows[i]!
            const origin = flights.origin[row]!
            const partition = home(origin)
            const time = known(row)
            if (time >= cutoff && !recent.has(partition)) recent.set(partition, offsets[partition]!)
            offsets[partition]!++
            const value = `{"date":${flights.date[row]},"delay":${flights.delay[row]},"distance":${flights.distance[row]},"origin":"${origin}","destination":"${flights.destination[row]}"}`
            builders[partition]!.add(origin, value, time)
          }
          for (const [partition, builder] of builders.entries())
            if (builder.count > 0) yield* log.append(topic, partition, builder.take())
          yield* onProgress(end - c * chunk)
        })
      )
    )
    return { records: flights.count, recent } satisfies Loaded
  })
