/**
 * Commits of snapshots: one commit holds the snapshot, its summary and table properties. `COMMIT.md` is its crash table.
 *
 * Order of writes: data files (the caller's), the manifests, merged manifests, the manifest list, then the metadata file, whose creation
 * is the commit. Nothing refers to a file before it is whole.
 */
import type { ObjectStore } from "@headrace/s3/ObjectStore"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as FileCatalog from "./FileCatalog.ts"
import { CommitConflict, IcebergError, invalid, unsupported } from "./IcebergError.ts"
import * as Committing from "./internal/Committing.ts"
import * as Files from "./internal/Files.ts"
import type * as Manifest from "./Manifest.ts"
import type * as ManifestList from "./ManifestList.ts"
import { type NewFile, toDataFile } from "./NewFile.ts"
import type * as Scan from "./Scan.ts"
import * as Table from "./Table.ts"

/** What to append. */
export interface AppendOptions<E, R> extends Committing.Options<E, R> {
  /** Data files that are in the store already; none gives a snapshot that only carries its summary and properties. */
  readonly files: ReadonlyArray<NewFile>
}

/** What to replace by what. */
export interface ReplaceOptions<E, R> extends Committing.Options<E, R> {
  /** Live data files, from a scan. At least one. */
  readonly removed: ReadonlyArray<Scan.FileTask>
  /** Data files that are in the store already and hold the same rows; their number is checked. */
  readonly added: ReadonlyArray<NewFile>
}

/** The new data files of a commit, checked against the table's spec and columns. */
const dataFiles = (table: Table.Table, layout: Scan.Layout, files: ReadonlyArray<NewFile>) =>
  Effect.gen(function* () {
    const specId = table.metadata["default-spec-id"]
    const spec = layout.specs.get(specId)
    if (spec === undefined)
      return yield* unsupported(FileCatalog.metadataFile(table), `a transform in its partition spec ${specId}`)
    if (new Set(files.map((file) => file.key)).size < files.length)
      return yield* invalid("a data file is given twice in one commit")
    const made = files.map((file) => toDataFile(file, Files.pathOf(table, file.key), spec, layout.columns.values()))
    return yield* Effect.fromResult(Result.all(made))
  })

/** The manifest of the added files, written once and used again by later attempts: its entries inherit their sequence number. */
const addedManifest = () => {
  let made: { readonly key: string; readonly manifest: ManifestList.ManifestFile } | undefined
  return (
    table: Table.Table,
    work: Committing.Work,
    layout: Scan.Layout,
    files: ReadonlyArray<Manifest.DataFile>
  ): Effect.Effect<ReadonlyArray<ManifestList.ManifestFile>, IcebergError, ObjectStore> =>
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
        made = {
          key,
          manifest: yield* Committing.putManifest(table, work, layout, metadata["default-spec-id"], entries)
        }
      }
      const sequenceNumber = metadata["last-sequence-number"] + 1
      return [{ ...made.manifest, sequenceNumber, minSequenceNumber: sequenceNumber }]
    })
}

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
  const added = addedManifest()
  return yield* Committing.run(table, options, (base, work, layout, before) =>
    Effect.gen(function* () {
      const files = yield* dataFiles(base, layout, options.files)
      const own = yield* added(base, work, layout, files)
      return { operation: "append", untouched: before, own, added: files, removed: [] }
    })
  )
})

/** The rewritten form of the manifests that hold removed files, each made once: its entries know their sequence numbers. */
const withoutRemoved = (removed: ReadonlySet<string>) => {
  const known = new Map<
    string,
    { readonly found: ReadonlyArray<Manifest.DataFile>; readonly rewritten: ManifestList.ManifestFile | undefined }
  >()
  return (table: Table.Table, work: Committing.Work, layout: Scan.Layout, manifest: ManifestList.ManifestFile) =>
    Effect.gen(function* () {
      const key = `${table.metadata["current-schema-id"]}/${manifest.path}`
      const seen = known.get(key)
      if (seen !== undefined) return seen
      const found: Array<Manifest.DataFile> = []
      const entries: Array<Manifest.Entry> = []
      for (const entry of yield* Table.entries(table, layout, manifest)) {
        if (entry.status === "deleted") continue
        const gone = removed.has(entry.file.path)
        if (gone) found.push(entry.file)
        entries.push(
          gone ? { ...entry, status: "deleted", snapshotId: work.snapshotId } : { ...entry, status: "existing" }
        )
      }
      const rewritten =
        found.length === 0 ? undefined : yield* Committing.putManifest(table, work, layout, manifest.specId, entries)
      const made = { found, rewritten }
      known.set(key, made)
      return made
    })
}

