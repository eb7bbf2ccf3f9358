/** What every commit of a snapshot has in common: its files, the merge of small manifests, and the loop that builds on what others commit. */
import type { ObjectStore } from "@headrace/s3/ObjectStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { CommitPoint } from "../CommitPoint.ts"
import * as FileCatalog from "../FileCatalog.ts"
import { CommitConflict, IcebergError, invalid, unsupported } from "../IcebergError.ts"
import * as Manifest from "../Manifest.ts"
import * as ManifestList from "../ManifestList.ts"
import * as MergePlan from "../MergePlan.ts"
import * as Metadata from "../Metadata.ts"
import * as Scan from "../Scan.ts"
import * as Summary from "../Summary.ts"
import * as Table from "../Table.ts"
import * as Files from "./Files.ts"
import * as Uuid from "./uuid.ts"

/** What every commit of a snapshot can be given. */
export interface Options<E, R> {
  /** The caller's own entries of the snapshot's summary; the standard keys can't be set. */
  readonly summary?: Readonly<Record<string, string>>
  /** Table properties that are set in the same commit; given the snapshot's id, so that one of them may name it. */
  readonly setProperties?: Readonly<Record<string, string>> | ((snapshotId: number) => Readonly<Record<string, string>>)
  /**
   * Whether the commit may build on this metadata. Called before every attempt, the first one too, with exactly what the commit would
   * replace. Its failure abandons the commit: nothing is committed, and the manifests that were written are removed (not the data files).
   */
  readonly validate?: (current: Metadata.TableMetadata) => Effect.Effect<void, E, R>
  /** Commits of others that may come first before this one gives up with `CommitConflict`. Default 100. */
  readonly retries?: number
  /** Data manifests that a snapshot may have before small ones are merged. Default 50. */
  readonly manifestLimit?: number
}

/** A commit under way: its names, and every file that it wrote. */
export interface Work {
  readonly snapshotId: number
  readonly uuid: string
  readonly sync: Uint8Array
  readonly written: Set<string>
  manifests: number
}

/** What a commit makes of the parent's manifests. */
export interface Change {
  readonly operation: "append" | "replace"
  /** Manifests of the parent that stay as they are; small ones may be merged. */
  readonly untouched: ReadonlyArray<ManifestList.ManifestFile>
  /** The commit's own manifests; never merged in the same commit, since their entries say what it did. */
  readonly own: ReadonlyArray<ManifestList.ManifestFile>
  readonly added: ReadonlyArray<Manifest.DataFile>
  readonly removed: ReadonlyArray<Manifest.DataFile>
}

/** Makes the change on a base. Asked again for every attempt; manifests that it wrote before may be used again. */
export type Build = (
  base: Table.Table,
  work: Work,
  layout: Scan.Layout,
  before: ReadonlyArray<ManifestList.ManifestFile>
) => Effect.Effect<Change, IcebergError, ObjectStore>

/** What one attempt made. */
interface Attempt {
  readonly next: Metadata.TableMetadata
  readonly inUse: ReadonlySet<string>
}

const put = (table: Table.Table, work: Work, path: string, bytes: Uint8Array) =>
  Effect.suspend(() => {
    work.written.add(path)
    return Files.write(table, path, bytes)
  })

/** Writes a manifest, and gives its line of the list. Sequence numbers are the coming snapshot's, `minSequenceNumber` that of its oldest live entry. */
export const putManifest = (
  table: Table.Table,
  work: Work,
  layout: Scan.Layout,
  specId: number,
  entries: ReadonlyArray<Manifest.Entry>
): Effect.Effect<ManifestList.ManifestFile, IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const specJson = table.metadata["partition-specs"].find((spec) => spec["spec-id"] === specId)
    const spec = layout.specs.get(specId)
    if (spec === undefined || specJson === undefined)
      return yield* unsupported(FileCatalog.metadataFile(table), `partition spec ${specId}`)
    const schema = Metadata.currentSchema(table.metadata)
    const { bytes, counts, partitions } = Manifest.write({ schema, spec, specJson, entries, sync: work.sync })
    const path = Files.pathOf(table, `metadata/${work.uuid}-m${work.manifests++}.avro`)
    yield* put(table, work, path, bytes)
    const sequenceNumber = table.metadata["last-sequence-number"] + 1
    return {
      path,
      length: bytes.length,
      specId,
      content: "data",
      sequenceNumber,
      minSequenceNumber: entries.reduce(
        (least, entry) => (entry.status === "deleted" ? least : Math.min(least, entry.sequenceNumber ?? least)),
        sequenceNumber
      ),
      addedSnapshotId: work.snapshotId,
      ...counts,
      partitions,
      keyMetadata: null
    }
  })

