/**
 * The embedded log: a retained log in one SQLite file, for one machine.
 *
 * A row holds a batch of records, as Kafka's log does. An append is one transaction, whole or not at all, also from several processes at
 * once; a reader never waits for it. However records were appended, one by one or by the million, a read gives batches of up to
 * `maxRecords`: small rows are put together, large ones cut. Each row carries a CRC-32; a damaged one fails the read and is named.
 *
 * Retention and deletion free pages for later appends; the file itself doesn't shrink.
 */
import { crc32 } from "node:zlib"
import type { DatabaseSync } from "node:sqlite"
import type { ProducerBatch } from "@headrace/core/Batch"
import {
  EventLog,
  EventLogError,
  InvalidInput,
  NewerFormat,
  OffsetOutOfRange,
  PartitionNotFound,
  type PartitionRange,
  type Service,
  StorageFailed,
  type TopicDescription,
  TopicExists,
  TopicNotFound
} from "@headrace/core/EventLog"
import * as LogInput from "@headrace/core/LogInput"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Sqlite from "./internal/Sqlite.ts"
import * as LogFormat from "./LogFormat.ts"
import * as SqliteLogReader from "./SqliteLogReader.ts"

export interface Options {
  /** The file; it and its folder are made when they aren't there. */
  readonly path: string
  /** How long an append waits for another process's one, in milliseconds; its thread waits with it. Default 5,000. */
  readonly busyTimeoutMillis?: number
}

// AUTOINCREMENT: the number of a deleted topic is never given again, so that a new one of the same name is told from it.
const layout: Sqlite.Layout = {
  // "HDRL"
  application: 0x4844524c,
  // Of the file; that of a stored batch is in `LogFormat`.
  format: 2,
  tables: `
  CREATE TABLE topics (topic_id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, nonce TEXT NOT NULL);
  CREATE TABLE partitions (topic_id INTEGER NOT NULL, partition INTEGER NOT NULL, begin INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (topic_id, partition)) WITHOUT ROWID;
  CREATE TABLE batches (topic_id INTEGER NOT NULL, partition INTEGER NOT NULL, base INTEGER NOT NULL, next INTEGER NOT NULL,
    checksum INTEGER NOT NULL, data BLOB NOT NULL);
  CREATE UNIQUE INDEX batches_by_offset ON batches (topic_id, partition, base);
`
}

/** A row holds at most this many records, and bytes of keys and values unless one record alone has more. */
const maxRowRecords = 8_192
const maxRowBytes = 1 << 20
/** Rows that retention removes in one transaction: a bound on how long it keeps appends waiting. */
const rowsPerRemoval = 128
/** Large pages and rare checkpoints halve the time of a bulk append; both cost little when appends are small. */
const pageSize = 16384
const checkpointPages = 4096

type Reason = EventLogError["reason"]

const wrap = (reason: Reason) => new EventLogError({ reason })

const isReason = (cause: unknown): cause is Reason =>
  [TopicNotFound, TopicExists, PartitionNotFound, OffsetOutOfRange, InvalidInput, NewerFormat, StorageFailed].some(
    (reason) => cause instanceof reason
  )

/** Throws what is wrong, for the transaction to roll back and `attempt` to give its type back. */
const refuse = (reason: Reason | undefined): void => {
  if (reason !== undefined) throw reason
}

/** Where a batch is cut into rows: by records and by bytes. */
const cuts = (records: ProducerBatch): ReadonlyArray<number> => {
  const at = [0]
  let bytes = 0
  for (let i = 0; i < records.count; i++) {
    const size = LogFormat.dataSize(records, i, i + 1)
    const started = at.at(-1)!
    if (i > started && (i - started >= maxRowRecords || bytes + size > maxRowBytes)) {
      at.push(i)
      bytes = 0
    }
    bytes += size
  }
  if (records.count > 0) at.push(records.count)
  return at
}

interface PartitionRow {
  readonly topicId: number
  readonly id: string
  readonly begin: number
  readonly end: number
}

interface DescriptionRow extends PartitionRange {
  readonly name: string
  readonly id: string
}

