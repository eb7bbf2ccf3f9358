/**
 * Scan plans: which data files a reader needs. Pure; `Table.scan` does the reading.
 *
 * Files are left out by their partition and by column bounds. A plan's order depends on the files alone, not on how manifests hold them.
 */
import * as Result from "effect/Result"
import * as Bounds from "./Bounds.ts"
import type { ColumnType, Field, Value } from "./Field.ts"
import { type IcebergError, invalid, unsupported } from "./IcebergError.ts"
import type { DataFile, ReadEntry } from "./Manifest.ts"
import type { ManifestFile } from "./ManifestList.ts"
import type { SnapshotId, TableMetadata } from "./Metadata.ts"
import * as PartitionSpec from "./PartitionSpec.ts"
import * as Predicate from "./Predicate.ts"
import * as Schema from "./Schema.ts"

/** A data file to read, the spec of its partition, and when it came. */
export interface FileTask {
  readonly file: DataFile
  readonly specId: number
  readonly sequenceNumber: number
  readonly fileSequenceNumber: number
  readonly snapshotId: SnapshotId
}

/** What a plan needs to know of a table: its columns by id (all schemas, the current one last) and its specs. */
export interface Layout {
  readonly columns: ReadonlyMap<number, Field>
  readonly current: ReadonlyMap<string, Field>
  readonly specs: ReadonlyMap<number, PartitionSpec.PartitionSpec>
}

/** The columns and specs that this package can read; others are left out, and refused where a file needs them. */
export const layout = (metadata: TableMetadata): Layout => {
  const byId = (id: number) => (id === metadata["current-schema-id"] ? 1 : 0)
  const schemas = [...metadata.schemas].sort((a, b) => byId(a["schema-id"]) - byId(b["schema-id"]))
  const columns = new Map(schemas.flatMap((schema) => [...Schema.known(schema)]))
  const current = Schema.known(schemas.at(-1)!)
  const specs = metadata["partition-specs"].flatMap((json) => {
    const spec = PartitionSpec.parse(json, columns)
    return Result.isSuccess(spec) ? [[json["spec-id"], spec.success] as const] : []
  })
  return { columns, current: new Map([...current.values()].map((field) => [field.name, field])), specs: new Map(specs) }
}

const comparable = (type: ColumnType, value: Value): boolean => {
  switch (type.kind) {
    case "boolean":
    case "string":
      return typeof value === type.kind
    case "binary":
      return value instanceof Uint8Array
    case "list":
      return false
    default:
      return typeof value === "number" || typeof value === "bigint"
  }
}

const compared = (predicate: Predicate.Predicate): ReadonlyArray<readonly [column: string, value: Value]> => {
  if ("of" in predicate) return predicate.of.flatMap(compared)
  if ("values" in predicate) return predicate.values.map((value) => [predicate.column, value])
  return "value" in predicate ? [[predicate.column, predicate.value]] : []
}

/** Fails with `InvalidInput` when a predicate uses a name that is neither a column nor a partition field, or compares with another type. */
export const checkPredicate = (
  predicate: Predicate.Predicate,
  { current, specs }: Layout
): Result.Result<void, IcebergError> => {
  const fields = new Map([...specs.values()].flatMap((spec) => spec.fields.map((field) => [field.name, field.type])))
  for (const name of Predicate.columns(predicate)) {
    if (!current.has(name) && !fields.has(name))
      return Result.fail(invalid(`the predicate's "${name}" is neither a column nor a partition field of the table`))
  }
  for (const [name, value] of compared(predicate)) {
    const type = current.get(name)?.type ?? fields.get(name)!
    if (!comparable(type, value))
      return Result.fail(
        invalid(`the predicate compares "${name}", a ${type.kind}, with ${typeof value} ${String(value)}`)
      )
  }
  return Result.void
}

/** The bounds of a column in a file, as values in memory; an absent one is unknown. */
export const bounds = (file: DataFile, field: Field): { readonly lower?: Value; readonly upper?: Value } => {
  const lower = file.lowerBounds.get(field.fieldId!)
  const upper = file.upperBounds.get(field.fieldId!)
  const low = lower === undefined ? undefined : Bounds.decode(field.type, lower, "lower")
  const high = upper === undefined ? undefined : Bounds.decode(field.type, upper, "upper")
  return { ...(low === undefined ? {} : { lower: low }), ...(high === undefined ? {} : { upper: high }) }
}

