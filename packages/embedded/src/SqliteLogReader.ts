/**
 * Reads a partition's stored batches as batches of a useful size: a large one is cut by views, small ones are put together, whatever the
 * sizes that they were appended in. In memory are one stored batch and the batch that was handed out.
 */
import { crc32 } from "node:zlib"
import type { DatabaseSync } from "node:sqlite"
import { type Header, type RecordBatch, slice } from "@headrace/core/Batch"
import {
  type EventLogError,
  NewerFormat,
  OffsetOutOfRange,
  StorageFailed,
  TopicNotFound
} from "@headrace/core/EventLog"
import * as LogFormat from "./LogFormat.ts"

interface StoredBatch {
  readonly base: number
  readonly next: number
  readonly checksum: number
  readonly data: Uint8Array
}

/** A stretch of a stored batch that is at least this large is handed out as it is; copying costs more than a small batch. */
const largeRecords = 1_024
const largeBytes = 1 << 18
/** Small stretches are put together up to this size. */
const joinedBytes = 1 << 20

const noHeaders: ReadonlyArray<Header> = []

/** Puts batches that follow each other together. */
const join = (parts: ReadonlyArray<RecordBatch>): RecordBatch => {
  const first = parts[0]!
  if (parts.length === 1) return first
  let count = 0
  let size = 0
  let anyHeaders = false
  for (const part of parts) {
    count += part.count
    size += LogFormat.dataSize(part, 0, part.count)
    anyHeaders ||= part.headers !== undefined
  }
  const offsets = new Float64Array(count)
  const timestamps = new Float64Array(count)
  const keys = new Int32Array(2 * count)
  const values = new Int32Array(2 * count)
  const bytes = new Uint8Array(size)
  const headers: Array<ReadonlyArray<Header>> = []
  let i = 0
  let at = 0
  for (const part of parts) {
    offsets.set(part.offsets, i)
    timestamps.set(part.timestamps, i)
    // A stored batch's data stands in one stretch, and so does that of a cut of it.
    let start = -1
    let end = 0
    for (let r = 0; r < 2 * part.count; r += 2) {
      for (const [own, all] of [
        [part.keys, keys],
        [part.values, values]
      ] as const) {
        if (own[r]! < 0) {
          all[2 * i + r] = -1
          all[2 * i + r + 1] = -1
          continue
        }
        if (start < 0) start = own[r]!
        end = own[r + 1]!
        all[2 * i + r] = own[r]! - start + at
        all[2 * i + r + 1] = end - start + at
      }
    }
    if (start >= 0) {
      bytes.set(part.bytes.subarray(start, end), at)
      at += end - start
    }
    if (anyHeaders) for (let r = 0; r < part.count; r++) headers.push(part.headers?.[r] ?? noHeaders)
    i += part.count
  }
  return {
    topic: first.topic,
    partition: first.partition,
    base: first.base,
    next: parts.at(-1)!.next,
    count,
    offsets,
    timestamps,
    keys,
    values,
    bytes,
    headers: anyHeaders ? headers : undefined
  }
}

/** What is read: a partition of the creation `topicId` of a topic. */
export interface Source {
  readonly topicId: number
  readonly topic: string
  readonly partition: number
}

/** Prepares the reading of a file. What its readers throw is a reason of `EventLogError`, or SQLite's. */
export const make = (db: DatabaseSync, path: string) => {
  const selectAt = db.prepare(
    "SELECT base, next, checksum, data FROM batches WHERE topic_id = ? AND partition = ? AND base <= ? ORDER BY base DESC LIMIT 1"
  )
  const selectFrom = db.prepare(
    "SELECT base, next, checksum, data FROM batches WHERE topic_id = ? AND partition = ? AND base >= ? AND base < ? ORDER BY base"
  )
  const selectNext = db.prepare(
    "SELECT min(base) AS base FROM batches WHERE topic_id = ? AND partition = ? AND base > ?"
  )
  const selectRange = db.prepare("SELECT begin, next AS end FROM partitions WHERE topic_id = ? AND partition = ?")

  return (source: Source) => {
    const { partition, topic, topicId } = source
    let current: RecordBatch | undefined

    const damaged = (base: number, next: number, cause: unknown): EventLogError["reason"] =>
      new StorageFailed({
        path,
        kind: "corrupt",
        detail: `the stored batch of topic "${topic}" partition ${partition} at offsets [${base}, ${next}) is damaged: restore the file, or read from offset ${next} on without them`,
        cause
      })

    /** A stored batch, or why it can't be read. */
    const load = ({ base, checksum, data, next }: StoredBatch): RecordBatch | EventLogError["reason"] => {
      if (crc32(data) !== checksum) return damaged(base, next, "its checksum differs")
      const found = LogFormat.formatOf(data)
      if (found > LogFormat.format) return new NewerFormat({ path, found, supported: LogFormat.format })
      try {
        const batch = LogFormat.decode(topic, partition, data)
        return batch.base === base && batch.next === next ? batch : damaged(base, next, "its offsets differ")
      } catch (cause) {
        return damaged(base, next, cause)
      }
    }

    /** Fails when retention or the deletion of the topic has overtaken the reader. */
    const checkThere = (at: number): void => {
      const range = selectRange.get(topicId, partition) as { readonly begin: number; readonly end: number } | undefined
      if (range === undefined) throw new TopicNotFound({ topic })
      if (at < range.begin) throw new OffsetOutOfRange({ topic, partition, requested: at, ...range })
    }

    const holds = (at: number, until: number): RecordBatch => {
      if (current !== undefined && current.base <= at && at < current.next) {
        checkThere(at)
        return current
      }
      const stored = selectAt.get(topicId, partition, at) as unknown as StoredBatch | undefined
      checkThere(at)
      if (stored === undefined || stored.next <= at) {
        const { base } = selectNext.get(topicId, partition, at) as { readonly base: number | null }
        throw damaged(at, base ?? until, "it is missing")
      }
      const loaded = load(stored)
      if ("_tag" in loaded) throw loaded
      return (current = loaded)
    }

    /** The next batch from `at`, before `until`; both lie in what the partition held when the reading began. */
    return (at: number, until: number, maxRecords: number): RecordBatch => {
      const first = slice(holds(at, until), at, until, maxRecords)
      let records = first.count
      let bytes = LogFormat.dataSize(first, 0, first.count)
      let next = first.next
      if (records >= Math.min(maxRecords, largeRecords) || bytes >= largeBytes || next >= until) return first
      const parts = [first]
      for (const row of selectFrom.iterate(topicId, partition, next, until)) {
        const stored = row as unknown as StoredBatch
        if (bytes + stored.data.length > joinedBytes) break
        // A row that retention has taken, or that is missing or damaged: the next pull finds out which.
        const loaded = stored.base === next ? load(stored) : undefined
        if (loaded === undefined || "_tag" in loaded) break
        current = loaded
        const whole = current.next <= until && current.count <= maxRecords - records
        const part = whole ? current : slice(current, next, until, maxRecords - records)
        parts.push(part)
        records += part.count
        bytes += stored.data.length
        next = part.next
        if (records >= maxRecords) break
      }
      return join(parts)
    }
  }
}