/** Opens (or makes) the log at a path. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Service, EventLogError, Scope.Scope> {
  const { path } = options
  const opened = Effect.gen(function* () {
    const db = yield* Sqlite.open({ ...options, pageSize }, layout)
    return yield* Sqlite.attempt(path, () => {
      db.exec(`PRAGMA wal_autocheckpoint = ${checkpointPages}`)
      return service(db, path)
    })
  })
  return yield* Effect.mapError(opened, wrap)
})

const service = (db: DatabaseSync, path: string): Service => {
  const attempt = <A>(work: () => A): Effect.Effect<A, EventLogError> =>
    Effect.try({
      try: work,
      catch: (cause) => wrap(isReason(cause) ? cause : Sqlite.toStorageFailed(path, cause))
    })
  const change = <A>(work: () => A) => attempt(() => Sqlite.transaction(db, work))
  const reader = SqliteLogReader.make(db, path)

  const select = `SELECT name, nonce || '-' || topic_id AS id, partition, begin, next AS "end" FROM topics JOIN partitions USING (topic_id)`
  const selectAll = db.prepare(`${select} ORDER BY name, partition`)
  const selectTopic = db.prepare(`${select} WHERE name = ? ORDER BY partition`)
  const selectPartition = db.prepare(
    `SELECT topic_id AS topicId, nonce || '-' || topic_id AS id, begin, next AS "end" FROM topics JOIN partitions USING (topic_id) WHERE name = ? AND partition = ?`
  )
  const insertTopic = db.prepare("INSERT INTO topics (name, nonce) VALUES (?, ?) RETURNING topic_id AS topicId")
  const insertPartition = db.prepare("INSERT INTO partitions (topic_id, partition, begin, next) VALUES (?, ?, 0, 0)")
  const insertBatch = db.prepare(
    "INSERT INTO batches (topic_id, partition, base, next, checksum, data) VALUES (?, ?, ?, ?, ?, ?)"
  )
  const setNext = db.prepare("UPDATE partitions SET next = ? WHERE topic_id = ? AND partition = ?")
  const setBegin = db.prepare("UPDATE partitions SET begin = max(begin, ?) WHERE topic_id = ? AND partition = ?")
  const deleteBatches = db.prepare(
    "DELETE FROM batches WHERE rowid IN (SELECT rowid FROM batches WHERE topic_id = ? AND partition = ? AND next <= ? ORDER BY base LIMIT ?)"
  )

  const group = (rows: ReadonlyArray<DescriptionRow>): ReadonlyArray<TopicDescription> => {
    const topics = new Map<string, TopicDescription & { readonly partitions: Array<PartitionRange> }>()
    for (const { begin, end, id, name, partition } of rows) {
      let topic = topics.get(name)
      if (topic === undefined) topics.set(name, (topic = { name, id, partitions: [] }))
      topic.partitions.push({ partition, begin, end })
    }
    return [...topics.values()]
  }
  const find = (topic: string): TopicDescription => {
    const found = group(selectTopic.all(topic) as unknown as ReadonlyArray<DescriptionRow>)[0]
    if (found === undefined) throw new TopicNotFound({ topic })
    return found
  }
  const locate = (topic: string, partition: number): PartitionRow => {
    refuse(LogInput.offset("partition", partition))
    const row = selectPartition.get(topic, partition) as PartitionRow | undefined
    if (row !== undefined) return row
    throw new PartitionNotFound({ topic, partition, partitions: find(topic).partitions.length })
  }

  const createTopic: Service["createTopic"] = (topic, { partitions }) =>
    Effect.gen(function* () {
      const nonce = (yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(16).padStart(14, "0")
      return yield* change(() => {
        refuse(LogInput.newTopic(topic, partitions))
        if (selectTopic.get(topic) !== undefined) throw new TopicExists({ topic })
        const { topicId } = insertTopic.get(topic, nonce) as { readonly topicId: number }
        for (let p = 0; p < partitions; p++) insertPartition.run(topicId, p)
        return find(topic)
      })
    })

  const deleteTopic: Service["deleteTopic"] = (topic) =>
    change(() => {
      const { topicId } = locate(topic, 0)
      for (const table of ["batches", "partitions", "topics"])
        db.prepare(`DELETE FROM ${table} WHERE topic_id = ?`).run(topicId)
    })

  const append: Service["append"] = (topic, partition, records) =>
    attempt(() => {
      refuse(LogInput.records(records))
      const at = cuts(records)
      return Sqlite.transaction(db, () => {
        const { end: base, topicId } = locate(topic, partition)
        for (let i = 1; i < at.length; i++) {
          const from = at[i - 1]!
          const to = at[i]!
          const data = LogFormat.encode(records, from, to, base + from)
          insertBatch.run(topicId, partition, base + from, base + to, crc32(data), data)
        }
        setNext.run(base + records.count, topicId, partition)
        return { base, next: base + records.count }
      })
    })

  const deleteBefore: Service["deleteBefore"] = (topic, partition, offset) =>
    Effect.gen(function* () {
      const topicId = yield* change(() => {
        refuse(LogInput.offset("offset", offset))
        const { begin, end, topicId } = locate(topic, partition)
        if (offset > end) throw new OffsetOutOfRange({ topic, partition, requested: offset, begin, end })
        setBegin.run(offset, topicId, partition)
        return topicId
      })
      // The offsets are gone now; what a crash leaves of their rows, the next call removes.
      const removed = change(() => Number(deleteBatches.run(topicId, partition, offset, rowsPerRemoval).changes))
      yield* Effect.repeat(removed, { while: (rows) => rows === rowsPerRemoval })
    })

  const read: Service["read"] = (options) =>
    Stream.unwrap(
      attempt(() => {
        refuse(LogInput.readOptions(options))
        const { from, maxRecords = LogInput.defaultMaxRecords, partition, topic } = options
        const { begin, end, id, topicId } = locate(topic, partition)
        if (options.topicId !== undefined && options.topicId !== id) throw new TopicNotFound({ topic })
        const until = LogInput.bounds(options, { partition, begin, end })
        if (typeof until !== "number") throw until
        const next = reader({ topicId, topic, partition })
        return Stream.unfold(from, (at) =>
          at >= until
            ? Effect.undefined
            : attempt(() => {
                const batch = next(at, until, maxRecords)
                return [batch, batch.next] as const
              })
        )
      })
    )

  const topics = attempt(() => group(selectAll.all() as unknown as ReadonlyArray<DescriptionRow>))
  return {
    topics,
    describe: (topic) => attempt(() => find(topic)),
    createTopic,
    deleteTopic,
    append,
    read,
    deleteBefore
  }
}

/** The embedded log in the file at `path`; one connection, closed with the layer. */
export const layer = (options: Options): Layer.Layer<EventLog, EventLogError> => Layer.effect(EventLog, make(options))
