/** Data files on their way into a table: what the writer says of them, as a manifest's entry. Pure. */
import * as Result from "effect/Result"
import * as Bounds from "./Bounds.ts"
import type { Field, FileSummary } from "./Field.ts"
import { type IcebergError, invalid } from "./IcebergError.ts"
import type { DataFile } from "./Manifest.ts"
import { accepts, type Partition, type PartitionSpec } from "./PartitionSpec.ts"

/** A data file that is in the store already. `key` is relative to the table (`data/….parquet`); `partition` has every field of the spec. */
export interface NewFile {
  readonly key: string
  readonly partition: Partition
  readonly summary: FileSummary
}

/** Leaf columns by id, and whether they are inside a list, where Iceberg has no bounds. */
const leaves = (fields: Iterable<Field>, repeated = false): ReadonlyArray<readonly [number, Field, boolean]> =>
  [...fields].flatMap((field) =>
    field.type.kind === "list" ? leaves(field.type.element, true) : [[field.fieldId!, field, repeated] as const]
  )

const count = (n: number): boolean => Number.isSafeInteger(n) && n >= 0

/** The manifest's view of a new file. Fails with `InvalidInput`, which names the file. `path` is full. */
export const toDataFile = (
  file: NewFile,
  path: string,
  spec: PartitionSpec,
  columns: Iterable<Field>
): Result.Result<DataFile, IcebergError> => {
  const { key, partition, summary } = file
  if (/^\/|\/$|\/\/|(^|\/)\.\.?(\/|$)/.test(key) || key === "")
    return Result.fail(invalid(`"${key}" is no key relative to the table`))
  for (const field of spec.fields) {
    if (!accepts(field, partition[field.name]))
      return Result.fail(invalid(`the partition value "${field.name}" of ${key} is no ${field.type.kind} or null`))
  }
  if (Object.keys(partition).length !== spec.fields.length)
    return Result.fail(invalid(`the partition of ${key} has values for fields that the spec hasn't got`))
  if (!count(summary.fileSize) || !count(summary.rowCount))
    return Result.fail(invalid(`${key} has no valid size or row count`))
  const known = new Map(leaves(columns).map(([id, field, repeated]) => [id, { field, repeated }]))
  const columnSizes = new Map<number, number>()
  const valueCounts = new Map<number, number>()
  const nullValueCounts = new Map<number, number>()
  const lowerBounds = new Map<number, Uint8Array>()
  const upperBounds = new Map<number, Uint8Array>()
  for (const column of summary.columns) {
    const leaf = column.fieldId === undefined ? undefined : known.get(column.fieldId)
    if (leaf === undefined) continue
    const id = leaf.field.fieldId!
    columnSizes.set(id, column.compressedSize)
    valueCounts.set(id, column.valueCount)
    nullValueCounts.set(id, column.nullCount)
    if (leaf.repeated) continue
    const bound = (value: typeof column.min, side: Bounds.Side) =>
      value === undefined || value === null ? undefined : Bounds.encode(leaf.field.type, value, side)
    const lower = bound(column.min, "lower")
    const upper = bound(column.max, "upper")
    if (lower !== undefined) lowerBounds.set(id, lower)
    if (upper !== undefined) upperBounds.set(id, upper)
  }
  return Result.succeed({
    path,
    format: "PARQUET",
    partition,
    recordCount: summary.rowCount,
    fileSize: summary.fileSize,
    columnSizes,
    valueCounts,
    nullValueCounts,
    nanValueCounts: new Map(),
    lowerBounds,
    upperBounds,
    splitOffsets: summary.splitOffsets,
    sortOrderId: 0,
    keyMetadata: null
  })
}
