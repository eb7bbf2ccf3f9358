/**
 * Table metadata of format version 2, as its JSON is: names with dashes, unknown members kept. Pure.
 *
 * Ids of snapshots are numbers, or bigints where another writer drew one beyond 2⁵³; both compare with `===`. Ids drawn here stay below 2⁵³.
 */
import * as Random from "effect/Random"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { corrupt, type IcebergError, unsupported } from "./IcebergError.ts"
import * as Json from "./internal/Json.ts"

const Id = Schema.Union([Schema.Int, Schema.BigInt])
/** A snapshot's id. */
export type SnapshotId = typeof Id.Type

const optionalNull = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const SchemaJson = Schema.Struct({
  type: Schema.Literal("struct"),
  "schema-id": Schema.Int,
  fields: Schema.Array(
    Schema.Struct({ id: Schema.Int, name: Schema.String, required: Schema.Boolean, type: Schema.Unknown })
  )
})
/** A schema as its JSON is; `Schema.toFields` reads it. */
export type SchemaJson = typeof SchemaJson.Type

const PartitionFieldJson = Schema.Struct({
  "source-id": Schema.Int,
  "field-id": Schema.Int,
  name: Schema.String,
  transform: Schema.String
})
const PartitionSpecJson = Schema.Struct({ "spec-id": Schema.Int, fields: Schema.Array(PartitionFieldJson) })
/** A partition spec as its JSON is; `PartitionSpec.parse` reads it. */
export type PartitionSpecJson = typeof PartitionSpecJson.Type

const Snapshot = Schema.Struct({
  "snapshot-id": Id,
  "parent-snapshot-id": optionalNull(Id),
  "sequence-number": Schema.Int,
  "timestamp-ms": Schema.Int,
  "manifest-list": Schema.String,
  summary: Schema.Record(Schema.String, Schema.String),
  "schema-id": optionalNull(Schema.Int)
})
/** A state of the table. `timestamp-ms` in epoch milliseconds; `manifest-list` is a full path. */
export type Snapshot = typeof Snapshot.Type

const Ref = Schema.Struct({ "snapshot-id": Id, type: Schema.String })

const TableMetadata = Schema.Struct({
  "format-version": Schema.Literal(2),
  "table-uuid": Schema.String,
  location: Schema.String,
  "last-sequence-number": Schema.Int,
  "last-updated-ms": Schema.Int,
  "last-column-id": Schema.Int,
  "current-schema-id": Schema.Int,
  schemas: Schema.Array(SchemaJson),
  "default-spec-id": Schema.Int,
  "partition-specs": Schema.Array(PartitionSpecJson),
  "last-partition-id": Schema.Int,
  "default-sort-order-id": Schema.Int,
  "sort-orders": Schema.Array(Schema.Unknown),
  properties: optionalNull(Schema.Record(Schema.String, Schema.String)),
  "current-snapshot-id": optionalNull(Id),
  snapshots: optionalNull(Schema.Array(Snapshot)),
  "snapshot-log": optionalNull(Schema.Array(Schema.Struct({ "snapshot-id": Id, "timestamp-ms": Schema.Int }))),
  "metadata-log": optionalNull(
    Schema.Array(Schema.Struct({ "metadata-file": Schema.String, "timestamp-ms": Schema.Int }))
  ),
  refs: optionalNull(Schema.Record(Schema.String, Ref))
})
/** The metadata of a table. Members that this package doesn't know are there too, and are written back. */
export type TableMetadata = typeof TableMetadata.Type

const validate = Schema.decodeUnknownResult(TableMetadata)

/** Reads a metadata file. Fails with `Corrupt` or `UnsupportedFormat`, which name `file`. */
export const parse = (bytes: Uint8Array, file: string): Result.Result<TableMetadata, IcebergError> => {
  const json = Result.try({
    try: () => Json.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
    catch: (cause) => corrupt(file, `it isn't JSON (${cause instanceof Error ? cause.message : String(cause)})`)
  })
  if (Result.isFailure(json)) return Result.fail(json.failure)
  const version =
    typeof json.success === "object" && json.success !== null && "format-version" in json.success
      ? json.success["format-version"]
      : undefined
  if (typeof version === "number" && version !== 2) return Result.fail(unsupported(file, `format version ${version}`))
  const checked = validate(json.success)
  if (Result.isFailure(checked)) return Result.fail(corrupt(file, checked.failure.message))
  // Decoding has no transformations, so the JSON itself is the value, unknown members and all.
  const metadata = json.success as TableMetadata
  const problem = dangling(metadata)
  return problem === undefined ? Result.succeed(metadata) : Result.fail(corrupt(file, problem))
}

