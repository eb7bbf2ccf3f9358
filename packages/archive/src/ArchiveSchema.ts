/**
 * The columns of a topic's archive: the declared fields of its values, then what every record has.
 *
 * | column | type | what |
 * | --- | --- | --- |
 * | `__partition`, `__offset` | int, long | the record's coordinates |
 * | `__timestamp`, `__timestamp_type` | timestamptz, int | as the log has them; 0 is the producer's time |
 * | `__key`, `__headers` | binary, list of key and value | as the log has them |
 * | `__arrived` | timestamptz | the archiver's clock: one value a file, monotone per partition |
 * | `__kind` | string | `decoded`, `raw` (its declared columns are null: the value isn't valid for the schema), `tombstone` |
 * | `__value` | binary | the exact bytes |
 *
 * Declared columns may be null in the table whatever the schema says, since records that don't decode are there too.
 */
import type { Column, ColumnBatch, Header, RecordBatch } from "@headrace/core/Batch"
import { emptyColumn, Kind } from "@headrace/core/Batch"
import type { ColumnType, TopicSchema } from "@headrace/core/TopicSchema"
import type { Field, ColumnType as TableType } from "@headrace/iceberg/Field"
import type { PartitionBy } from "@headrace/iceberg/PartitionSpec"
import type * as ColumnWriter from "@headrace/parquet/ColumnWriter"

/** Values of `__kind`, by `Kind`. */
export const kinds = ["decoded", "raw", "tombstone"] as const

/** Key of the Parquet file metadata that holds the fingerprint of the schema that a file was decoded by. */
export const fingerprintKey = "headrace.schema"

const typeOf = (type: ColumnType): TableType => {
  switch (type.kind) {
    case "integer":
      return { kind: "long" }
    case "instant":
      return { kind: "timestamptz" }
    case "decimal":
      return { kind: "decimal", precision: 18, scale: type.scale }
    case "double":
    case "string":
    case "boolean":
    case "date":
      return { kind: type.kind }
  }
}

const required = (name: string, type: TableType): Field => ({ name, type, required: true })
const optional = (name: string, type: TableType): Field => ({ name, type, required: false })

/** The table's columns, without ids: the table gives those. */
export const fields = (schema: TopicSchema): ReadonlyArray<Field> => [
  ...schema.columns.map((c) => optional(c.name, typeOf(c.type))),
  required("__partition", { kind: "int" }),
  required("__offset", { kind: "long" }),
  required("__timestamp", { kind: "timestamptz" }),
  required("__timestamp_type", { kind: "int" }),
  optional("__key", { kind: "binary" }),
  optional("__headers", {
    kind: "list",
    element: [required("key", { kind: "string" }), optional("value", { kind: "binary" })]
  }),
  required("__arrived", { kind: "timestamptz" }),
  required("__kind", { kind: "string" }),
  optional("__value", { kind: "binary" })
]

/** By source partition, then by day of arrival; never by event time, so that late records open no small files. */
export const partitionBy: ReadonlyArray<PartitionBy> = [
  { column: "__partition", transform: "identity" },
  { column: "__arrived", transform: "day" }
]

/** Declared values of a batch, null where its records didn't decode. */
const withNulls = (column: Column, kinds: Uint8Array | undefined): Column => {
  if (kinds === undefined) return column
  const out: Array<unknown> = Array.from(column as ArrayLike<unknown>)
  for (let i = 0; i < kinds.length; i++) if (kinds[i] !== Kind.decoded) out[i] = null
  return out
}

/** The archive's columns of a batch. Keys and values are ranges of the batch's own bytes. */
export const toColumns = (
  schema: TopicSchema,
  batch: RecordBatch,
  decoded: ColumnBatch,
  arrived: number
): ColumnWriter.Columns => {
  const n = batch.count
  const constant = (value: number) => new Float64Array(n).fill(value)
  const headers = emptyColumn<ReadonlyArray<Header> | null>(n).fill(null)
  const names = emptyColumn<string>(n).fill(kinds[Kind.decoded]!)
  if (batch.headers !== undefined) for (let i = 0; i < n; i++) headers[i] = batch.headers[i]!
  if (decoded.kinds !== undefined) for (let i = 0; i < n; i++) names[i] = kinds[decoded.kinds[i]!]!
  const columns: Record<string, ColumnWriter.Columns[string]> = {
    __partition: constant(batch.partition),
    __offset: decoded.offsets,
    __timestamp: batch.timestamps,
    __timestamp_type: constant(0),
    __key: { bytes: batch.bytes, ranges: batch.keys },
    __headers: headers,
    __arrived: constant(arrived),
    __kind: names,
    __value: { bytes: batch.bytes, ranges: batch.values }
  }
  for (const { name } of schema.columns) columns[name] = withNulls(decoded.columns[name]!, decoded.kinds)
  return columns
}
