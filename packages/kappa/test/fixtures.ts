/** A topic of orders, its records as batches, and an engine on embedded parts in a folder of its own. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Archiver, ArchiveTable, OneLog } from "@headrace/archive"
import { Batch, EventTime, JsonCodec } from "@headrace/core"
import { EventLog } from "@headrace/core/EventLog"
import { type Commit, type Position, type StateValue, ViewStore } from "@headrace/core/ViewStore"
import { SqliteLog, SqliteViewStore } from "@headrace/embedded"
import { Aggregate, decimal, Fold, instant, Kernel, Log, type Version, View, Window } from "@headrace/kappa"
import { FolderObjectStore } from "@headrace/s3"
import { Effect, Layer, Schema, Stream } from "effect"

export class Order extends Schema.Class<Order>("Order")({
  id: Schema.Int,
  category: Schema.NullOr(Schema.String),
  total: Schema.NullOr(decimal(2)),
  status: Schema.String,
  ts: instant
}) {}

export const orders = Log.topic("orders", { value: Order })

export interface Fields {
  readonly id?: number
  readonly category?: string | null
  readonly total?: number | null
  readonly status?: string
  readonly ts?: number
}

/** A record's value: an order, or a text as it stands, or a tombstone. */
export type Value = Fields | string | null

const text = (value: Value): string | null =>
  value === null || typeof value === "string"
    ? value
    : JSON.stringify({ id: 1, category: "a", total: 1, status: "ok", ts: 0, ...value })

/** The values as records. */
export const records = (values: ReadonlyArray<Value>): Batch.ProducerBatch => {
  const builder = new Batch.BatchBuilder(4, 64)
  for (const [i, value] of values.entries()) builder.add(null, text(value), 1000 + i)
  return builder.take()
}

/** The values as a decoded batch from offset `base`. */
export const batch = (view: View.Any, values: ReadonlyArray<Value>, base = 0): Batch.ColumnBatch => {
  const offsets = Float64Array.from(values, (_, i) => base + i)
  const whole = { ...records(values), topic: "orders", partition: 0, base, next: base + values.length, offsets }
  return Effect.runSync(JsonCodec.make(view.source.schema).decode(whole, view.source.columns))
}

export const start: Position = {
  partition: 0,
  next: 0,
  maxEventTime: EventTime.none,
  counts: { read: 0, applied: 0, filtered: 0, late: 0, deadLettered: 0 }
}

/** What a fold of the values commits: a row per key and window, by the names of the view. An average is its [sum, count]. */
export const fold = (view: View.Any, ...batches: ReadonlyArray<ReadonlyArray<Value>>) => {
  const kernel = Kernel.make(view, start)
  let base = 0
  for (const values of batches) {
    kernel.apply(batch(view, values, base))
    base += values.length
  }
  return readable(view, kernel.take())
}

export const readable = (view: View.Any, commit: ReturnType<Kernel.Kernel["take"]>) => {
  const { count, keys, sets, values, windows } = commit.partials
  const rows = Array.from({ length: count }, (_, i) => {
    const row: Record<string, StateValue | ReadonlyArray<StateValue>> = {}
    for (const [k, key] of view.keys.entries()) row[key.name] = keys[k]![i]!
    if (windows !== undefined) row["window"] = windows[i]!
    let [column, set] = [0, 0]
    for (const { spec } of view.aggregates) {
      if (spec.kind === "countDistinct") row[spec.name] = [...sets[set++]![i]!]
      else if (spec.kind === "avg") row[spec.name] = [values[column++]![i]!, values[column++]![i]!]
      else row[spec.name] = values[column++]![i]!
    }
    return row
  })
  const { applied, deadLettered, filtered, late, read } = commit.position.counts
  return {
    rows,
    counts: { read, applied, filtered, late, dead: deadLettered },
    late: commit.late.map((l) => l.offset),
    // By offset, as stores give them.
    dead: commit.dead.map((d) => [d.offset, d.reason] as const).toSorted(([a], [b]) => a - b)
  }
}

