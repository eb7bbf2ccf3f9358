/** Iceberg schemas from and to columns. Pure. */
import * as Result from "effect/Result"
import type { ColumnType, Field } from "./Field.ts"
import { type IcebergError, invalid, unsupported } from "./IcebergError.ts"
import type { SchemaJson } from "./Metadata.ts"

/** A new table's schema, its columns with their ids, and the highest id in use. */
export interface Assigned {
  readonly schema: SchemaJson
  readonly fields: ReadonlyArray<Field>
  readonly lastColumnId: number
}

const toJson = (type: ColumnType): unknown => {
  switch (type.kind) {
    case "decimal":
      return `decimal(${type.precision}, ${type.scale})`
    case "list":
      return {
        type: "list",
        "element-id": type.elementId,
        "element-required": true,
        element: { type: "struct", fields: type.element.map(fieldToJson) }
      }
    default:
      return type.kind
  }
}

const fieldToJson = (field: Field) => ({
  id: field.fieldId!,
  name: field.name,
  required: field.required,
  type: toJson(field.type)
})

/**
 * A schema of columns. Ids that are missing are assigned: first to the columns in order, then to list elements and their fields. Fails with
 * `InvalidInput` on doubled names or ids, and on decimals that Iceberg doesn't have.
 */
export const fromFields = (fields: ReadonlyArray<Field>, schemaId = 0): Result.Result<Assigned, IcebergError> => {
  const taken = new Set<number>()
  let problem: string | undefined
  const take = (id: number | undefined, name: string) => {
    if (id === undefined) return
    if (taken.has(id)) problem ??= `field id ${id} of "${name}" is given twice`
    taken.add(id)
  }
  const collect = (level: ReadonlyArray<Field>) => {
    const names = new Set<string>()
    for (const { fieldId, name, type } of level) {
      if (names.has(name) || name === "") problem ??= `the column name "${name}" is empty or given twice`
      names.add(name)
      take(fieldId, name)
      if (type.kind === "decimal" && !(type.precision >= 1 && type.precision <= 38 && type.scale <= type.precision))
        problem ??= `"${name}" has no valid decimal type (${type.precision}, ${type.scale})`
      if (type.kind === "list") {
        take(type.elementId, `${name}.element`)
        collect(type.element)
      }
    }
  }
  collect(fields)
  if (problem !== undefined) return Result.fail(invalid(problem))
  let next = 0
  const fresh = () => {
    do next++
    while (taken.has(next))
    taken.add(next)
    return next
  }
  const assign = (level: ReadonlyArray<Field>): ReadonlyArray<Field> => {
    const named = level.map((field) => ({ ...field, fieldId: field.fieldId ?? fresh() }))
    return named.map((field) =>
      field.type.kind === "list"
        ? {
            ...field,
            type: { ...field.type, elementId: field.type.elementId ?? fresh(), element: assign(field.type.element) }
          }
        : field
    )
  }
  const assigned = assign(fields)
  return Result.succeed({
    schema: { type: "struct", "schema-id": schemaId, fields: assigned.map(fieldToJson) },
    fields: assigned,
    lastColumnId: Math.max(0, ...taken)
  })
}

const primitives: ReadonlySet<string> = new Set([
  "boolean",
  "int",
  "long",
  "double",
  "string",
  "binary",
  "date",
  "timestamptz"
])
const isPrimitive = (type: string): type is "boolean" => primitives.has(type)
const decimal = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/

interface FieldJson {
  readonly id: number
  readonly name: string
  readonly required: boolean
  readonly type: unknown
}
interface ListJson {
  readonly type: "list"
  readonly "element-id": number
  readonly element: { readonly type: "struct"; readonly fields: ReadonlyArray<FieldJson> }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null
const isList = (type: unknown): type is ListJson =>
  isObject(type) &&
  type["type"] === "list" &&
  isObject(type["element"]) &&
  type["element"]["type"] === "struct" &&
  Array.isArray(type["element"]["fields"])

const fromJson = (type: unknown): ColumnType | undefined => {
  if (isList(type)) {
    const element = type.element.fields.map(fieldFromJson)
    return element.every((field) => field !== undefined)
      ? { kind: "list", element, elementId: type["element-id"] }
      : undefined
  }
  if (typeof type !== "string") return undefined
  const match = decimal.exec(type)
  if (match !== null) return { kind: "decimal", precision: Number(match[1]), scale: Number(match[2]) }
  return isPrimitive(type) ? { kind: type } : undefined
}

const fieldFromJson = ({ id, name, required, type }: FieldJson): Field | undefined => {
  const column = fromJson(type)
  return column === undefined ? undefined : { name, type: column, required, fieldId: id }
}

/** The columns of a schema, in order. Fails with `UnsupportedFormat`, which names the first column whose type isn't known here. */
export const toFields = (
  schema: SchemaJson,
  file = "the table's schema"
): Result.Result<ReadonlyArray<Field>, IcebergError> => {
  const fields: Array<Field> = []
  for (const json of schema.fields) {
    const field = fieldFromJson(json)
    if (field === undefined)
      return Result.fail(unsupported(file, `the type ${JSON.stringify(json.type)} of column "${json.name}"`))
    fields.push(field)
  }
  return Result.succeed(fields)
}

/** The columns that this package can read, by id; others are left out (for scans, which only need the columns that they compare). */
export const known = (schema: SchemaJson): ReadonlyMap<number, Field> =>
  new Map(schema.fields.flatMap((json) => (fieldFromJson(json) === undefined ? [] : [[json.id, fieldFromJson(json)!]])))
