/** The Avro schemas of manifests and manifest lists, with Iceberg's field ids. */
import type { ColumnType } from "../Field.ts"
import type { PartitionSpec } from "../PartitionSpec.ts"
import type { AvroSchema } from "./Avro.ts"

const required = (name: string, id: number, type: AvroSchema) => ({ name, type, "field-id": id })
const optional = (name: string, id: number, type: AvroSchema) => ({
  name,
  type: ["null", type],
  default: null,
  "field-id": id
})

/** A map with integer keys: Avro's own maps have only strings. */
const map = (key: number, value: number, type: AvroSchema): AvroSchema => ({
  type: "array",
  logicalType: "map",
  items: {
    type: "record",
    name: `k${key}_v${value}`,
    fields: [required("key", key, "int"), required("value", value, type)]
  }
})

const partitionType = (type: ColumnType): AvroSchema => {
  switch (type.kind) {
    case "date":
      return { type: "int", logicalType: "date" }
    case "timestamptz":
      return { type: "long", logicalType: "timestamp-micros", "adjust-to-utc": true }
    default:
      return type.kind
  }
}

/** A name that Avro allows; Iceberg's readers go by the field id. */
const sanitised = (name: string): string =>
  name
    .replace(/[^A-Za-z0-9_]/gu, (char) => `_x${char.codePointAt(0)!.toString(16).toUpperCase()}`)
    .replace(/^(?=\d)/, "_")

/** The schema of a manifest's entries, and the Avro names of the partition's fields, in order. */
export const entrySchema = (
  spec: PartitionSpec
): { readonly schema: AvroSchema; readonly names: ReadonlyArray<string> } => {
  const names = spec.fields.map((field) => sanitised(field.name))
  const partition: AvroSchema = {
    type: "record",
    name: "r102",
    fields: spec.fields.map((field, i) => optional(names[i]!, field.fieldId, partitionType(field.type)))
  }
  const file: AvroSchema = {
    type: "record",
    name: "r2",
    fields: [
      required("content", 134, "int"),
      required("file_path", 100, "string"),
      required("file_format", 101, "string"),
      required("partition", 102, partition),
      required("record_count", 103, "long"),
      required("file_size_in_bytes", 104, "long"),
      optional("column_sizes", 108, map(117, 118, "long")),
      optional("value_counts", 109, map(119, 120, "long")),
      optional("null_value_counts", 110, map(121, 122, "long")),
      optional("nan_value_counts", 137, map(138, 139, "long")),
      optional("lower_bounds", 125, map(126, 127, "bytes")),
      optional("upper_bounds", 128, map(129, 130, "bytes")),
      optional("key_metadata", 131, "bytes"),
      optional("split_offsets", 132, { type: "array", items: "long", "element-id": 133 }),
      optional("equality_ids", 135, { type: "array", items: "int", "element-id": 136 }),
      optional("sort_order_id", 140, "int")
    ]
  }
  const schema: AvroSchema = {
    type: "record",
    name: "manifest_entry",
    fields: [
      required("status", 0, "int"),
      optional("snapshot_id", 1, "long"),
      optional("sequence_number", 3, "long"),
      optional("file_sequence_number", 4, "long"),
      required("data_file", 2, file)
    ]
  }
  return { schema, names }
}

const fieldSummary: AvroSchema = {
  type: "record",
  name: "r508",
  fields: [
    required("contains_null", 509, "boolean"),
    optional("contains_nan", 518, "boolean"),
    optional("lower_bound", 510, "bytes"),
    optional("upper_bound", 511, "bytes")
  ]
}

/** The schema of a manifest list. */
export const manifestFileSchema: AvroSchema = {
  type: "record",
  name: "manifest_file",
  fields: [
    required("manifest_path", 500, "string"),
    required("manifest_length", 501, "long"),
    required("partition_spec_id", 502, "int"),
    required("content", 517, "int"),
    required("sequence_number", 515, "long"),
    required("min_sequence_number", 516, "long"),
    required("added_snapshot_id", 503, "long"),
    required("added_files_count", 504, "int"),
    required("existing_files_count", 505, "int"),
    required("deleted_files_count", 506, "int"),
    required("added_rows_count", 512, "long"),
    required("existing_rows_count", 513, "long"),
    required("deleted_rows_count", 514, "long"),
    optional("partitions", 507, { type: "array", items: fieldSummary, "element-id": 508 }),
    optional("key_metadata", 519, "bytes")
  ]
}
