/**
 * A sink's commit log: numbered objects, each created once by put-if-absent, each with the whole state of the sink and the files that it
 * added. `docs/object-sink.md` is the protocol and its crash table.
 *
 * Only the newest commit is needed to go on: `head.json` is a lower bound of its number, and the ones behind it are probed for. A reader of
 * all files takes 64 commits at a time from `segments/`.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Service } from "../../ObjectStore.ts"
import { ObjectStoreError, Unknown } from "../../ObjectStoreError.ts"
import { CorruptLog, Fenced, ObjectSinkError, StoreFailed } from "../../ObjectSinkError.ts"

const Rows = Schema.Struct({ partition: Schema.Int, first: Schema.Int, last: Schema.Int, rows: Schema.Int })

/** A committed file. Its key is below the sink's prefix, as `folder` is; both without a leading slash. */
export const File = Schema.Struct({
  key: Schema.String,
  folder: Schema.String,
  kind: Schema.Literals(["data", "bad"]),
  rows: Schema.Int,
  bytes: Schema.Int,
  partitions: Schema.Array(Rows)
})
export type File = typeof File.Type

const Partition = Schema.Struct({
  partition: Schema.Int,
  /** Where the source goes on. */
  next: Schema.Int,
  resume: Schema.Unknown,
  /** Rows below are committed, but those of `held`. */
  position: Schema.Int,
  watermark: Schema.NullOr(Schema.Number),
  read: Schema.Int,
  written: Schema.Int,
  bad: Schema.Int,
  tombstones: Schema.Int,
  parked: Schema.Int
})
export type Partition = typeof Partition.Type

/** Rows of `folder` in `partition` from `first` on are not committed, though the position is beyond. */
const Held = Schema.Struct({ folder: Schema.String, partition: Schema.Int, first: Schema.Int })
export type Held = typeof Held.Type

export const Commit = Schema.Struct({
  format: Schema.Literal(1),
  number: Schema.Int,
  /** The number of the commit by which the writer took over. */
  epoch: Schema.Int,
  /** Drawn by the writer; tells its own commit from another's. */
  writer: Schema.String,
  /** What rows are routed by; held rows can be told only by the same. */
  path: Schema.String,
  columns: Schema.Record(Schema.String, Schema.String),
  partitions: Schema.Array(Partition),
  held: Schema.Array(Held),
  /** The object with late rows that wait, below the sink's folder. */
  parked: Schema.NullOr(Schema.String),
  files: Schema.Array(File),
  totals: Schema.Struct({ files: Schema.Int, rows: Schema.Int, bytes: Schema.Int })
})
export type Commit = typeof Commit.Type

const Head = Schema.Struct({ number: Schema.Int })

/** Where a sink's objects are. */
export interface Place {
  readonly store: Service
  readonly sink: string
  /** The key of a path below the sink's prefix. */
  readonly key: (path: string) => string
}

/** Commits of a segment. */
const segmentSize = 64

const pad = (n: number) => String(n).padStart(10, "0")
/** The folder of a sink's own objects. */
export const folderOf = (sink: string) => `_headrace/${sink}`
const own = (place: Place, path: string) => place.key(`${folderOf(place.sink)}/${path}`)
const commitKey = (place: Place, n: number) => own(place, `commits/${pad(n)}.json`)
const intentKey = (place: Place, n: number, epoch: number) => own(place, `intents/${pad(n)}-e${epoch}.json`)
const segmentKey = (place: Place, k: number) =>
  own(place, `segments/${pad(k * segmentSize + 1)}-${pad((k + 1) * segmentSize)}.ndjson`)
/** The name of a commit's late rows that wait. */
export const parkedName = (n: number, epoch: number) => `parked/${pad(n)}-e${epoch}.json.zst`
export const parkedKey = (place: Place, name: string) => own(place, name)

const utf8 = new TextEncoder()
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

