/**
 * Appends to a table: one commit holds the snapshot, its summary and table properties. `COMMIT.md` is its crash table.
 *
 * Order of writes: data files (the caller's), the manifest, merged manifests, the manifest list, then the metadata file, whose creation
 * is the commit. Nothing refers to a file before it is whole.
 */
import type { ObjectStore } from "@headrace/s3/ObjectStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import { CommitPoint } from "./CommitPoint.ts"
import * as FileCatalog from "./FileCatalog.ts"
import { CommitConflict, IcebergError, invalid, unsupported } from "./IcebergError.ts"
import * as Files from "./internal/Files.ts"
import * as Uuid from "./internal/uuid.ts"
import * as Manifest from "./Manifest.ts"
import * as ManifestList from "./ManifestList.ts"
import * as MergePlan from "./MergePlan.ts"
import * as Metadata from "./Metadata.ts"
import { type NewFile, toDataFile } from "./NewFile.ts"
import * as Scan from "./Scan.ts"
import * as Summary from "./Summary.ts"
import * as Table from "./Table.ts"

/** What to append. */
export interface AppendOptions<E, R> {
  /** Data files that are in the store already; none gives a snapshot that only carries its summary and properties. */
  readonly files: ReadonlyArray<NewFile>
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
interface Work {
  readonly snapshotId: number
  readonly uuid: string
  readonly sync: Uint8Array
  readonly written: Set<string>
  manifests: number
}

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

/** Writes a manifest, and gives its line of the list. Sequence numbers are the coming snapshot's, `least` that of its oldest entry. */
const putManifest = (
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
        (least, entry) => Math.min(least, entry.sequenceNumber ?? least),
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

/** The data files of the append, checked against the table's spec and columns. */
const dataFiles = (table: Table.Table, layout: Scan.Layout, files: ReadonlyArray<NewFile>) =>
  Effect.gen(function* () {
    const specId = table.metadata["default-spec-id"]
    const spec = layout.specs.get(specId)
    if (spec === undefined)
      return yield* unsupported(FileCatalog.metadataFile(table), `a transform in its partition spec ${specId}`)
    if (new Set(files.map((file) => file.key)).size < files.length)
      return yield* invalid("a data file is given twice in one append")
    const made = files.map((file) => toDataFile(file, Files.pathOf(table, file.key), spec, layout.columns.values()))
    return yield* Effect.fromResult(Result.all(made))
  })

/** Writes all that an attempt on this base needs, up to the manifest list. */
const prepare = <E, R>(
  table: Table.Table,
  work: Work,
  options: AppendOptions<E, R>,
  added: (
    base: Table.Table,
    layout: Scan.Layout,
    files: ReadonlyArray<Manifest.DataFile>
  ) => Effect.Effect<ReadonlyArray<ManifestList.ManifestFile>, IcebergError, ObjectStore>,
  attempt: number
): Effect.Effect<Attempt, IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const point = yield* CommitPoint
    const { metadata } = table
    const layout = Scan.layout(metadata)
    const files = yield* dataFiles(table, layout, options.files)
    const parent = Metadata.currentSnapshot(metadata)
    const before = parent === undefined ? [] : yield* Table.manifests(table, parent)
    const own = yield* added(table, layout, files)
    yield* point("after-manifest")
    const kept = yield* merge(table, work, layout, before, options.manifestLimit ?? MergePlan.defaultLimit)
    yield* point("after-merge")
    const sequenceNumber = metadata["last-sequence-number"] + 1
    const manifests = [...kept, ...own]
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
      summary: Summary.ofAppend(files, parent, before, options.summary ?? {}),
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

/**
 * Appends data files in one commit, and gives the table after it. When others commit first it reloads, asks `validate`, and builds on theirs.
 *
 * Fails with the caller's `E` (abandoned), or with `IcebergError`: `CommitConflict` (gave up), `InvalidInput`, `MissingFile`, `Corrupt`,
 * `UnsupportedFormat`, `Store`. In all these cases nothing was committed and the manifests that it wrote are removed. After `CommitUnknown`
 * nothing is removed: load the table and look for the snapshot.
 */
export const append = Effect.fn("Commit.append")(function* <E = never, R = never>(
  table: Table.Table,
  options: AppendOptions<E, R>
): Effect.fn.Return<Table.Table, IcebergError | E, ObjectStore | R> {
  const point = yield* CommitPoint
  const reserved = Object.keys(options.summary ?? {}).find(Summary.isReserved)
  if (reserved !== undefined) return yield* invalid(`the summary key "${reserved}" belongs to Iceberg`)
  const uuid = yield* Uuid.make
  const snapshotId = yield* Metadata.drawSnapshotId(table.metadata)
  const work: Work = { snapshotId, uuid, sync: Uuid.bytes(uuid), written: new Set(), manifests: 0 }
  const once = addedManifest(work)
  yield* point("after-data")

  const attempts = Effect.gen(function* () {
    let base = table
    for (let attempt = 1; attempt <= (options.retries ?? 100) + 1; attempt++) {
      if (options.validate !== undefined) yield* options.validate(base.metadata)
      const { inUse, next } = yield* prepare(base, work, options, once, attempt)
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
    const problem = `others committed first ${(options.retries ?? 100) + 1} times`
    return yield* new IcebergError({ reason: new CommitConflict({ file: FileCatalog.metadataFile(base), problem }) })
  })
  const isUnknown = (error: IcebergError | E) => error instanceof IcebergError && error.reason._tag === "CommitUnknown"
  return yield* Effect.tapError(attempts, (error) =>
    isUnknown(error) ? Effect.void : Files.remove(table, work.written)
  )
})

/** The manifest of the added files, written once and used again by later attempts: its entries inherit their sequence number. */
const addedManifest = (work: Work) => {
  let made: { readonly key: string; readonly manifest: ManifestList.ManifestFile } | undefined
  return (table: Table.Table, layout: Scan.Layout, files: ReadonlyArray<Manifest.DataFile>) =>
    Effect.gen(function* () {
      if (files.length === 0) return []
      const { metadata } = table
      const key = `${metadata["current-schema-id"]}/${metadata["default-spec-id"]}`
      if (made === undefined || made.key !== key) {
        const entries = files.map((file): Manifest.Entry => ({
          status: "added",
          snapshotId: work.snapshotId,
          sequenceNumber: null,
          fileSequenceNumber: null,
          file
        }))
        made = { key, manifest: yield* putManifest(table, work, layout, metadata["default-spec-id"], entries) }
      }
      const sequenceNumber = metadata["last-sequence-number"] + 1
      return [{ ...made.manifest, sequenceNumber, minSequenceNumber: sequenceNumber }]
    })
}
