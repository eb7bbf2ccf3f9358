/** Partition specs: identity, year, month, day, hour, bucket[N] and truncate[W] of a column. Pure. */
import * as Result from "effect/Result"
import type { ColumnType, Field } from "./Field.ts"
import { type IcebergError, invalid, unsupported } from "./IcebergError.ts"
import type { PartitionSpecJson } from "./Metadata.ts"
import * as Transform from "./Transform.ts"

/** A partition's value: null for a null column, else as the column in memory; for `day`, days since 1970. */
export type PartitionValue = null | boolean | number | bigint | string
/** A file's partition, by the name of the partition field. */
export type Partition = Readonly<Record<string, PartitionValue>>

/** How a new table is partitioned by a column. `name` defaults to the column's for identity, else to `<column>_<transform>`, e.g. `at_day`. */
export interface PartitionBy {
  readonly column: string
  /** The transform's name in the format. */
  readonly transform: "identity" | "year" | "month" | "day" | "hour" | `bucket[${number}]` | `truncate[${number}]`
  readonly name?: string
}

/** A field of a spec: `type` is that of its value (a date for `day`), `fieldId` its own id, `sourceId` the column's. */
export interface PartitionField {
  readonly name: string
  readonly transform: Transform.Transform
  readonly sourceId: number
  readonly fieldId: number
  readonly type: ColumnType
}
/** A spec that this package can read and write. */
export interface PartitionSpec {
  readonly specId: number
  readonly fields: ReadonlyArray<PartitionField>
}

const millisPerHour = 3_600_000
const millisPerDay = 24 * millisPerHour
const values: ReadonlySet<string> = new Set(["boolean", "int", "long", "string", "date", "timestamptz"])

/** The type of a field's values, where they can stand in a partition here: decimals and bytes can't. */
const typeOf = (transform: Transform.Transform | undefined, source: ColumnType): ColumnType | undefined => {
  const type = transform === undefined ? undefined : Transform.typeOf(transform, source)
  return type !== undefined && values.has(type.kind) ? type : undefined
}

/** A new table's spec. Fails with `InvalidInput` on an unknown column, a doubled name or a type that can't be partitioned by. */
export const make = (
  by: ReadonlyArray<PartitionBy>,
  fields: ReadonlyArray<Field>
): Result.Result<PartitionSpecJson, IcebergError> => {
  const out: Array<PartitionSpecJson["fields"][number]> = []
  for (const { column, name, transform: text } of by) {
    const transform = Transform.parse(text)
    const field = fields.find((candidate) => candidate.name === column)
    if (field === undefined) return Result.fail(invalid(`the table has no column "${column}" to partition by`))
    if (transform === undefined || typeOf(transform, field.type) === undefined)
      return Result.fail(invalid(`${text}("${column}") isn't possible for a ${field.type.kind} column`))
    const own = name ?? (transform.kind === "identity" ? column : `${column}_${transform.kind}`)
    const clash = fields.some(
      (candidate) => candidate.name === own && (transform.kind !== "identity" || own !== column)
    )
    if (clash || out.some((other) => other.name === own))
      return Result.fail(invalid(`the partition field name "${own}" is taken; give it a name of its own`))
    out.push({
      "source-id": field.fieldId!,
      "field-id": 1000 + out.length,
      name: own,
      transform: Transform.print(transform)
    })
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
  for (const { "field-id": fieldId, "source-id": sourceId, name, transform: text } of json.fields) {
    const source = columns.get(sourceId)
    const transform = Transform.parse(text)
    const type = source === undefined ? undefined : typeOf(transform, source.type)
    if (type === undefined || transform === undefined)
      return Result.fail(unsupported(file, `the partition field ${text}(${source?.name ?? sourceId})`))
    fields.push({ name, transform, sourceId, fieldId, type })
  }
  return Result.succeed({ specId: json["spec-id"], fields })
}

/** Days since 1970 of an instant in epoch milliseconds. */
export const day = (millis: number): number => Math.floor(millis / millisPerDay)

/** The partition value of a column's value; null for a value that isn't of the column's type. */
export const apply = (field: PartitionField, source: ColumnType, value: PartitionValue): PartitionValue => {
  const made = Transform.apply(field.transform, source, value)
  return made === undefined || made instanceof Uint8Array ? null : made
}

/** The instant at which a month since 1970 begins, epoch milliseconds. */
const monthStart = (month: number): number =>
  new Date(0).setUTCFullYear(1970 + Math.floor(month / 12), ((month % 12) + 12) % 12, 1)

type Known = Exclude<PartitionValue, null>

/** The least and greatest column value that can be in a partition; milliseconds where the column is a timestamptz, undefined where unknown. */
export const range = (
  field: PartitionField,
  source: ColumnType,
  value: Known
): readonly [lower: Known | undefined, upper: Known | undefined] => {
  const { transform } = field
  const between = (from: number, until: number): readonly [Known | undefined, Known | undefined] => {
    if (!Number.isFinite(from) || !Number.isFinite(until)) return [undefined, undefined]
    return source.kind === "date" ? [from / millisPerDay, until / millisPerDay - 1] : [from, until - 1]
  }
  const n = Number(value)
  switch (transform.kind) {
    case "identity":
      return [value, value]
    case "year":
      return between(monthStart(n * 12), monthStart((n + 1) * 12))
    case "month":
      return between(monthStart(n), monthStart(n + 1))
    case "day":
      return between(n * millisPerDay, (n + 1) * millisPerDay)
    case "hour":
      return between(n * millisPerHour, (n + 1) * millisPerHour)
    case "bucket":
      return [undefined, undefined]
    case "truncate":
      if (typeof value === "string") return [value, Array.from(value).length < transform.width ? value : undefined]
      if (typeof value === "bigint") return [value, value + BigInt(transform.width - 1)]
      return typeof value === "number" ? [value, value + transform.width - 1] : [undefined, undefined]
  }
}

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