export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "headrace-kappa-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Log, archive and view store in a folder. */
export const engineIn = (folder: string) => {
  const parts = Layer.mergeAll(
    SqliteLog.layer({ path: join(folder, "log.db") }),
    SqliteViewStore.layer({ path: join(folder, "views.db") }),
    ArchiveTable.layer({ location: "s3://bucket" }).pipe(
      Layer.provideMerge(FolderObjectStore.layer({ path: join(folder, "archive") }))
    )
  )
  return Layer.orDie(OneLog.layer.pipe(Layer.provideMerge(parts)))
}
export const engine = Layer.unwrap(Effect.map(temporaryFolder, engineIn))

export const createTopic = (partitions: number) =>
  Effect.flatMap(EventLog, (log) => log.createTopic("orders", { partitions }))

export const append = Effect.fnUntraced(function* (partition: number, values: ReadonlyArray<Value>) {
  const log = yield* EventLog
  yield* log.append("orders", partition, records(values))
})

export const archive = (view: View.Any, until?: ReadonlyMap<number, number>) =>
  Archiver.run({ topic: "orders", codec: Fold.codecOf(view), fileRows: 10, rowGroupRows: 4, ...(until && { until }) })

/** The merged rows of a version. */
export const rows = Effect.fnUntraced(function* (view: string, version: number) {
  const store = yield* ViewStore
  return Array.from(yield* Stream.runCollect(store.rows(view, version)))
})

/** Orders and their sum by category and minute; `changes` make another declaration of it. */
export const sales = (
  version: number,
  changes: { readonly from?: Log.Source<Order>; readonly values?: View.AggregateOptions<Order>["values"] } = {}
) =>
  View.aggregate("sales", changes.from ?? orders.pipe(Log.eventTime("ts", { outOfOrderness: "1 minute" })), {
    version,
    by: { category: "category" },
    window: Window.tumbling("1 minute"),
    values: changes.values ?? {
      n: Aggregate.count,
      total: Aggregate.sum("total"),
      mean: Aggregate.avg("total", { places: 2 }),
      ids: Aggregate.countDistinct("id")
    }
  })

export const declared = (view: View.Any): Version.Declared => ({ view, source: "hash of the module" })

/** Orders `from` to `until`, some of them late, dead or filtered. */
export const some = (from: number, until: number): ReadonlyArray<Value> =>
  Array.from({ length: until - from }, (_, k) => {
    const i = from + k
    if (i % 11 === 10) return i % 2 === 0 ? null : "no json"
    return { id: i % 13, category: "abc"[i % 3]!, total: i % 7 === 0 ? null : i / 4, ts: 7000 * i - (i % 5) * 40_000 }
  })

/** The store, which tells of each commit before it is made. */
export const observed = (onCommit: (commits: ReadonlyArray<Commit>) => Effect.Effect<void>) =>
  Effect.map(ViewStore, (store) =>
    ViewStore.of({
      ...store,
      commit: (lease, commits) => Effect.andThen(onCommit(commits), store.commit(lease, commits))
    })
  )

/** The store of a process that dies instead of making its so-many-th commit. */
export const dyingAt = (commit: number) => {
  let commits = 0
  return observed(() => Effect.suspend(() => (++commits < commit ? Effect.void : Effect.die(new Error("died")))))
}

/** Everything that a version holds: positions and counts, rows, late records, dead letters. */
export const contents = Effect.fnUntraced(function* (view: string, version: number) {
  const store = yield* ViewStore
  const { positions } = yield* store.version(view, version)
  const late = Array.from(yield* Stream.runCollect(store.late(view, version)))
  const dead = Array.from(yield* Stream.runCollect(store.dead(view, version)), (d) => [d.partition, d.offset, d.reason])
  return { positions, rows: yield* rows(view, version), late, dead }
})