const fromStatistics = (file: DataFile, field: Field): Predicate.Range => {
  const values = file.valueCounts.get(field.fieldId!)
  const nulls = file.nullValueCounts.get(field.fieldId!)
  return {
    ...bounds(file, field),
    mayBeNull: nulls === undefined || nulls > 0,
    mayHaveValue: values === undefined || nulls === undefined || nulls < values
  }
}

const fromPartition = (
  value: PartitionSpec.PartitionValue | undefined,
  range: (value: Value) => readonly [Value | undefined, Value | undefined]
) => {
  if (value === undefined) return Predicate.unbounded
  if (value === null) return { mayBeNull: true, mayHaveValue: false }
  const [lower, upper] = range(value)
  return { lower, upper, mayBeNull: false, mayHaveValue: true }
}

const rangeOf =
  (file: DataFile, spec: PartitionSpec.PartitionSpec, { current }: Layout) =>
  (name: string): Predicate.Range => {
    const column = current.get(name)
    if (column === undefined) {
      const has = spec.fields.some((field) => field.name === name)
      return has ? fromPartition(file.partition[name], (value) => [value, value]) : Predicate.unbounded
    }
    return spec.fields
      .filter((field) => field.sourceId === column.fieldId)
      .map((field) =>
        fromPartition(file.partition[field.name], (value) =>
          value instanceof Uint8Array ? [value, value] : PartitionSpec.range(field, column.type, value)
        )
      )
      .reduce(Predicate.intersect, fromStatistics(file, column))
  }

/** Whether a manifest may hold a file that the predicate needs, by the ranges of its partition fields. */
export const needsManifest = (
  manifest: ManifestFile,
  predicate: Predicate.Predicate | undefined,
  table: Layout
): boolean => {
  const spec = table.specs.get(manifest.specId)
  if (manifest.addedFiles + manifest.existingFiles === 0) return false
  if (predicate === undefined || spec === undefined || manifest.partitions === null) return true
  const summaries = manifest.partitions
  return Predicate.mayMatch(predicate, (name) => {
    const column = table.current.get(name)
    return spec.fields
      .map((field, i): Predicate.Range => {
        const summary = summaries[i]
        const own = field.name === name && column === undefined
        if (summary === undefined || (!own && field.sourceId !== column?.fieldId)) return Predicate.unbounded
        const decode = (bytes: Uint8Array | null, side: Bounds.Side) => {
          const value = bytes === null ? undefined : Bounds.decode(field.type, bytes, side)
          if (value === undefined || value instanceof Uint8Array || own) return value
          // The text of a bound is cut, so what it begins with says nothing of where truncated text ends.
          if (field.transform.kind === "truncate" && typeof value === "string")
            return side === "lower" ? value : undefined
          return PartitionSpec.range(field, column!.type, value)[side === "lower" ? 0 : 1]
        }
        return {
          lower: decode(summary.lower, "lower"),
          upper: decode(summary.upper, "upper"),
          mayBeNull: summary.containsNull,
          mayHaveValue: summary.lower !== null || summary.containsNan !== false
        }
      })
      .reduce(Predicate.intersect, Predicate.unbounded)
  })
}

/**
 * The files to read, of the live entries of a snapshot's manifests, ordered by sequence number and then by path. Fails with
 * `UnsupportedFormat` for a file that isn't Parquet.
 */
export const plan = (
  entries: ReadonlyArray<{ readonly manifest: ManifestFile; readonly entries: ReadonlyArray<ReadEntry> }>,
  table: Layout,
  predicate?: Predicate.Predicate
): Result.Result<ReadonlyArray<FileTask>, IcebergError> => {
  const tasks: Array<FileTask> = []
  for (const { entries: some, manifest } of entries) {
    const spec = table.specs.get(manifest.specId)
    if (spec === undefined) return Result.fail(unsupported(manifest.path, `partition spec ${manifest.specId}`))
    for (const { file, fileSequenceNumber, sequenceNumber, snapshotId, status } of some) {
      if (status === "deleted") continue
      if (file.format.toUpperCase() !== "PARQUET")
        return Result.fail(unsupported(file.path, `the format ${file.format}`))
      if (predicate !== undefined && !Predicate.mayMatch(predicate, rangeOf(file, spec, table))) continue
      tasks.push({ file, specId: manifest.specId, sequenceNumber, fileSequenceNumber, snapshotId })
    }
  }
  tasks.sort((a, b) => a.sequenceNumber - b.sequenceNumber || Bounds.compare(a.file.path, b.file.path))
  return Result.succeed(tasks)
}
