/**
 * The embedded log: a retained log in one SQLite file, for one machine.
 *
 * A row holds a batch of records, as Kafka's log does. An append is one transaction, whole or not at all, also from several processes at
 * once. Reading puts small stored batches together, so that a fold gets batches of a useful size however records were appended. Each
 * stored batch carries a CRC-32; a damaged one fails the read and is named.
 */
import { crc32 } from "node:zlib"
import type { DatabaseSync } from "node:sqlite"
import type { Header, ProducerBatch, RecordBatch } from "@headrace/core/Batch"
import { BatchBuilder, keyOf, valueOf } from "@headrace/core/Batch"
import {
  EventLog,
  EventLogError,
  InvalidInput,
  OffsetOutOfRange,
  PartitionNotFound,
  type ReadOptions,
  type Service,
  StorageFailed,
  type TopicDescription,
  TopicExists,
  TopicNotFound
} from "@headrace/core/EventLog"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Sqlite from "./internal/Sqlite.ts"
import * as LogFormat from "./LogFormat.ts"

export type Options = Sqlite.Options

const format = 1

const create = `
  CREATE TABLE topics (name TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE partitions (topic TEXT NOT NULL, partition INTEGER NOT NULL, begin INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)) WITHOUT ROWID;
  CREATE TABLE batches (topic TEXT NOT NULL, partition INTEGER NOT NULL, base INTEGER NOT NULL, next INTEGER NOT NULL,
    checksum INTEGER NOT NULL, data BLOB NOT NULL);
  CREATE UNIQUE INDEX batches_by_offset ON batches (topic, partition, base);
`

/** A stored batch holds at most this many records, and bytes of keys and values. */
const maxStoredRecords = 8_192
const maxStoredBytes = 1 << 20
const defaultMaxRecords = 8_192

const wrap = (reason: EventLogError["reason"]) => new EventLogError({ reason })

/** Where a batch is cut for storage: by records and by bytes. */
const cuts = (records: ProducerBatch): ReadonlyArray<number> => {
  const at = [0]
  let bytes = 0
  for (let i = 0; i < records.count; i++) {
    for (const ranges of [records.keys, records.values])
      if (ranges[2 * i]! >= 0) bytes += ranges[2 * i + 1]! - ranges[2 * i]!
    if (i + 1 - at.at(-1)! >= maxStoredRecords || bytes >= maxStoredBytes) {
      at.push(i + 1)
      bytes = 0
    }
  }
  if (at.at(-1)! < records.count) at.push(records.count)
  return at
}

interface StoredBatch {
  readonly base: number
  readonly next: number
  readonly checksum: number
  readonly data: Uint8Array
}

const view = (
  batch: ProducerBatch,
  topic: string,
  partition: number,
  base: number,
  from: number,
  to: number
): RecordBatch => {
  const count = to - from
  const offsets = new Float64Array(count)
  for (let i = 0; i < count; i++) offsets[i] = base + from + i
  return {
    topic,
    partition,
    base: base + from,
    next: base + to,
    count,
    offsets,
    timestamps: batch.timestamps.subarray(from, to),
    keys: batch.keys.subarray(2 * from, 2 * to),
    values: batch.values.subarray(2 * from, 2 * to),
    bytes: batch.bytes,
    headers: batch.headers?.slice(from, to)
  }
}