/** Merges small manifests when there are too many. Entries are carried as existing, with their own snapshots and sequence numbers. */
const merge = (
  table: Table.Table,
  work: Work,
  layout: Scan.Layout,
  manifests: ReadonlyArray<ManifestList.ManifestFile>,
  limit: number
): Effect.Effect<ReadonlyArray<ManifestList.ManifestFile>, IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const out = new Map(manifests.map((manifest) => [manifest.path, manifest]))
    for (const group of MergePlan.make(manifests, limit, (specId) => layout.specs.has(specId))) {
      const carried: Array<Manifest.Entry> = []
      for (const manifest of group) {
        for (const entry of yield* Table.entries(table, layout, manifest)) {
          if (entry.status !== "deleted") carried.push({ ...entry, status: "existing" })
        }
        out.delete(manifest.path)
      }
      if (carried.length === 0) continue
      const merged = yield* putManifest(table, work, layout, group[0]!.specId, carried)
      out.set(merged.path, merged)
    }
    return [...out.values()]
  })

/** Writes all that an attempt on this base needs, up to the manifest list. */
const prepare = <E, R>(
  table: Table.Table,
  work: Work,
  options: Options<E, R>,
  build: Build,
  attempt: number
): Effect.Effect<Attempt, IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const point = yield* CommitPoint
    const { metadata } = table
    const layout = Scan.layout(metadata)
    const parent = Metadata.currentSnapshot(metadata)
    const before = parent === undefined ? [] : yield* Table.manifests(table, parent)
    const change = yield* build(table, work, layout, before)
    yield* point("after-manifest")
    // A manifest of nothing but earlier deletions says nothing to this snapshot.
    const live = change.untouched.filter((manifest) => manifest.addedFiles + manifest.existingFiles > 0)
    const kept = yield* merge(table, work, layout, live, options.manifestLimit ?? MergePlan.defaultLimit)
    yield* point("after-merge")
    const sequenceNumber = metadata["last-sequence-number"] + 1
    const manifests = [...kept, ...change.own]
    const list = Files.pathOf(table, `metadata/snap-${work.snapshotId}-${attempt}-${work.uuid}.avro`)
    const { snapshotId, sync } = work
    const parentId = parent?.["snapshot-id"]
    yield* put(table, work, list, ManifestList.write({ snapshotId, parentId, sequenceNumber, manifests, sync }))
    yield* point("after-manifest-list")
    const snapshot: Metadata.Snapshot = {
      "snapshot-id": snapshotId,
      ...(parentId === undefined ? {} : { "parent-snapshot-id": parentId }),
      "sequence-number": sequenceNumber,
      // Time never runs backwards in a table's history, whatever a writer's clock says.
      "timestamp-ms": Math.max(yield* Clock.currentTimeMillis, metadata["last-updated-ms"]),
      "manifest-list": list,
      summary: Summary.make(change, parent, before, options.summary ?? {}),
      "schema-id": metadata["current-schema-id"]
    }
    const given = options.setProperties ?? {}
    const properties = typeof given === "function" ? given(snapshotId) : given
    return {
      next: Metadata.withSnapshot(metadata, snapshot, properties, FileCatalog.metadataFile(table)),
      inUse: new Set([list, ...manifests.map((manifest) => manifest.path)])
    }
  })