const dangling = (metadata: TableMetadata): string | undefined => {
  const id = currentId(metadata)
  if (id !== undefined && snapshot(metadata, id) === undefined) return `its current snapshot ${id} isn't in it`
  if (!metadata.schemas.some((schema) => schema["schema-id"] === metadata["current-schema-id"]))
    return `its current schema ${metadata["current-schema-id"]} isn't in it`
  if (!metadata["partition-specs"].some((spec) => spec["spec-id"] === metadata["default-spec-id"]))
    return `its default partition spec ${metadata["default-spec-id"]} isn't in it`
  return undefined
}

/** The bytes of a metadata file. */
export const print = (metadata: TableMetadata): Uint8Array => new TextEncoder().encode(Json.print(metadata))

/** The id of the current snapshot; −1, null and absence all mean none. */
export const currentId = (metadata: TableMetadata): SnapshotId | undefined => {
  const id = metadata["current-snapshot-id"]
  return id === undefined || id === null || id === -1 ? undefined : id
}

/** A snapshot by id. */
export const snapshot = (metadata: TableMetadata, id: SnapshotId): Snapshot | undefined =>
  (metadata.snapshots ?? []).find((candidate) => candidate["snapshot-id"] === id)

/** The current snapshot, or `undefined` for a table that never had one. */
export const currentSnapshot = (metadata: TableMetadata): Snapshot | undefined => {
  const id = currentId(metadata)
  return id === undefined ? undefined : snapshot(metadata, id)
}

/** A table property. */
export const property = (metadata: TableMetadata, key: string): string | undefined => metadata.properties?.[key]

/** The current schema. */
export const currentSchema = (metadata: TableMetadata): SchemaJson =>
  metadata.schemas.find((schema) => schema["schema-id"] === metadata["current-schema-id"])!

/** The partition spec that new files are written with. */
export const defaultSpec = (metadata: TableMetadata): PartitionSpecJson =>
  metadata["partition-specs"].find((spec) => spec["spec-id"] === metadata["default-spec-id"])!

/** Entries that a metadata log keeps; older ones are dropped (the files stay). */
export const metadataLogLimit = 100

/** The metadata after a snapshot on `main` and properties were set in one step. `previousFile` is the full path of the file it follows. */
export const withSnapshot = (
  metadata: TableMetadata,
  added: Snapshot,
  properties: Readonly<Record<string, string>>,
  previousFile: string
): TableMetadata => {
  const id = added["snapshot-id"]
  const at = added["timestamp-ms"]
  const main = metadata.refs?.["main"]
  const next = {
    ...metadata,
    "last-sequence-number": added["sequence-number"],
    properties: { ...metadata.properties, ...properties },
    "current-snapshot-id": id,
    snapshots: [...(metadata.snapshots ?? []), added],
    "snapshot-log": [...(metadata["snapshot-log"] ?? []), { "snapshot-id": id, "timestamp-ms": at }],
    refs: { ...metadata.refs, main: { ...main, type: "branch", "snapshot-id": id } }
  }
  return changed(next, metadata, at, previousFile)
}

/** Marks changed metadata with its time, and with the file that it follows. */
export const changed = (
  next: TableMetadata,
  before: TableMetadata,
  at: number,
  previousFile: string
): TableMetadata => {
  const entry = { "metadata-file": previousFile, "timestamp-ms": before["last-updated-ms"] }
  const log = [...(before["metadata-log"] ?? []), entry].slice(-metadataLogLimit)
  return { ...next, "last-updated-ms": at, "metadata-log": log }
}

/** A snapshot id that the table doesn't hold, below 2⁵³. */
export const drawSnapshotId = (metadata: TableMetadata): Effect.Effect<number> =>
  Effect.repeat(Random.nextIntBetween(1, Number.MAX_SAFE_INTEGER), {
    until: (id) => snapshot(metadata, id) === undefined
  })
