/**
 * The index of a folder that is read as a log: which objects it has, in order, and how many rows each.
 *
 * It is kept in the store, in files under a prefix of its own that are made by put-if-absent and never changed: `000000000000.json` names the
 * topic's identity, each later one the objects that were new when it was made. So an offset stands for the same row for ever, in every
 * process; when the objects that it names aren't there any more as they were, or others came before them, that is an error.
 *
 * Whatever dies between two files leaves the index whole: what was counted and not written is counted again. Of two processes that write the
 * same file one wins, and the other takes what it wrote.
 */
import { EventLogError, InvalidInput, NewerFormat, StorageFailed } from "@headrace/core/EventLog"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { compareKeys } from "../../Key.ts"
import type { ObjectInfo, Service } from "../../ObjectStore.ts"
import type { ObjectStoreError } from "../../ObjectStoreError.ts"

const format = 1
/** Objects that one file names. */
const fileObjects = 10_000

const Entry = Schema.Struct({
  key: Schema.String,
  size: Schema.Int,
  rows: Schema.Int,
  etag: Schema.NullOr(Schema.String)
})
/** An object of the index. The etag is null where the store has none. */
type Entry = typeof Entry.Type
const Header = Schema.Struct({ format: Schema.Int, id: Schema.String, prefix: Schema.String })
const Addition = Schema.Struct({ format: Schema.Int, objects: Schema.Array(Entry) })
const Versioned = Schema.fromJsonString(Schema.Struct({ format: Schema.Int }))

/** An object with the offset of its first row. */
export interface Indexed extends Entry {
  readonly first: number
}

/** What is known of the folder. It grows as objects come. */
export interface Index {
  readonly id: string
  readonly objects: ReadonlyArray<Indexed>
  /** The offset after the last row. */
  readonly end: number
}

const storage = (path: string, detail: string, cause: unknown, kind: "corrupt" | "other" | "no-space" | "no-rights") =>
  new EventLogError({ reason: new StorageFailed({ path, kind, detail, cause }) })

/** A failure of the store as one of the log. */
export const fromStore =
  (path: string) =>
  (cause: ObjectStoreError): EventLogError => {
    const tag = cause.reason._tag
    const kind = tag === "NoSpace" ? "no-space" : tag === "PermissionDenied" ? "no-rights" : "other"
    return storage(path, cause.message, cause, kind)
  }

/** The folder isn't any more what the index says. */
export const changed = (path: string, detail: string): EventLogError =>
  storage(
    path,
    `${detail}. Offsets of a folder that is read as a log must not change: restore it, or delete its index and rebuild what was made of it`,
    new Error(detail),
    "corrupt"
  )

interface Options {
  readonly store: Service
  /** Where the index is. */
  readonly at: string
  /** What is indexed. */
  readonly prefix: string
  readonly eligible: (object: ObjectInfo) => boolean
  /** Counts the rows of objects, all of which sort after `last`. */
  readonly count: (
    last: Indexed | undefined,
    objects: ReadonlyArray<ObjectInfo>
  ) => Effect.Effect<ReadonlyArray<Entry>, EventLogError>
}

/** An effect that brings the index up to date and gives it. Calls are made one after the other. */
export const make = ({ at, count, eligible, prefix, store }: Options): Effect.Effect<Index, EventLogError> => {
  const utf8 = new TextEncoder()
  let id: string | undefined
  let files = 0
  const objects: Array<Indexed> = []
  let end = 0

  const pathOf = (n: number) => `${at}${String(n).padStart(12, "0")}.json`
  const decode = <A, I>(path: string, schema: Schema.Codec<A, I>, bytes: Uint8Array): Effect.Effect<A, EventLogError> =>
    Effect.gen(function* () {
      const text = new TextDecoder().decode(bytes)
      const corrupt = (cause: unknown) => storage(path, "isn't an index of a folder; delete it", cause, "corrupt")
      const { format: found } = yield* Effect.mapError(Schema.decodeUnknownEffect(Versioned)(text), corrupt)
      if (found > format)
        return yield* new EventLogError({ reason: new NewerFormat({ path, found, supported: format }) })
      return yield* Effect.mapError(Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(text), corrupt)
    })
  const read = (n: number) =>
    store.get(pathOf(n)).pipe(
      Effect.catchReason("ObjectStoreError", "NotFound", () => Effect.succeed(undefined)),
      Effect.mapError(fromStore(pathOf(n)))
    )
  const write = (value: unknown) =>
    Effect.mapError(store.putIfAbsent(pathOf(files), utf8.encode(JSON.stringify(value))), fromStore(pathOf(files)))

  /** Takes the files that aren't known yet. */
  const load = Effect.gen(function* () {
    for (;;) {
      const bytes = yield* read(files)
      if (bytes === undefined) return
      const path = pathOf(files)
      if (files === 0) {
        const header = yield* decode(path, Header, bytes)
        if (header.prefix !== prefix)
          return yield* new EventLogError({
            reason: new InvalidInput({ detail: `"${path}" is the index of "${header.prefix}", not of "${prefix}"` })
          })
        id = header.id
      } else
        for (const entry of (yield* decode(path, Addition, bytes)).objects) {
          objects.push({ ...entry, first: end })
          end += entry.rows
        }
      files++
    }
  })

  /** Compares the folder with the index, and gives the objects that are new. */
  const compare = Effect.gen(function* () {
    const fresh: Array<ObjectInfo> = []
    let known = 0
    yield* store.list(prefix).pipe(
      Stream.mapError(fromStore(prefix)),
      Stream.runForEachArray((page) => {
        for (const object of page) {
          if (!eligible(object)) continue
          const here = objects[known]
          if (here === undefined) {
            if (fresh.length < fileObjects) fresh.push({ key: object.key, size: object.size })
            continue
          }
          const order = compareKeys(object.key, here.key)
          if (order < 0) return Effect.fail(changed(object.key, `it came before "${here.key}", which was read already`))
          if (order > 0) return Effect.fail(changed(here.key, "it was read and isn't there any more"))
          if (object.size !== here.size)
            return Effect.fail(changed(here.key, `it was read with ${here.size} bytes and has ${object.size}`))
          known++
        }
        return Effect.void
      })
    )
    const gone = objects[known]
    if (gone !== undefined) return yield* changed(gone.key, "it was read and isn't there any more")
    return fresh
  })

  return Effect.gen(function* () {
    for (;;) {
      yield* load
      if (id === undefined) {
        const [a, b] = [yield* Random.nextInt, yield* Random.nextInt]
        yield* write({ format, id: `${(a >>> 0).toString(16)}-${(b >>> 0).toString(16)}`, prefix })
        continue
      }
      const fresh = yield* compare
      if (fresh.length === 0) return { id, objects, end }
      // Written or lost to another process: either way the file is there now, and is loaded.
      yield* write({ format, objects: yield* count(objects.at(-1), fresh) })
    }
  })
}
