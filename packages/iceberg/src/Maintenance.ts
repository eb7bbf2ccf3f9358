/**
 * Giving storage back: snapshots that nobody needs any more, and files that no snapshot refers to.
 *
 * A crash harms nothing. Expiry commits the metadata without the snapshots first, and only then deletes what they alone referred to: a process
 * that dies between leaves orphans, which `removeOrphans` finds. Metadata files are never deleted (`COMMIT.md` says why).
 */
import { ObjectStore } from "@headrace/s3/ObjectStore"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ExpirePlan from "./ExpirePlan.ts"
import * as FileCatalog from "./FileCatalog.ts"
import { type IcebergError, invalid } from "./IcebergError.ts"
import * as Committing from "./internal/Committing.ts"
import * as Files from "./internal/Files.ts"
import type * as Metadata from "./Metadata.ts"
import * as Scan from "./Scan.ts"
import * as Table from "./Table.ts"

/** What to expire. */
export interface ExpireOptions {
  /** Snapshots older than this go. */
  readonly olderThan: Duration.Input
  /** The newest snapshots of every branch that stay however old they are. Default 1. */
  readonly retainLast?: number
  /** Only says what would go. */
  readonly dryRun?: boolean
}

/** What went, or would go: the table after it, ids of snapshots, and full paths of manifest lists, manifests and data files. */
export interface Expired {
  readonly table: Table.Table
  readonly snapshots: ReadonlyArray<Metadata.SnapshotId>
  readonly files: ReadonlyArray<string>
}

/** Calls `each` with the path of every file that some snapshots refer to; a manifest that several share is read once. */
const eachFile = (
  table: Table.Table,
  snapshots: ReadonlyArray<Metadata.Snapshot>,
  skipManifest: (path: string) => boolean,
  each: (path: string, isManifest: boolean) => void
): Effect.Effect<void, IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const layout = Scan.layout(table.metadata)
    const seen = new Set<string>()
    for (const snapshot of snapshots) {
      each(snapshot["manifest-list"], false)
      for (const manifest of yield* Table.manifests(table, snapshot)) {
        if (seen.has(manifest.path) || skipManifest(manifest.path)) continue
        seen.add(manifest.path)
        each(manifest.path, true)
        for (const entry of yield* Table.entries(table, layout, manifest)) {
          if (entry.status !== "deleted") each(entry.file.path, false)
        }
      }
    }
  })

/** The files that only the expired snapshots refer to. */
const onlyIn = (table: Table.Table, ids: ReadonlyArray<Metadata.SnapshotId>) =>
  Effect.gen(function* () {
    if (ids.length === 0) return []
    const gone = new Set(ids)
    const all = table.metadata.snapshots ?? []
    const live = new Set<string>()
    const kept = all.filter((snapshot) => !gone.has(snapshot["snapshot-id"]))
    yield* eachFile(
      table,
      kept,
      () => false,
      (path) => live.add(path)
    )
    const files = new Set<string>()
    // What a manifest refers to that is still in use is in use too.
    yield* eachFile(
      table,
      all.filter((snapshot) => gone.has(snapshot["snapshot-id"])),
      (path) => live.has(path),
      (path) => {
        if (!live.has(path)) files.add(path)
      }
    )
    return [...files]
  })

/**
 * Expires old snapshots in one commit, then deletes the files that only they referred to. A scan of an expired snapshot that is under way may
 * fail with a missing file. Snapshots that a branch or tag names stay; see `ExpirePlan.plan`. Fails as `Commit.append` does; nothing was
 * deleted then. A file that can't be deleted after the commit is left as an orphan.
 */
export const expireSnapshots = Effect.fn("Maintenance.expireSnapshots")(function* (
  table: Table.Table,
  options: ExpireOptions
): Effect.fn.Return<Expired, IcebergError, ObjectStore> {
  const retainLast = options.retainLast ?? 1
  if (!Number.isSafeInteger(retainLast) || retainLast < 1)
    return yield* invalid(`retainLast is ${retainLast}, but at least 1 snapshot stays`)
  const age = Duration.toMillis(options.olderThan)
  const planOn = (base: Table.Table) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const snapshots = ExpirePlan.plan(base.metadata, { olderThan: now - age, retainLast })
      return { snapshots, files: yield* onlyIn(base, snapshots) }
    })
  if (options.dryRun === true) return { table, ...(yield* planOn(table)) }
  let made: Omit<Expired, "table"> = { snapshots: [], files: [] }
  const after = yield* Committing.change(table, (base, at) =>
    Effect.gen(function* () {
      made = yield* planOn(base)
      if (made.snapshots.length === 0) return undefined
      return ExpirePlan.without(base.metadata, made.snapshots, at, FileCatalog.metadataFile(base))
    })
  )
  yield* Files.remove(after, made.files)
  return { table: after, ...made }
})