const checkReplace = ({ added, removed }: ReplaceOptions<never, never>, table: Table.Table): string | undefined => {
  if (removed.length === 0) return "a replace has no files to remove"
  const gone = new Set(removed.map((task) => task.file.path))
  if (gone.size < removed.length) return "a data file is to be removed twice in one replace"
  const both = added.find((file) => gone.has(Files.pathOf(table, file.key)))
  if (both !== undefined) return `the replace adds and removes ${both.key}`
  const before = removed.reduce((rows, task) => rows + task.file.recordCount, 0)
  const after = added.reduce((rows, file) => rows + file.summary.rowCount, 0)
  return before === after ? undefined : `a replace keeps all rows, but this one removes ${before} and adds ${after}`
}

/**
 * Replaces data files by others that hold the same rows, in one commit: readers see the old files or the new ones. The added files count as
 * new ones; all others keep their sequence numbers. When others commit first it reloads, asks `validate`, and looks again whether all
 * removed files are still live and no delete files came.
 *
 * Fails as `append` does, and with `CommitConflict` when a removed file isn't live (any more) or delete files were committed. Then
 * nothing was committed and its manifests are removed; the added data files are the caller's to delete.
 */
export const replace = Effect.fn("Commit.replace")(function* <E = never, R = never>(
  table: Table.Table,
  options: ReplaceOptions<E, R>
): Effect.fn.Return<Table.Table, IcebergError | E, ObjectStore | R> {
  const problem = checkReplace({ added: options.added, removed: options.removed }, table)
  if (problem !== undefined) return yield* invalid(problem)
  const gone = new Set(options.removed.map((task) => task.file.path))
  const specs = new Set(options.removed.map((task) => task.specId))
  const planned = table.metadata["last-sequence-number"]
  const added = addedManifest()
  const rewrite = withoutRemoved(gone)
  return yield* Committing.run(table, options, (base, work, layout, before) =>
    Effect.gen(function* () {
      const conflict = (why: string) =>
        new IcebergError({ reason: new CommitConflict({ file: FileCatalog.metadataFile(base), problem: why }) })
      const files = yield* dataFiles(base, layout, options.added)
      const untouched: Array<ManifestList.ManifestFile> = []
      const own: Array<ManifestList.ManifestFile> = []
      const removed: Array<Manifest.DataFile> = []
      const sequenceNumber = base.metadata["last-sequence-number"] + 1
      for (const manifest of before) {
        if (manifest.content === "deletes" && manifest.addedFiles + manifest.existingFiles > 0) {
          if (manifest.sequenceNumber <= planned) return yield* unsupported(manifest.path, "delete files")
          return yield* conflict(`delete files that may concern its input were committed (${manifest.path})`)
        }
        const made =
          manifest.content === "data" && specs.has(manifest.specId)
            ? yield* rewrite(base, work, layout, manifest)
            : undefined
        if (made?.rewritten === undefined) untouched.push(manifest)
        else {
          removed.push(...made.found)
          const { minSequenceNumber } = made.rewritten
          const live = made.rewritten.existingFiles > 0
          own.push({ ...made.rewritten, sequenceNumber, minSequenceNumber: live ? minSequenceNumber : sequenceNumber })
        }
      }
      if (removed.length < gone.size) {
        const live = new Set(removed.map((file) => file.path))
        const missing = [...gone].find((path) => !live.has(path))
        return yield* conflict(`the file ${missing} that it replaces isn't in the table any more`)
      }
      own.push(...(yield* added(base, work, layout, files)))
      return { operation: "replace", untouched, own, added: files, removed }
    })
  )
})
