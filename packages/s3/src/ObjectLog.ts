/**
 * Folders of objects as a log that views can be built from: a topic is a prefix, with one partition; an offset is the number of rows before it.
 * Read-only: what would append, create or delete fails with `InvalidInput`.
 *
 * Objects are read as {@link ObjectSource.records} reads them: NDJSON lines and CSV rows, plain or compressed; a record's value is the row's
 * JSON, its key is null and its timestamp 0. New objects are found when a topic is described; each is counted once, by reading it, and goes
 * into an index that is kept in the store, so that offsets stay what they are over restarts. A folder whose past changed, and a row that can't
 * be read by its format, fail with `StorageFailed` that names the object; neither is skipped.
 */
import * as Batch from "@headrace/core/Batch"
import {
  EventLog,
  EventLogError,
  InvalidInput,
  PartitionNotFound,
  type Service as Log,
  StorageFailed,
  TopicNotFound
} from "@headrace/core/EventLog"
import * as LogInput from "@headrace/core/LogInput"
import type * as TopicSchema from "@headrace/core/TopicSchema"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { eligible } from "./internal/source/Eligible.ts"
import * as LogIndex from "./internal/source/LogIndex.ts"
import * as ObjectSource from "./ObjectSource.ts"
import type { ObjectSourceError } from "./ObjectSourceError.ts"
import { compareKeys } from "./Key.ts"
import { ObjectStore } from "./ObjectStore.ts"

/** A topic: what its objects are, and how they are read. */
export interface Topic extends Pick<
  ObjectSource.Options,
  "prefix" | "format" | "include" | "csv" | "maxLineBytes" | "rangeBytes" | "readAhead"
> {
  /** Types of CSV columns; without it all are text. */
  readonly schema?: TopicSchema.StructLike | TopicSchema.TopicSchema
}

export interface Options {
  /** By name. */
  readonly topics: Readonly<Record<string, Topic>>
  /** The prefix of the indexes, which must be writable. Default `"_headrace/log/"`; each topic's name follows. */
  readonly indexes?: string
}

const fail = (reason: EventLogError["reason"]) => Effect.fail(new EventLogError({ reason }))

const fromSource =
  (path: string) =>
  (cause: ObjectSourceError): EventLogError =>
    cause.reason._tag === "StoreFailed"
      ? LogIndex.fromStore(path)(cause.reason.cause)
      : new EventLogError({
          reason: new StorageFailed({ path, kind: "corrupt", detail: cause.message, cause })
        })

/** The index of the object that holds the offset. */
const indexOf = (objects: ReadonlyArray<LogIndex.Indexed>, offset: number): number => {
  let low = 0
  let high = objects.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (objects[middle]!.first + objects[middle]!.rows <= offset) low = middle + 1
    else high = middle
  }
  return low
}

/** The log as a value. A name that can't be a topic's fails with `InvalidInput`. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Log, EventLogError, ObjectStore> {
  const store = yield* ObjectStore
  const { indexes = "_headrace/log/" } = options
  const topics = new Map<
    string,
    { readonly topic: Topic; readonly index: Effect.Effect<LogIndex.Index, EventLogError> }
  >()
  const rowsOf = (
    name: string,
    { prefix, ...topic }: Topic,
    from: ObjectSource.Checkpoint | undefined,
    maxRows: number
  ) =>
    ObjectSource.records({ ...topic, prefix, name, from, maxRows }).pipe(
      Stream.mapError(fromSource(prefix)),
      Stream.provideService(ObjectStore, store)
    )
  /** The checkpoint at a row of an object. The index has compared what is before it. */
  const checkpoint = ({ etag, first, key }: LogIndex.Indexed, row: number): ObjectSource.Checkpoint => ({
    key,
    row,
    offset: first + row,
    ...(etag === null ? {} : { etag })
  })

  for (const [name, topic] of Object.entries(options.topics)) {
    const wrong = LogInput.newTopic(name, 1)
    if (wrong !== undefined) return yield* fail(wrong)
    const { include, prefix } = topic
    const index = LogIndex.make({
      store,
      at: `${indexes}${name}/`,
      prefix,
      eligible: eligible(prefix, typeof include === "string" ? [include] : include),
      count: Effect.fnUntraced(function* (last, objects) {
        const found = new Map<string, { rows: number; etag: string | null }>()
        const until = objects.at(-1)!.key
        yield* rowsOf(name, topic, last && checkpoint(last, last.rows), LogInput.defaultMaxRecords).pipe(
          // Objects that came meanwhile are for the next time.
          Stream.takeWhile(({ object }) => compareKeys(object, until) <= 0),
          Stream.runForEach(({ object, resume }) =>
            Effect.sync(() => void found.set(object, { rows: resume.row, etag: resume.etag ?? null }))
          )
        )
        return objects.map(({ key, size }) => ({ key, size, rows: 0, etag: null, ...found.get(key) }))
      })
    })
    const one = yield* Semaphore.make(1)
    topics.set(name, { topic, index: one.withPermit(index) })
  }
  const find = (name: string) => {
    const found = topics.get(name)
    return found === undefined ? fail(new TopicNotFound({ topic: name })) : Effect.succeed(found)
  }
  const describe: Log["describe"] = (name) =>
    Effect.gen(function* () {
      const { end, id } = yield* (yield* find(name)).index
      return { name, id, partitions: [{ partition: 0, begin: 0, end }] }
    })
  const readOnly = fail(new InvalidInput({ detail: "a folder of objects can only be read: add objects to it" }))

  const read: Log["read"] = (options) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const wrong = LogInput.readOptions(options)
        if (wrong !== undefined) return yield* fail(wrong)
        const { from, maxRecords = LogInput.defaultMaxRecords, partition, topic: name } = options
        const { index, topic } = yield* find(name)
        if (partition !== 0) return yield* fail(new PartitionNotFound({ topic: name, partition, partitions: 1 }))
        const { end, objects } = yield* index
        const until = LogInput.bounds(options, { partition, begin: 0, end })
        if (typeof until !== "number") return yield* fail(until)
        if (from >= until) return Stream.empty
        let at = indexOf(objects, from)
        const start = objects[at]!
        return rowsOf(name, topic, checkpoint(start, from - start.first), maxRecords).pipe(
          Stream.takeWhile(({ batch }) => batch.base < until),
          Stream.mapEffect(({ batch, object, resume }) => {
            while (at < objects.length && objects[at]!.key !== object) at++
            const own = objects[at]
            return own === undefined || own.etag !== (resume.etag ?? null) || resume.offset - resume.row !== own.first
              ? Effect.fail(LogIndex.changed(object, "it isn't what was counted"))
              : Effect.succeed(Batch.slice(batch, batch.base, until, maxRecords))
          })
        )
      })
    )
  return {
    topics: Effect.suspend(() => Effect.forEach([...topics.keys()].toSorted(), describe)),
    describe,
    createTopic: () => readOnly,
    deleteTopic: () => readOnly,
    append: () => readOnly,
    read,
    deleteBefore: () => readOnly
  }
})

/** The log. A name that can't be a topic's fails with `InvalidInput`. */
export const layer = (options: Options): Layer.Layer<EventLog, EventLogError, ObjectStore> =>
  Layer.effect(EventLog, make(options))