/** What to remove. */
export interface OrphanOptions {
  /** How long a file must have been seen as an orphan before it goes. Longer than any commit can take, its data files included. */
  readonly grace: Duration.Input
  /** Only says what would go. */
  readonly dryRun?: boolean
}

/** Keys of the object store: what was (or would be) deleted, and what waits until its grace period is over. */
export interface Orphans {
  readonly removed: ReadonlyArray<string>
  readonly waiting: ReadonlyArray<string>
}

/** When each orphan was first seen, epoch milliseconds by key. */
const Seen = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Int))
const seenFile = "metadata/headrace-orphans.json"

/** The keys of all files that any snapshot refers to. */
const referenced = (table: Table.Table) =>
  Effect.gen(function* () {
    const paths = new Set<string>()
    yield* eachFile(
      table,
      table.metadata.snapshots ?? [],
      () => false,
      (path) => paths.add(path)
    )
    return new Set(yield* Effect.forEach(paths, (path) => Files.keyOf(table, path)))
  })

/**
 * Removes data files and manifests that no snapshot refers to. Object stores don't tell how old a file is in terms of our clock, so a run notes
 * the orphans that it sees in `metadata/headrace-orphans.json`, and a later one deletes those that were noted a grace period ago and are
 * orphans still. Only `data/**.parquet` and `metadata/*.avro` are looked at; metadata files always stay. Fails with `MissingFile`, `Corrupt`,
 * `UnsupportedFormat` or `Store`; nothing was deleted then, unless the failure came from the deletion itself.
 */
export const removeOrphans = Effect.fn("Maintenance.removeOrphans")(function* (
  table: Table.Table,
  options: OrphanOptions
): Effect.fn.Return<Orphans, IcebergError, ObjectStore> {
  const store = yield* ObjectStore
  const grace = Duration.toMillis(options.grace)
  const used = yield* referenced(yield* FileCatalog.load(table))
  const unused: Array<string> = []
  for (const [folder, ending] of [
    ["data/", ".parquet"],
    ["metadata/", ".avro"]
  ] as const) {
    const prefix = Files.join(table.prefix, folder)
    yield* store.list(prefix).pipe(
      Stream.runForEach(({ key }) =>
        Effect.sync(() => {
          if (key.endsWith(ending) && !used.has(key)) unused.push(key)
        })
      ),
      Effect.mapError(Files.storeError(prefix))
    )
  }
  // What was committed while we listed is no orphan.
  const newest = yield* referenced(yield* FileCatalog.load(table))
  const orphans = unused.filter((key) => !newest.has(key))
  const marks = Files.join(table.prefix, seenFile)
  const noted = yield* store.get(marks).pipe(
    Effect.map((bytes) => new TextDecoder().decode(bytes)),
    Effect.catchReason("ObjectStoreError", "NotFound", () => Effect.succeed("{}")),
    Effect.mapError(Files.storeError(marks))
  )
  // Notes that can't be read are only lost time: every orphan waits once more.
  const seen = yield* Effect.orElseSucceed(Schema.decodeEffect(Seen)(noted), () => ({}))
  const since = new Map<string, number>(Object.entries(seen))
  const now = yield* Clock.currentTimeMillis
  const isDue = (key: string) => (since.get(key) ?? now) + grace <= now && since.has(key)
  const removed = orphans.filter(isDue)
  const waiting = orphans.filter((key) => !isDue(key))
  if (options.dryRun === true) return { removed, waiting }
  yield* Effect.forEach(removed, (key) => Effect.mapError(store.delete(key), Files.storeError(key)), { discard: true })
  const notes = JSON.stringify(Object.fromEntries(waiting.map((key) => [key, since.get(key) ?? now])))
  yield* Effect.mapError(store.put(marks, new TextEncoder().encode(notes)), Files.storeError(marks))
  return { removed, waiting }
})
