/** Partition specs with the transforms `identity` and `day`. Pure. */
import * as Result from "effect/Result"
import type { ColumnType, Field } from "./Field.ts"
import { type IcebergError, invalid, unsupported } from "./IcebergError.ts"
import type { PartitionSpecJson } from "./Metadata.ts"

/** A partition's value: null for a null column, else as the column in memory; for `day`, days since 1970. */
export type PartitionValue = null | boolean | number | bigint | string
/** A file's partition, by the name of the partition field. */
export type Partition = Readonly<Record<string, PartitionValue>>

/** How a new table is partitioned by a column. `name` defaults to the column's for identity, and `<column>_day` for day. */
export interface PartitionBy {
  readonly column: string
  readonly transform: "identity" | "day"
  readonly name?: string
}

/** A field of a spec: `type` is that of its value (a date for `day`), `fieldId` its own id, `sourceId` the column's. */
export interface PartitionField {
  readonly name: string
  readonly transform: "identity" | "day"
  readonly sourceId: number
  readonly fieldId: number
  readonly type: ColumnType
}
/** A spec that this package can read and write. */
export interface PartitionSpec {
  readonly specId: number
  readonly fields: ReadonlyArray<PartitionField>
}

const millisPerDay = 86_400_000
const identities: ReadonlySet<string> = new Set(["boolean", "int", "long", "string", "date", "timestamptz"])

const typeOf = (transform: string, source: ColumnType): ColumnType | undefined => {
  if (transform === "identity") return identities.has(source.kind) ? source : undefined
  if (transform === "day") return source.kind === "timestamptz" || source.kind === "date" ? { kind: "date" } : undefined
  return undefined
}

/** A new table's spec. Fails with `InvalidInput` on an unknown column, a doubled name or a type that can't be partitioned by. */
export const make = (
  by: ReadonlyArray<PartitionBy>,
  fields: ReadonlyArray<Field>
): Result.Result<PartitionSpecJson, IcebergError> => {
  const out: Array<PartitionSpecJson["fields"][number]> = []
  for (const { column, name, transform } of by) {
    const field = fields.find((candidate) => candidate.name === column)
    if (field === undefined) return Result.fail(invalid(`the table has no column "${column}" to partition by`))
    if (typeOf(transform, field.type) === undefined)
      return Result.fail(invalid(`${transform}("${column}") isn't possible for a ${field.type.kind} column`))
    const own = name ?? (transform === "identity" ? column : `${column}_day`)
    const clash = fields.some((candidate) => candidate.name === own && (transform !== "identity" || own !== column))
    if (clash || out.some((other) => other.name === own))
      return Result.fail(invalid(`the partition field name "${own}" is taken; give it a name of its own`))
    out.push({ "source-id": field.fieldId!, "field-id": 1000 + out.length, name: own, transform })
  }
  return Result.succeed({ "spec-id": 0, fields: out })
}

/** Reads a spec. Fails with `UnsupportedFormat` on another transform, or on a column that isn't known. */
export const parse = (
  json: PartitionSpecJson,
  columns: ReadonlyMap<number, Field>,
  file = "the table's partition spec"
): Result.Result<PartitionSpec, IcebergError> => {
  const fields: Array<PartitionField> = []
  for (const { "field-id": fieldId, "source-id": sourceId, name, transform } of json.fields) {
    const source = columns.get(sourceId)
    const type = source === undefined ? undefined : typeOf(transform, source.type)
    if (type === undefined)
      return Result.fail(unsupported(file, `the partition field ${transform}(${source?.name ?? sourceId})`))
    fields.push({ name, transform: transform === "day" ? "day" : "identity", sourceId, fieldId, type })
  }
  return Result.succeed({ specId: json["spec-id"], fields })
}

/** Days since 1970 of an instant in epoch milliseconds. */
export const day = (millis: number): number => Math.floor(millis / millisPerDay)

/** The partition value of a column's value. */
export const apply = (field: PartitionField, source: ColumnType, value: PartitionValue): PartitionValue =>
  field.transform === "day" && source.kind === "timestamptz" && typeof value === "number" ? day(value) : value

/** The least and greatest column value that can be in a partition; milliseconds where the column is a timestamptz. */
export const range = (
  field: PartitionField,
  source: ColumnType,
  value: Exclude<PartitionValue, null>
): readonly [lower: Exclude<PartitionValue, null>, upper: Exclude<PartitionValue, null>] =>
  field.transform === "day" && source.kind === "timestamptz"
    ? [Number(value) * millisPerDay, (Number(value) + 1) * millisPerDay - 1]
    : [value, value]

/** Whether a value can stand in a partition field. */
export const accepts = (field: PartitionField, value: PartitionValue | undefined): value is PartitionValue => {
  if (value === null) return true
  switch (field.type.kind) {
    case "boolean":
      return typeof value === "boolean"
    case "string":
      return typeof value === "string"
    case "int":
    case "date":
      return typeof value === "number" && (value | 0) === value
    default:
      return Number.isSafeInteger(value) || (field.type.kind === "long" && typeof value === "bigint")
  }
}