export const failed = (sink: string) => (cause: ObjectStoreError) =>
  new ObjectSinkError({ reason: new StoreFailed({ sink, cause }) })

/** A call of the store as one of the sink. */
export const call = <A>(place: Place, effect: Effect.Effect<A, ObjectStoreError>): Effect.Effect<A, ObjectSinkError> =>
  Effect.mapError(effect, failed(place.sink))

export const corrupt = (place: Place, key: string, detail: string) =>
  new ObjectSinkError({ reason: new CorruptLog({ sink: place.sink, key, detail }) })

const reader = <S extends Schema.Codec<unknown, unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(schema))
  return (place: Place, key: string, json: string): Effect.Effect<S["Type"], ObjectSinkError> =>
    Effect.mapError(decode(json), (error) => corrupt(place, key, error.message))
}
const readCommit = reader(Commit)
const readHead = reader(Head)

/** An object, or `undefined` when there is none. */
export const find = (place: Place, key: string): Effect.Effect<Uint8Array | undefined, ObjectSinkError> =>
  place.store.get(key).pipe(
    Effect.catchReason("ObjectStoreError", "NotFound", () => Effect.succeed(undefined)),
    Effect.mapError(failed(place.sink))
  )

/** Whether a folder is the prefix of a sink of this name. */
export const isPrefix = (place: Place, folder: string): Effect.Effect<boolean, ObjectSinkError> =>
  Effect.map(
    call(place, place.store.head(`${folder}/${folderOf(place.sink)}/commits/${pad(1)}.json`)),
    (found) => found !== undefined
  )

/** Commit `n`, or `undefined` when there is none yet. */
const load = (place: Place, n: number): Effect.Effect<Commit | undefined, ObjectSinkError> =>
  Effect.gen(function* () {
    const key = commitKey(place, n)
    const bytes = yield* find(place, key)
    return bytes === undefined ? undefined : yield* readCommit(place, key, text(bytes))
  })

/** The newest commit, or `undefined` when there is none. */
export const head = (place: Place): Effect.Effect<Commit | undefined, ObjectSinkError> =>
  Effect.gen(function* () {
    const key = own(place, "head.json")
    const hint = yield* find(place, key)
    const number = hint === undefined ? 0 : (yield* readHead(place, key, text(hint))).number
    let newest: Commit | undefined
    if (number > 0) {
      newest = yield* load(place, number)
      if (newest === undefined) return yield* corrupt(place, commitKey(place, number), "the commit is missing")
    }
    for (let n = number + 1; ; n++) {
      const next = yield* load(place, n)
      if (next === undefined) return newest
      newest = next
    }
  })

const lookups = 5

/**
 * Creates a commit. `undefined`: it is there, ours. Else the commit that holds its number. An unknown outcome is read back until it is known,
 * a few times; then it fails with it.
 */
export const append = (place: Place, commit: Commit): Effect.Effect<Commit | undefined, ObjectSinkError> =>
  Effect.gen(function* () {
    const bytes = utf8.encode(JSON.stringify(commit))
    const key = commitKey(place, commit.number)
    for (let i = 0; i < lookups; i++) {
      const outcome = yield* place.store.putIfAbsent(key, bytes).pipe(
        Effect.catchReason("ObjectStoreError", "Unknown", () => Effect.succeed("unknown" as const)),
        Effect.mapError(failed(place.sink))
      )
      if (outcome === "created") return undefined
      const found = yield* load(place, commit.number)
      if (found !== undefined) return found.writer === commit.writer ? undefined : found
    }
    const cause = new Error(`${lookups} attempts, and no answer that tells`)
    return yield* failed(place.sink)(new ObjectStoreError({ reason: new Unknown({ key, operation: "create", cause }) }))
  })

export const fenced = (place: Place, by: Commit) =>
  new ObjectSinkError({ reason: new Fenced({ sink: place.sink, commit: by.number, epoch: by.epoch }) })

