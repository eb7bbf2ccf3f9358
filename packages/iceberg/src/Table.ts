/** A table as it was loaded: an immutable value. Scans read from it; `Commit.append` gives the next one. */
import type { ObjectStore } from "@headrace/s3/ObjectStore"
import * as Effect from "effect/Effect"
import type { Field } from "./Field.ts"
import { type IcebergError, invalid, unsupported } from "./IcebergError.ts"
import * as Files from "./internal/Files.ts"
import * as Manifest from "./Manifest.ts"
import * as ManifestList from "./ManifestList.ts"
import * as Metadata from "./Metadata.ts"
import type { Predicate } from "./Predicate.ts"
import * as Scan from "./Scan.ts"
import * as Schema from "./Schema.ts"

/** A table at one version. `prefix` is where it lives in the object store, without slashes at the ends; "" is the whole store. */
export interface Table {
  readonly prefix: string
  /** N of `metadata/v<N>.metadata.json`. */
  readonly version: number
  readonly metadata: Metadata.TableMetadata
}

/** Manifests that a scan reads at a time. */
const concurrency = 8

/** The object store's key of a path in the table's metadata. Fails with `UnsupportedFormat` when it lies outside the table's location. */
export const keyOf = (table: Table, path: string): Effect.Effect<string, IcebergError> => Files.keyOf(table, path)

/** The path of a key that is relative to the table, e.g. `data/x.parquet`. */
export const pathOf = (table: Table, relative: string): string => Files.pathOf(table, relative)

/** The current columns with their ids. Fails with `UnsupportedFormat` when a type isn't known here. */
export const fields = (table: Table): Effect.Effect<ReadonlyArray<Field>, IcebergError> =>
  Effect.fromResult(Schema.toFields(Metadata.currentSchema(table.metadata)))

/** The manifests of a snapshot, in the list's order. Fails with `MissingFile` or `Corrupt`, which name the manifest list. */
export const manifests = (
  table: Table,
  snapshot: Metadata.Snapshot
): Effect.Effect<ReadonlyArray<ManifestList.ManifestFile>, IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const path = snapshot["manifest-list"]
    const bytes = yield* Files.read(table, path, "manifest list")
    return yield* Effect.fromResult(ManifestList.read(bytes, path))
  })

/** The entries of a manifest, deleted ones too. */
export const entries = (
  table: Table,
  layout: Scan.Layout,
  manifest: ManifestList.ManifestFile
): Effect.Effect<ReadonlyArray<Manifest.ReadEntry>, IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const spec = layout.specs.get(manifest.specId)
    if (spec === undefined) return yield* unsupported(manifest.path, `partition spec ${manifest.specId}`)
    const bytes = yield* Files.read(table, manifest.path, "manifest")
    return yield* Effect.fromResult(Manifest.read(bytes, manifest, spec))
  })

/**
 * Plans a scan of the current snapshot, or of the one given: the data files to read, ordered by sequence number and then by path. A table
 * without snapshots has none. Fails with `InvalidInput` for an unknown column or snapshot, `MissingFile`, `Corrupt`, and with
 * `UnsupportedFormat` when the snapshot has delete files.
 */
export const scan = Effect.fn("Table.scan")(function* (
  table: Table,
  options?: { readonly predicate?: Predicate | undefined; readonly snapshotId?: Metadata.SnapshotId | undefined }
): Effect.fn.Return<ReadonlyArray<Scan.FileTask>, IcebergError, ObjectStore> {
  const layout = Scan.layout(table.metadata)
  const predicate = options?.predicate
  if (predicate !== undefined) yield* Effect.fromResult(Scan.checkPredicate(predicate, layout))
  const id = options?.snapshotId ?? Metadata.currentId(table.metadata)
  if (id === undefined) return []
  const snapshot = Metadata.snapshot(table.metadata, id)
  if (snapshot === undefined) return yield* invalid(`the table has no snapshot ${id}`)
  const all = yield* manifests(table, snapshot)
  const deletes = all.find(
    (manifest) => manifest.content === "deletes" && manifest.addedFiles + manifest.existingFiles > 0
  )
  if (deletes !== undefined) return yield* unsupported(deletes.path, "delete files")
  const needed = all.filter(
    (manifest) => manifest.content === "data" && Scan.needsManifest(manifest, predicate, layout)
  )
  const read = yield* Effect.forEach(
    needed,
    (manifest) => Effect.map(entries(table, layout, manifest), (some) => ({ manifest, entries: some })),
    { concurrency }
  )
  return yield* Effect.fromResult(Scan.plan(read, layout, predicate))
})
