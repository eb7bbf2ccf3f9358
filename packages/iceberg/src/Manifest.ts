/** Manifests: the data files of a snapshot, with their partitions and column statistics, as Avro. Pure. */
import * as Result from "effect/Result"
import * as Bounds from "./Bounds.ts"
import type { ColumnType } from "./Field.ts"
import { corrupt, type IcebergError, unsupported } from "./IcebergError.ts"
import * as Avro from "./internal/Avro.ts"
import { entrySchema } from "./internal/avroSchemas.ts"
import * as Record from "./internal/Record.ts"
import type { PartitionSpecJson, SchemaJson, SnapshotId } from "./Metadata.ts"
import type { FieldSummary, ManifestFile } from "./ManifestList.ts"
import type { Partition, PartitionSpec, PartitionValue } from "./PartitionSpec.ts"

/** A data file. `path` is full; sizes in bytes; the maps are by field id, bounds in Iceberg's binary form (see `Bounds`). */
export interface DataFile {
  readonly path: string
  readonly format: string
  readonly partition: Partition
  readonly recordCount: number
  readonly fileSize: number
  readonly columnSizes: ReadonlyMap<number, number>
  readonly valueCounts: ReadonlyMap<number, number>
  readonly nullValueCounts: ReadonlyMap<number, number>
  readonly nanValueCounts: ReadonlyMap<number, number>
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>
  readonly upperBounds: ReadonlyMap<number, Uint8Array>
  readonly splitOffsets: ReadonlyArray<number>
  readonly sortOrderId: number | null
  readonly keyMetadata: Uint8Array | null
}

/** What a snapshot did to a file: it was there before, it came, or it went. */
export type Status = "existing" | "added" | "deleted"
const statuses: ReadonlyArray<Status> = ["existing", "added", "deleted"]

/** A file in a manifest. `null` sequence numbers are inherited from the manifest when it is committed; entries that were read have none. */
export interface Entry {
  readonly status: Status
  readonly snapshotId: SnapshotId
  readonly sequenceNumber: number | null
  readonly fileSequenceNumber: number | null
  readonly file: DataFile
}

/** An entry as it was read: its sequence numbers are known. */
export interface ReadEntry extends Entry {
  readonly sequenceNumber: number
  readonly fileSequenceNumber: number
}

/** A manifest's bytes, and what a manifest list says of it. */
export interface Written {
  readonly bytes: Uint8Array
  readonly counts: Pick<
    ManifestFile,
    "addedFiles" | "addedRows" | "existingFiles" | "existingRows" | "deletedFiles" | "deletedRows"
  >
  readonly partitions: ReadonlyArray<FieldSummary>
}

const pairs = <A, B>(map: ReadonlyMap<number, A>, value: (a: A) => B) =>
  map.size === 0 ? null : [...map].map(([key, a]) => ({ key, value: value(a) }))
const same = (n: number) => n

const partitionToAvro = (type: ColumnType, value: PartitionValue | undefined): unknown =>
  type.kind === "timestamptz" && typeof value === "number" ? value * 1000 : (value ?? null)

const partitionFromAvro = (type: ColumnType, value: unknown): PartitionValue => {
  if (value === null || value === undefined) return null
  if (type.kind === "timestamptz") return Number(value) / 1000
  if (typeof value === "object") throw new Error("a partition value is of another type")
  return value as PartitionValue
}

const entryToAvro = (spec: PartitionSpec, names: ReadonlyArray<string>, { file, ...entry }: Entry) => ({
  status: statuses.indexOf(entry.status),
  snapshot_id: entry.snapshotId,
  sequence_number: entry.sequenceNumber,
  file_sequence_number: entry.fileSequenceNumber,
  data_file: {
    content: 0,
    file_path: file.path,
    file_format: file.format,
    partition: Object.fromEntries(
      spec.fields.map((field, i) => [names[i]!, partitionToAvro(field.type, file.partition[field.name])])
    ),
    record_count: file.recordCount,
    file_size_in_bytes: file.fileSize,
    column_sizes: pairs(file.columnSizes, same),
    value_counts: pairs(file.valueCounts, same),
    null_value_counts: pairs(file.nullValueCounts, same),
    nan_value_counts: pairs(file.nanValueCounts, same),
    lower_bounds: pairs(file.lowerBounds, Avro.bytes),
    upper_bounds: pairs(file.upperBounds, Avro.bytes),
    key_metadata: file.keyMetadata === null ? null : Avro.bytes(file.keyMetadata),
    split_offsets: file.splitOffsets.length === 0 ? null : file.splitOffsets,
    equality_ids: null,
    sort_order_id: file.sortOrderId
  }
})

/** The least and greatest value of each partition field over some entries. */
const summarise = (spec: PartitionSpec, entries: ReadonlyArray<Entry>): ReadonlyArray<FieldSummary> =>
  spec.fields.map(({ name, type }) => {
    const values = entries.map((entry) => entry.file.partition[name] ?? null)
    const present = values.filter((value) => value !== null).sort(Bounds.compare)
    const bound = (value: PartitionValue | undefined, side: Bounds.Side) =>
      value === undefined || value === null ? null : (Bounds.encode(type, value, side) ?? null)
    return {
      containsNull: present.length < values.length,
      containsNan: null,
      lower: bound(present[0], "lower"),
      upper: bound(present.at(-1), "upper")
    }
  })