/** Waits before another attempt, longer each time and at random, so that many writers don't run in step. The first one comes at once. */
const backOff = (attempt: number) =>
  attempt === 1
    ? Effect.void
    : Effect.flatMap(Random.nextBetween(1, 2 ** Math.min(attempt, 9)), (millis) => Effect.sleep(millis))

const defaultRetries = 100

const gaveUp = (table: Table.Table, retries: number) => {
  const problem = `others committed first ${retries + 1} times`
  return new IcebergError({ reason: new CommitConflict({ file: FileCatalog.metadataFile(table), problem }) })
}

/** Commits a snapshot: builds it, publishes it, and when others were first, builds it anew on theirs. */
export const run = <E, R>(
  table: Table.Table,
  options: Options<E, R>,
  build: Build
): Effect.Effect<Table.Table, IcebergError | E, ObjectStore | R> =>
  Effect.gen(function* () {
    const point = yield* CommitPoint
    const reserved = Object.keys(options.summary ?? {}).find(Summary.isReserved)
    if (reserved !== undefined) return yield* invalid(`the summary key "${reserved}" belongs to Iceberg`)
    const uuid = yield* Uuid.make
    const snapshotId = yield* Metadata.drawSnapshotId(table.metadata)
    const work: Work = { snapshotId, uuid, sync: Uuid.bytes(uuid), written: new Set(), manifests: 0 }
    yield* point("after-data")

    const retries = options.retries ?? defaultRetries
    const attempts = Effect.gen(function* () {
      let base = table
      for (let attempt = 1; attempt <= retries + 1; attempt++) {
        if (options.validate !== undefined) yield* options.validate(base.metadata)
        const { inUse, next } = yield* prepare(base, work, options, build, attempt)
        const outcome = yield* Effect.uninterruptible(FileCatalog.publish(base, next, `${snapshotId}`))
        if (outcome === "committed") {
          yield* point("after-metadata")
          const committed = { ...base, version: base.version + 1, metadata: next }
          yield* FileCatalog.writeHint(base.prefix, committed.version)
          yield* point("after-hint")
          yield* Files.remove(
            committed,
            [...work.written].filter((path) => !inUse.has(path))
          )
          return committed
        }
        yield* backOff(attempt)
        base = yield* FileCatalog.load(base)
      }
      return yield* gaveUp(base, retries)
    })
    const isUnknown = (error: IcebergError | E) =>
      error instanceof IcebergError && error.reason._tag === "CommitUnknown"
    return yield* Effect.tapError(attempts, (error) =>
      isUnknown(error) ? Effect.void : Files.remove(table, work.written)
    )
  })

/**
 * Commits metadata alone: `make` gives the next metadata at a time in epoch milliseconds, or nothing where there is nothing to change, and is
 * asked again on what others commit first. Nothing but the metadata file is written.
 */
export const change = <E, R>(
  table: Table.Table,
  make: (base: Table.Table, at: number) => Effect.Effect<Metadata.TableMetadata | undefined, E, R>
): Effect.Effect<Table.Table, IcebergError | E, ObjectStore | R> =>
  Effect.gen(function* () {
    const point = yield* CommitPoint
    let base = table
    for (let attempt = 1; attempt <= defaultRetries + 1; attempt++) {
      const at = Math.max(yield* Clock.currentTimeMillis, base.metadata["last-updated-ms"])
      const next = yield* make(base, at)
      if (next === undefined) return base
      const outcome = yield* Effect.uninterruptible(
        FileCatalog.publish(base, next, `${Metadata.currentId(next) ?? "none"}`)
      )
      if (outcome === "committed") {
        yield* point("after-metadata")
        yield* FileCatalog.writeHint(base.prefix, base.version + 1)
        yield* point("after-hint")
        return { ...base, version: base.version + 1, metadata: next }
      }
      yield* backOff(attempt)
      base = yield* FileCatalog.load(base)
    }
    return yield* gaveUp(base, defaultRetries)
  })
