/**
 * Changes of a table's columns, by field id: files that are there stay as they are, and are read by the ids of their columns.
 *
 * Only what every reader can follow is possible: a new column is optional, its id was never used before; a type is widened, never narrowed.
 */
import type { ObjectStore } from "@headrace/s3/ObjectStore"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ColumnType } from "./Field.ts"
import * as FileCatalog from "./FileCatalog.ts"
import { CommitConflict, IcebergError, invalid } from "./IcebergError.ts"
import * as Committing from "./internal/Committing.ts"
import * as Metadata from "./Metadata.ts"
import * as Schema from "./Schema.ts"
import type * as Table from "./Table.ts"

/** One change; columns are top-level ones, by their current names. Changes are made in order. */
export type Change =
  /** A new optional column at the end; older rows have null in it. */
  | { readonly kind: "add"; readonly name: string; readonly type: ColumnType }
  /** The column is no longer read. Adding one of its name again makes another column. */
  | { readonly kind: "drop"; readonly column: string }
  | { readonly kind: "rename"; readonly column: string; readonly to: string }
  /** int to long, float to double, or a decimal to more precision of the same scale. */
  | { readonly kind: "widen"; readonly column: string; readonly type: ColumnType }
  /** Moves a column behind another, or to the front. */
  | { readonly kind: "move"; readonly column: string; readonly after: string | undefined }

type FieldJson = Metadata.SchemaJson["fields"][number]

const decimal = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/

const widens = (from: unknown, to: unknown): boolean => {
  if ((from === "int" && to === "long") || (from === "float" && to === "double")) return true
  if (typeof from !== "string" || typeof to !== "string") return false
  const [a, b] = [decimal.exec(from), decimal.exec(to)]
  return a !== null && b !== null && a[2] === b[2] && Number(b[1]) > Number(a[1]) && Number(b[1]) <= 38
}

/** The ids of a type's own fields, given anew so that none was used before. */
const renumbered = (type: ColumnType, fresh: () => number): ColumnType =>
  type.kind === "list"
    ? {
        kind: "list",
        elementId: fresh(),
        element: type.element.map((field) => ({ ...field, fieldId: fresh(), type: renumbered(field.type, fresh) }))
      }
    : type

/** Why a column can't go: what else is built on it. */
const neededBy = (metadata: Metadata.TableMetadata, schema: Metadata.SchemaJson, id: number): string | undefined => {
  const partition = Metadata.defaultSpec(metadata).fields.find((field) => field["source-id"] === id)
  if (partition !== undefined) return `the partition field "${partition.name}"`
  const identifiers: unknown = (schema as Readonly<Record<string, unknown>>)["identifier-field-ids"]
  if (Array.isArray(identifiers) && identifiers.includes(id)) return "the table's identifier fields"
  const sorted = JSON.stringify(
    metadata["sort-orders"].filter((order) => {
      const orderId = (order as Readonly<Record<string, unknown>> | null)?.["order-id"]
      return orderId === metadata["default-sort-order-id"]
    })
  )
  return new RegExp(`"source-id":${id}\\b`).test(sorted) ? "the table's sort order" : undefined
}

/**
 * The metadata's schema after some changes, and the highest id in use. Fails with `InvalidInput`, which names the column, for one that
 * isn't there or whose name is taken, a type that would be narrowed, or a column that partitions or sorts the table.
 */
export const apply = (
  metadata: Metadata.TableMetadata,
  changes: ReadonlyArray<Change>
): Result.Result<{ readonly schema: Metadata.SchemaJson; readonly lastColumnId: number }, IcebergError> =>
  Result.gen(function* () {
    const current = Metadata.currentSchema(metadata)
    const fields: Array<FieldJson> = [...current.fields]
    let lastColumnId = metadata["last-column-id"]
    const fresh = () => ++lastColumnId
    const find = (name: string) => {
      const at = fields.findIndex((field) => field.name === name)
      return at < 0 ? Result.fail(invalid(`the table has no column "${name}" to change`)) : Result.succeed(at)
    }
    const free = (name: string) => {
      const taken =
        name === "" ||
        fields.some((field) => field.name === name) ||
        Metadata.defaultSpec(metadata).fields.some((field) => field.name === name)
      return taken ? Result.fail(invalid(`the column name "${name}" is empty or taken`)) : Result.void
    }
    for (const change of changes) {
      if (change.kind === "add") {
        yield* free(change.name)
        const fieldId = fresh()
        const field = { name: change.name, required: false, fieldId, type: renumbered(change.type, fresh) }
        const made = yield* Schema.fromFields([field])
        fields.push(made.schema.fields[0]!)
        continue
      }
      const at = yield* find(change.column)
      const field = fields[at]!
      if (change.kind === "drop") {
        const needed = neededBy(metadata, current, field.id)
        if (needed !== undefined)
          return yield* Result.fail(invalid(`the column "${change.column}" is needed by ${needed}`))
        fields.splice(at, 1)
      } else if (change.kind === "rename") {
        yield* free(change.to)
        fields[at] = { ...field, name: change.to }
      } else if (change.kind === "widen") {
        const [to] = (yield* Schema.fromFields([{ name: "to", required: false, type: change.type }])).schema.fields
        if (!widens(field.type, to!.type)) {
          const types = `${JSON.stringify(field.type)} to ${JSON.stringify(to!.type)}`
          return yield* Result.fail(invalid(`the column "${change.column}" can't be changed from ${types}`))
        }
        fields[at] = { ...field, type: to!.type }
      } else {
        fields.splice(at, 1)
        const behind = change.after === undefined ? -1 : yield* find(change.after)
        fields.splice(behind + 1, 0, field)
      }
    }
    const schemaId = 1 + Math.max(...metadata.schemas.map((schema) => schema["schema-id"]))
    return { schema: { ...current, "schema-id": schemaId, fields }, lastColumnId }
  })

const sameFields = (a: Metadata.SchemaJson, b: Metadata.SchemaJson): boolean =>
  JSON.stringify({ ...a, "schema-id": 0 }) === JSON.stringify({ ...b, "schema-id": 0 })

/**
 * Commits changes of the columns, and gives the table after it. A schema that the table had before gets its old id. Others' commits of data are
 * built on; fails with `CommitConflict` when another writer changed the schema, with `InvalidInput` as `apply` does, and as
 * `Commit.append` does else.
 */
export const commit = Effect.fn("SchemaUpdate.commit")(function* (
  table: Table.Table,
  changes: ReadonlyArray<Change>
): Effect.fn.Return<Table.Table, IcebergError, ObjectStore> {
  const planned = table.metadata["current-schema-id"]
  return yield* Committing.change(table, (base, at) =>
    Effect.gen(function* () {
      const { metadata } = base
      const file = FileCatalog.metadataFile(base)
      const now = metadata["current-schema-id"]
      if (now !== planned) {
        const problem = `another writer changed the schema from ${planned} to ${now}`
        return yield* new IcebergError({ reason: new CommitConflict({ file, problem }) })
      }
      const { lastColumnId, schema } = yield* Effect.fromResult(apply(metadata, changes))
      const known = metadata.schemas.find((old) => sameFields(old, schema))
      if (known?.["schema-id"] === now) return undefined
      const next = {
        ...metadata,
        "last-column-id": lastColumnId,
        schemas: known === undefined ? [...metadata.schemas, schema] : metadata.schemas,
        "current-schema-id": (known ?? schema)["schema-id"]
      }
      return Metadata.changed(next, metadata, at, file)
    })
  )
})