const count = (entries: ReadonlyArray<Entry>, status: Status): readonly [files: number, rows: number] => {
  const some = entries.filter((entry) => entry.status === status)
  return [some.length, some.reduce((rows, entry) => rows + entry.file.recordCount, 0)]
}

/** A manifest of data files, all of one spec. `sync` is 16 random bytes. */
export const write = (options: {
  readonly schema: SchemaJson
  readonly spec: PartitionSpec
  readonly specJson: PartitionSpecJson
  readonly entries: ReadonlyArray<Entry>
  readonly sync: Uint8Array
}): Written => {
  const { entries, schema, spec, specJson } = options
  const metadata = {
    schema: JSON.stringify(schema),
    "schema-id": `${schema["schema-id"]}`,
    "partition-spec": JSON.stringify(specJson.fields),
    "partition-spec-id": `${spec.specId}`,
    "format-version": "2",
    content: "data"
  }
  const { names, schema: avroSchema } = entrySchema(spec)
  const records = entries.map((entry) => entryToAvro(spec, names, entry))
  const [addedFiles, addedRows] = count(entries, "added")
  const [existingFiles, existingRows] = count(entries, "existing")
  const [deletedFiles, deletedRows] = count(entries, "deleted")
  return {
    bytes: Avro.encode(avroSchema, metadata, records, options.sync),
    counts: { addedFiles, addedRows, existingFiles, existingRows, deletedFiles, deletedRows },
    partitions: summarise(spec, entries)
  }
}

/** Avro names of the partition record's fields, by Iceberg field id: a writer may have sanitised or renamed them. */
const partitionNames = (schema: unknown): ReadonlyMap<number, string> => {
  const fieldsOf = (type: unknown): ReadonlyArray<Record.Raw> => {
    const fields = (type as Record.Raw | null)?.["fields"]
    return Array.isArray(fields) ? fields : []
  }
  const typeOf = (type: unknown, field: string) =>
    fieldsOf(type).find((candidate) => candidate["name"] === field)?.["type"]
  const partition = typeOf(typeOf(schema, "data_file"), "partition")
  return new Map(
    fieldsOf(partition).flatMap((field) =>
      typeof field["field-id"] === "number" ? [[field["field-id"], String(field["name"])] as const] : []
    )
  )
}

const readEntry = (
  raw: Record.Raw,
  spec: PartitionSpec,
  names: ReadonlyMap<number, string>,
  from: ManifestFile
): ReadEntry => {
  const status = statuses[Record.integer(raw, "status")]
  if (status === undefined) throw new Error("an entry has an unknown status")
  const file = Record.record(raw, "data_file")
  if (Record.integerOr(file, "content", 0) !== 0) throw new Avro.UnsupportedAvro("delete files")
  const partition = Record.record(file, "partition")
  const sequence = (field: string) => {
    const own = Record.integerOr(raw, field, null)
    if (own !== null) return own
    if (status !== "added" && from.sequenceNumber !== 0) throw new Error(`an entry that wasn't added has no ${field}`)
    return from.sequenceNumber
  }
  return {
    status,
    snapshotId: Record.idOr(raw, "snapshot_id", from.addedSnapshotId),
    sequenceNumber: sequence("sequence_number"),
    fileSequenceNumber: sequence("file_sequence_number"),
    file: {
      path: Record.string(file, "file_path"),
      format: Record.string(file, "file_format"),
      partition: Object.fromEntries(
        spec.fields.map(({ fieldId, name, type }) => [
          name,
          partitionFromAvro(type, partition[names.get(fieldId) ?? name])
        ])
      ),
      recordCount: Record.integer(file, "record_count"),
      fileSize: Record.integer(file, "file_size_in_bytes"),
      columnSizes: Record.entries(file, "column_sizes", Record.integer),
      valueCounts: Record.entries(file, "value_counts", Record.integer),
      nullValueCounts: Record.entries(file, "null_value_counts", Record.integer),
      nanValueCounts: Record.entries(file, "nan_value_counts", Record.integer),
      lowerBounds: Record.entries(file, "lower_bounds", bytesOf),
      upperBounds: Record.entries(file, "upper_bounds", bytesOf),
      splitOffsets: (Record.arrayOrNull(file, "split_offsets") ?? []).map(Number),
      sortOrderId: Record.integerOr(file, "sort_order_id", null),
      keyMetadata: Record.bytesOrNull(file, "key_metadata")
    }
  }
}

const bytesOf = (raw: Record.Raw, field: string): Uint8Array => Record.bytesOrNull(raw, field) ?? new Uint8Array()

/**
 * Reads a manifest. Entries come in the file's order, with the sequence numbers and snapshot ids that they inherit from `from`. Fails with
 * `Corrupt` or `UnsupportedFormat` (delete files, another compression), which name the file.
 */
export const read = (
  bytes: Uint8Array,
  from: ManifestFile,
  spec: PartitionSpec
): Result.Result<ReadonlyArray<ReadEntry>, IcebergError> =>
  Result.try({
    try: () => {
      if (bytes.length !== from.length) throw new Error(`it has ${bytes.length} bytes instead of ${from.length}`)
      const { records, schema } = Avro.decode(bytes)
      const names = partitionNames(schema)
      return records.map((record) => readEntry(record, spec, names, from))
    },
    catch: (cause) =>
      cause instanceof Avro.UnsupportedAvro
        ? unsupported(from.path, cause.message)
        : corrupt(from.path, cause instanceof Error ? cause.message : String(cause))
  })
