/** Manifest lists: the manifests of a snapshot, as Avro. Pure. */
import * as Result from "effect/Result"
import { corrupt, type IcebergError, unsupported } from "./IcebergError.ts"
import * as Avro from "./internal/Avro.ts"
import { manifestFileSchema } from "./internal/avroSchemas.ts"
import * as Record from "./internal/Record.ts"
import type { SnapshotId } from "./Metadata.ts"

/** What the files of a manifest have in a partition field; bounds in the binary form of the field's type. */
export interface FieldSummary {
  readonly containsNull: boolean
  readonly containsNan: boolean | null
  readonly lower: Uint8Array | null
  readonly upper: Uint8Array | null
}

/** A manifest in a list. `path` is full, `length` in bytes; `partitions` is in the order of the spec's fields. */
export interface ManifestFile {
  readonly path: string
  readonly length: number
  readonly specId: number
  readonly content: "data" | "deletes"
  readonly sequenceNumber: number
  readonly minSequenceNumber: number
  readonly addedSnapshotId: SnapshotId
  readonly addedFiles: number
  readonly existingFiles: number
  readonly deletedFiles: number
  readonly addedRows: number
  readonly existingRows: number
  readonly deletedRows: number
  readonly partitions: ReadonlyArray<FieldSummary> | null
  readonly keyMetadata: Uint8Array | null
}

const bytesOf = (bytes: Uint8Array | null) => (bytes === null ? null : Avro.bytes(bytes))

const toAvro = (manifest: ManifestFile) => ({
  manifest_path: manifest.path,
  manifest_length: manifest.length,
  partition_spec_id: manifest.specId,
  content: manifest.content === "data" ? 0 : 1,
  sequence_number: manifest.sequenceNumber,
  min_sequence_number: manifest.minSequenceNumber,
  added_snapshot_id: manifest.addedSnapshotId,
  added_files_count: manifest.addedFiles,
  existing_files_count: manifest.existingFiles,
  deleted_files_count: manifest.deletedFiles,
  added_rows_count: manifest.addedRows,
  existing_rows_count: manifest.existingRows,
  deleted_rows_count: manifest.deletedRows,
  partitions:
    manifest.partitions?.map((summary) => ({
      contains_null: summary.containsNull,
      contains_nan: summary.containsNan,
      lower_bound: bytesOf(summary.lower),
      upper_bound: bytesOf(summary.upper)
    })) ?? null,
  key_metadata: bytesOf(manifest.keyMetadata)
})

const summaryOf = (value: unknown): FieldSummary => {
  const raw = value as Record.Raw
  const nan = raw["contains_nan"]
  return {
    containsNull: Record.boolean(raw, "contains_null"),
    containsNan: typeof nan === "boolean" ? nan : null,
    lower: Record.bytesOrNull(raw, "lower_bound"),
    upper: Record.bytesOrNull(raw, "upper_bound")
  }
}

/** A count that format version 1 named otherwise. */
const countOf = (raw: Record.Raw, name: string, old: string): number =>
  raw[name] === undefined ? Record.integer(raw, old) : Record.integer(raw, name)

const fromAvro = (raw: Record.Raw): ManifestFile => ({
  path: Record.string(raw, "manifest_path"),
  length: Record.integer(raw, "manifest_length"),
  specId: Record.integer(raw, "partition_spec_id"),
  content: Record.integerOr(raw, "content", 0) === 0 ? "data" : "deletes",
  sequenceNumber: Record.integerOr(raw, "sequence_number", 0),
  minSequenceNumber: Record.integerOr(raw, "min_sequence_number", 0),
  addedSnapshotId: Record.idOr(raw, "added_snapshot_id", 0),
  addedFiles: countOf(raw, "added_files_count", "added_data_files_count"),
  existingFiles: countOf(raw, "existing_files_count", "existing_data_files_count"),
  deletedFiles: countOf(raw, "deleted_files_count", "deleted_data_files_count"),
  addedRows: Record.integer(raw, "added_rows_count"),
  existingRows: Record.integer(raw, "existing_rows_count"),
  deletedRows: Record.integer(raw, "deleted_rows_count"),
  partitions: Record.arrayOrNull(raw, "partitions")?.map(summaryOf) ?? null,
  keyMetadata: Record.bytesOrNull(raw, "key_metadata")
})

/** A manifest list's bytes. `sync` is 16 random bytes. */
export const write = (options: {
  readonly snapshotId: SnapshotId
  readonly parentId: SnapshotId | undefined
  readonly sequenceNumber: number
  readonly manifests: ReadonlyArray<ManifestFile>
  readonly sync: Uint8Array
}): Uint8Array =>
  Avro.encode(
    manifestFileSchema,
    {
      "snapshot-id": `${options.snapshotId}`,
      "parent-snapshot-id": `${options.parentId ?? "null"}`,
      "sequence-number": `${options.sequenceNumber}`,
      "format-version": "2"
    },
    options.manifests.map(toAvro),
    options.sync
  )

/** Reads a manifest list, in the file's order. Fails with `Corrupt` or `UnsupportedFormat`, which name `file`. */
export const read = (bytes: Uint8Array, file: string): Result.Result<ReadonlyArray<ManifestFile>, IcebergError> =>
  Result.try({
    try: () => Avro.decode(bytes).records.map(fromAvro),
    catch: (cause) =>
      cause instanceof Avro.UnsupportedAvro
        ? unsupported(file, cause.message)
        : corrupt(file, cause instanceof Error ? cause.message : String(cause))
  })