/** Opens (or makes) the log at a path. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Service, EventLogError, Scope.Scope> {
  const { path } = options
  const db = yield* Effect.mapError(Sqlite.open(options), wrap)
  yield* Effect.mapError(Sqlite.format(db, path, format, create), wrap)
  return service(db, path)
})

const service = (db: DatabaseSync, path: string): Service => {
  const selectTopic = db.prepare("SELECT name, id, partitions FROM topics WHERE name = ?")
  const selectPartitions = db.prepare(
    "SELECT partition, begin, next FROM partitions WHERE topic = ? ORDER BY partition"
  )
  const selectBatch = db.prepare(
    "SELECT base, next, checksum, data FROM batches WHERE topic = ? AND partition = ? AND base <= ? ORDER BY base DESC LIMIT 1"
  )
  const selectAfter = db.prepare(
    "SELECT base, next, checksum, data FROM batches WHERE topic = ? AND partition = ? AND base >= ? ORDER BY base LIMIT 64"
  )
  const attempt = <A>(work: () => A) => Effect.mapError(Sqlite.attempt(path, work), wrap)

  const find = (topic: string): TopicDescription | undefined => {
    const row = selectTopic.get(topic) as { readonly name: string; readonly id: string } | undefined
    if (row === undefined) return undefined
    const partitions = selectPartitions.all(row.id) as unknown as ReadonlyArray<{
      readonly partition: number
      readonly begin: number
      readonly next: number
    }>
    return {
      name: row.name,
      id: row.id,
      partitions: partitions.map((p) => ({ partition: p.partition, begin: p.begin, end: p.next }))
    }
  }
  const describe = (topic: string) =>
    Effect.flatMap(
      attempt(() => find(topic)),
      (found) => (found === undefined ? Effect.fail(wrap(new TopicNotFound({ topic }))) : Effect.succeed(found))
    )
  const locate = (topic: string, partition: number) =>
    Effect.flatMap(describe(topic), (found) => {
      const range = found.partitions[partition]
      return range === undefined
        ? Effect.fail(wrap(new PartitionNotFound({ topic, partition, partitions: found.partitions.length })))
        : Effect.succeed({ id: found.id, range })
    })

  const createTopic: Service["createTopic"] = (topic, { partitions }) =>
    Effect.gen(function* () {
      if (!/^[A-Za-z0-9._-]{1,249}$/.test(topic) || topic === "." || topic === "..")
        return yield* wrap(
          new InvalidInput({ detail: `"${topic}" can't name a topic: use 1 to 249 of A-Z, a-z, 0-9, ".", "_" and "-"` })
        )
      if (!Number.isInteger(partitions) || partitions < 1 || partitions > 10_000)
        return yield* wrap(new InvalidInput({ detail: `a topic has 1 to 10,000 partitions, not ${partitions}` }))
      const id = Array.from(
        yield* Effect.all(Array.from({ length: 4 }, () => Random.nextIntBetween(0, 2 ** 32 - 1))),
        (n) => n.toString(16).padStart(8, "0")
      ).join("")
      const made = yield* attempt(() =>
        Sqlite.transaction(db, () => {
          if (find(topic) !== undefined) return false
          db.prepare("INSERT INTO topics (name, id, partitions) VALUES (?, ?, ?)").run(topic, id, partitions)
          const insert = db.prepare("INSERT INTO partitions (topic, partition, begin, next) VALUES (?, ?, 0, 0)")
          for (let p = 0; p < partitions; p++) insert.run(id, p)
          return true
        })
      )
      if (!made) return yield* wrap(new TopicExists({ topic }))
      return yield* describe(topic)
    })

  const deleteTopic: Service["deleteTopic"] = (topic) =>
    Effect.flatMap(describe(topic), ({ id }) =>
      attempt(() =>
        Sqlite.transaction(db, () => {
          db.prepare("DELETE FROM batches WHERE topic = ?").run(id)
          db.prepare("DELETE FROM partitions WHERE topic = ?").run(id)
          db.prepare("DELETE FROM topics WHERE id = ?").run(id)
        })
      )
    )

  const nextOf = db.prepare("SELECT next FROM partitions WHERE topic = ? AND partition = ?")
  const insertBatch = db.prepare(
    "INSERT INTO batches (topic, partition, base, next, checksum, data) VALUES (?, ?, ?, ?, ?, ?)"
  )
  const setNext = db.prepare("UPDATE partitions SET next = ? WHERE topic = ? AND partition = ?")
  const append: Service["append"] = (topic, partition, records) =>
    Effect.gen(function* () {
      const { id } = yield* locate(topic, partition)
      const at = cuts(records)
      const base = yield* attempt(() =>
        Sqlite.transaction(db, () => {
          // The topic may have been deleted since; its partitions are gone then.
          const row = nextOf.get(id, partition) as { readonly next: number } | undefined
          if (row === undefined) return undefined
          for (let i = 1; i < at.length; i++) {
            const data = LogFormat.encode(records, at[i - 1]!, at[i]!)
            insertBatch.run(id, partition, row.next + at[i - 1]!, row.next + at[i]!, crc32(data), data)
          }
          setNext.run(row.next + records.count, id, partition)
          return row.next
        })
      )
      if (base === undefined) return yield* wrap(new TopicNotFound({ topic }))
      return { base, next: base + records.count }
    })

  const deleteBefore: Service["deleteBefore"] = (topic, partition, offset) =>
    Effect.gen(function* () {
      const { id, range } = yield* locate(topic, partition)
      if (offset > range.end)
        return yield* wrap(
          new OffsetOutOfRange({ topic, partition, requested: offset, begin: range.begin, end: range.end })
        )
      yield* attempt(() =>
        Sqlite.transaction(db, () => {
          db.prepare("UPDATE partitions SET begin = max(begin, ?) WHERE topic = ? AND partition = ?").run(
            offset,
            id,
            partition
          )
          db.prepare("DELETE FROM batches WHERE topic = ? AND partition = ? AND next <= ?").run(id, partition, offset)
        })
      )
    })

  const load = (topic: string, partition: number, stored: StoredBatch): ProducerBatch => {
    const where = `topic "${topic}" partition ${partition} offsets [${stored.base}, ${stored.next})`
    const damaged = (cause: unknown) =>
      new StorageFailed({
        path,
        kind: "corrupt",
        detail: `the stored batch of ${where} is damaged: restore the file, or read around these offsets`,
        cause
      })
    if (crc32(stored.data) !== stored.checksum) throw damaged("checksum")
    const batch = LogFormat.decode(stored.data)
    if (batch.count !== stored.next - stored.base) throw damaged("count")
    return batch
  }

  /** The stored batches from the one that holds `at`: one, or several small ones that together stay small. */
  const fetch = (id: string, partition: number, at: number, maxRecords: number): ReadonlyArray<StoredBatch> => {
    const first = selectBatch.get(id, partition, at) as unknown as StoredBatch | undefined
    if (first === undefined || first.next <= at) return []
    if (first.next - at >= maxRecords || first.data.length >= maxStoredBytes / 4) return [first]
    const out = [first]
    let bytes = first.data.length
    for (;;) {
      const more = selectAfter.all(id, partition, out.at(-1)!.next) as unknown as ReadonlyArray<StoredBatch>
      for (const stored of more) {
        bytes += stored.data.length
        if (bytes > maxStoredBytes || out.at(-1)!.next - at >= maxRecords) return out
        out.push(stored)
      }
      if (more.length === 0) return out
    }
  }

  /** The next batch from `at`, before `until`. */
  const readAt = (id: string, options: ReadOptions, at: number, until: number): RecordBatch | undefined => {
    const { maxRecords = defaultMaxRecords, partition, topic } = options
    const stored = fetch(id, partition, at, maxRecords)
    const first = stored[0]
    if (first === undefined) return undefined
    if (stored.length === 1) {
      const to = Math.min(first.next, until, at + maxRecords)
      return view(load(topic, partition, first), topic, partition, first.base, at - first.base, to - first.base)
    }
    const builder = new BatchBuilder(maxRecords)
    let next = at
    for (const one of stored) {
      const batch = load(topic, partition, one)
      const noHeaders: ReadonlyArray<Header> = []
      for (; next < Math.min(one.next, until, at + maxRecords); next++) {
        const i = next - one.base
        builder.add(keyOf(batch, i), valueOf(batch, i), batch.timestamps[i]!, batch.headers?.[i] ?? noHeaders)
      }
    }
    const batch = builder.take()
    return view(batch, topic, partition, at, 0, batch.count)
  }

  const read: Service["read"] = (options) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const { from, maxRecords, partition, topic } = options
        const { id, range } = yield* locate(topic, partition)
        const until = options.until ?? range.end
        const outOfRange = (requested: number) =>
          wrap(new OffsetOutOfRange({ topic, partition, requested, begin: range.begin, end: range.end }))
        if (maxRecords !== undefined && maxRecords < 1)
          return yield* wrap(new InvalidInput({ detail: `maxRecords is at least 1, not ${maxRecords}` }))
        if (from < range.begin || from > range.end) return yield* outOfRange(from)
        if (until > range.end) return yield* outOfRange(until)
        return Stream.unfold(from, (at) =>
          Effect.gen(function* () {
            if (at >= until) return undefined
            const batch = yield* attempt(() => readAt(id, options, at, until))
            // Retention went past while this was read.
            if (batch === undefined) return yield* outOfRange(at)
            return [batch, batch.next] as const
          })
        )
      })
    )

  const topics = attempt(() =>
    (
      db.prepare("SELECT name FROM topics ORDER BY name").all() as unknown as ReadonlyArray<{ readonly name: string }>
    ).flatMap(({ name }) => find(name) ?? [])
  )

  return { topics, describe, createTopic, deleteTopic, append, read, deleteBefore }
}

/** The embedded log in the file at `path`; one connection, closed with the layer. */
export const layer = (options: Options): Layer.Layer<EventLog, EventLogError> => Layer.effect(EventLog, make(options))