/** Writes down what a commit is about to make appear. */
export const putIntent = (place: Place, commit: Commit): Effect.Effect<void, ObjectSinkError> =>
  call(place, place.store.put(intentKey(place, commit.number, commit.epoch), utf8.encode(JSON.stringify(commit))))

export const deleteIntent = (place: Place, commit: Commit): Effect.Effect<void, ObjectSinkError> =>
  call(place, place.store.delete(intentKey(place, commit.number, commit.epoch)))

/** Deletes the files that a commit which never will be made appear, then its intent. */
export const undo = (place: Place, intent: Commit): Effect.Effect<void, ObjectSinkError> =>
  Effect.andThen(
    Effect.forEach(intent.files, (file) => call(place, place.store.delete(place.key(file.key))), { discard: true }),
    deleteIntent(place, intent)
  )

/** Intents that are there: at most one of each writer that died within a commit. */
export const intents = (place: Place): Effect.Effect<ReadonlyArray<Commit>, ObjectSinkError> =>
  Effect.gen(function* () {
    const found: Array<Commit> = []
    for (const { key } of yield* call(place, Stream.runCollect(place.store.list(own(place, "intents/"))))) {
      const bytes = yield* find(place, key)
      if (bytes !== undefined) found.push(yield* readCommit(place, key, text(bytes)))
    }
    return found
  })

/** Whether the intent's commit was made. */
export const isCommitted = (place: Place, intent: Commit): Effect.Effect<boolean, ObjectSinkError> =>
  Effect.map(load(place, intent.number), (commit) => commit?.writer === intent.writer)

/** Deletes late rows that waited and that no commit names any more. Those of later commits are another writer's. */
export const sweepParked = (place: Place, current: Commit): Effect.Effect<void, ObjectSinkError> =>
  call(
    place,
    place.store.list(own(place, "parked/")).pipe(
      Stream.filter(
        ({ key }) =>
          key < own(place, `parked/${pad(current.number + 1)}`) &&
          (current.parked === null || key !== own(place, current.parked))
      ),
      Stream.runForEach(({ key }) => place.store.delete(key))
    )
  )

/** After a commit: its number as the hint, and the segment that it completes. Both may be missing or behind. */
export const settle = (place: Place, commit: Commit): Effect.Effect<void, ObjectSinkError> =>
  Effect.gen(function* () {
    const { number } = commit
    if (number % segmentSize === 0) {
      const first = number - segmentSize + 1
      const commits = yield* Effect.forEach(
        Array.from({ length: segmentSize }, (_, i) => first + i),
        (n) => load(place, n)
      )
      const lines = commits.flatMap((c) => c?.files ?? []).map((file) => JSON.stringify(file) + "\n")
      yield* call(place, place.store.put(segmentKey(place, number / segmentSize - 1), utf8.encode(lines.join(""))))
    }
    yield* call(place, place.store.put(own(place, "head.json"), utf8.encode(JSON.stringify({ number }))))
  })

const readFile = reader(File)

/** Every committed file, in the order of their commits. */
export const files = (place: Place): Stream.Stream<File, ObjectSinkError> =>
  Stream.unwrap(
    Effect.map(head(place), (newest) => {
      const count = newest?.number ?? 0
      const part = (k: number) =>
        Effect.gen(function* () {
          const key = segmentKey(place, k)
          const last = Math.min(count, (k + 1) * segmentSize)
          const segment = last - k * segmentSize === segmentSize ? yield* find(place, key) : undefined
          if (segment !== undefined)
            return yield* Effect.forEach(text(segment).split("\n").slice(0, -1), (line) => readFile(place, key, line))
          const out: Array<File> = []
          for (let n = k * segmentSize + 1; n <= last; n++) out.push(...((yield* load(place, n))?.files ?? []))
          return out
        })
      return Stream.range(0, Math.ceil(count / segmentSize) - 1).pipe(
        Stream.mapEffect(part),
        Stream.flatMap((found) => Stream.fromIterable(found))
      )
    })
  )
