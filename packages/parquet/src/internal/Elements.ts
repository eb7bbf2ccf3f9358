/** Parquet's schema elements from fields, and back. */
import type { SchemaElement, SchemaTree } from "hyparquet"
import type { ColumnType, Field } from "../Field.ts"

const repetition = (required: boolean) => (required ? "REQUIRED" : "OPTIONAL")

const physical = (type: ColumnType): Partial<SchemaElement> => {
  switch (type.kind) {
    case "boolean":
      return { type: "BOOLEAN" }
    case "int":
      return { type: "INT32" }
    case "long":
      return { type: "INT64" }
    case "double":
      return { type: "DOUBLE" }
    case "binary":
      return { type: "BYTE_ARRAY" }
    case "string":
      return { type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } }
    case "date":
      return { type: "INT32", converted_type: "DATE", logical_type: { type: "DATE" } }
    case "timestamptz":
      return { type: "INT64", logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MICROS" } }
    case "decimal":
      return {
        type: type.precision <= 9 ? "INT32" : "INT64",
        converted_type: "DECIMAL",
        precision: type.precision,
        scale: type.scale,
        logical_type: { type: "DECIMAL", precision: type.precision, scale: type.scale }
      }
    case "list":
      return { num_children: 1, converted_type: "LIST", logical_type: { type: "LIST" } }
  }
}

const elementsOf = (field: Field): ReadonlyArray<SchemaElement> => {
  const id = field.fieldId === undefined ? {} : { field_id: field.fieldId }
  const own = {
    name: field.name,
    repetition_type: repetition(field.required),
    ...physical(field.type),
    ...id
  } as SchemaElement
  if (field.type.kind !== "list") return [own]
  const { element, elementId } = field.type
  const elementOwn = {
    name: "element",
    repetition_type: "REQUIRED",
    num_children: element.length,
    ...(elementId === undefined ? {} : { field_id: elementId })
  } as SchemaElement
  return [
    own,
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    elementOwn,
    ...element.flatMap(elementsOf)
  ]
}

/** The elements of a file's schema, the root first. */
export const toElements = (fields: ReadonlyArray<Field>): Array<SchemaElement> => [
  { name: "table", num_children: fields.length },
  ...fields.flatMap(elementsOf)
]

/** Elements without logical types, so that values are encoded as they stand; text alone is converted by the writer. */
export const withoutLogical = (elements: ReadonlyArray<SchemaElement>): Array<SchemaElement> =>
  elements.map(({ converted_type, logical_type: _, precision: __, scale: ___, ...rest }) =>
    converted_type === "UTF8" || converted_type === "LIST" ? { ...rest, converted_type } : rest
  ) as Array<SchemaElement>

/** How an element's integers become numbers: units a millisecond for instants. */
export const unitsPerMilli = (element: SchemaElement): number | undefined => {
  const { converted_type: converted, logical_type: logical } = element
  if (logical?.type === "TIMESTAMP")
    return logical.unit === "MILLIS" ? 1 : logical.unit === "MICROS" ? 1_000 : 1_000_000
  return converted === "TIMESTAMP_MILLIS" ? 1 : converted === "TIMESTAMP_MICROS" ? 1_000 : undefined
}

/** Whether an element holds unsigned integers. */
export const isUnsigned = ({ converted_type: converted, logical_type: logical }: SchemaElement): boolean =>
  (logical?.type === "INTEGER" && !logical.isSigned) || converted?.startsWith("UINT_") === true

const leafType = (e: SchemaElement): ColumnType | undefined => {
  const { converted_type: converted, logical_type: logical, type } = e
  const integer = logical?.type === "INTEGER" || /^U?INT_/.test(converted ?? "")
  const unsigned = isUnsigned(e)
  switch (type) {
    case "BOOLEAN":
      return { kind: "boolean" }
    case "INT32":
      if (converted === "DECIMAL") return { kind: "decimal", precision: e.precision ?? 9, scale: e.scale ?? 0 }
      if (converted === "DATE" || logical?.type === "DATE") return { kind: "date" }
      return converted === undefined || integer ? { kind: unsigned ? "long" : "int" } : undefined
    case "INT64":
      if (converted === "DECIMAL") return { kind: "decimal", precision: e.precision ?? 18, scale: e.scale ?? 0 }
      if (unitsPerMilli(e) !== undefined) return { kind: "timestamptz" }
      return (converted === undefined && logical === undefined) || integer ? { kind: "long" } : undefined
    case "FLOAT":
    case "DOUBLE":
      return { kind: "double" }
    case "BYTE_ARRAY":
      if (converted === "UTF8" || converted === "JSON" || converted === "ENUM" || logical?.type === "STRING")
        return { kind: "string" }
      return converted === undefined && logical === undefined ? { kind: "binary" } : undefined
    default:
      return undefined
  }
}

/** The field of a node of the schema, or undefined when its type isn't supported. */
export const toField = (node: SchemaTree): Field | undefined => {
  const { element } = node
  const common = {
    name: element.name,
    required: element.repetition_type === "REQUIRED",
    ...(element.field_id === undefined ? {} : { fieldId: element.field_id })
  }
  if (element.repetition_type === "REPEATED") return undefined
  if (node.children.length === 0) {
    const type = leafType(element)
    return type === undefined ? undefined : { ...common, type }
  }
  const inner = node.children[0]?.children[0]
  if (element.converted_type !== "LIST" && element.logical_type?.type !== "LIST") return undefined
  if (inner === undefined || inner.children.length === 0) return undefined
  const fields = inner.children.map(toField)
  if (fields.some((f) => f === undefined || f.type.kind === "list")) return undefined
  const id = inner.element.field_id
  return {
    ...common,
    type: { kind: "list", element: fields as ReadonlyArray<Field>, ...(id === undefined ? {} : { elementId: id }) }
  }
}
