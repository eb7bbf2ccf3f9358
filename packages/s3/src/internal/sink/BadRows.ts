/** Rows that can't be written as what they are, and how they are kept instead: as NDJSON, with their coordinates, the reason and their bytes. */
import { type Column, type ColumnBatch, emptyColumn, Kind } from "@headrace/core/Batch"
import type { PoisonCode } from "@headrace/core/DeadLetter"
import * as EventTime from "@headrace/core/EventTime"
import type { ColumnSpec, ColumnType } from "@headrace/core/TopicSchema"

/** Why a row is bad. */
export interface Problem {
  readonly code: PoisonCode
  readonly field: string
}

const column = (name: string, kind: "string" | "integer" | "instant"): ColumnSpec => ({
  name,
  type: { kind },
  nullable: true,
  check: undefined
})

/** The columns of a file of bad rows. Of `value` and `value_base64` one is there; `row` is what a codec had decoded. */
export const specs: ReadonlyArray<ColumnSpec> = [
  column("topic", "string"),
  column("partition", "integer"),
  column("offset", "integer"),
  column("code", "string"),
  column("field", "string"),
  column("detail", "string"),
  column("timestamp", "instant"),
  column("key_base64", "string"),
  column("value", "string"),
  column("value_base64", "string"),
  column("row", "string")
]

/** What is wrong with a value that isn't null, by the column's type. */
const tester = (type: ColumnType): ((value: unknown) => PoisonCode | undefined) => {
  const number = (holds: (value: number) => boolean) => (value: unknown) =>
    typeof value !== "number" ? "wrong-type" : holds(value) ? undefined : "out-of-range"
  switch (type.kind) {
    case "string":
      return (value) => (typeof value !== "string" ? "wrong-type" : value.isWellFormed() ? undefined : "out-of-range")
    case "boolean":
      return (value) => (typeof value === "boolean" ? undefined : "wrong-type")
    case "double":
      return number(Number.isFinite)
    case "date":
      return number((value) => Number.isSafeInteger(value) && EventTime.isValid(value * 86_400_000))
    case "instant":
      return number(EventTime.isValid)
    default:
      return number(Number.isSafeInteger)
  }
}

/** The bad rows of a batch, by index. */
export const find = (
  schema: ReadonlyArray<ColumnSpec>,
  columns: ReadonlyArray<Column | undefined>,
  { count, kinds, poison }: ColumnBatch
): Map<number, Problem> => {
  const bad = new Map<number, Problem>()
  if (kinds !== undefined)
    for (let i = 0; i < count; i++) {
      if (kinds[i] === Kind.poison) bad.set(i, poison.get(i) ?? { code: "not-json", field: "" })
    }
  for (let c = 0; c < schema.length; c++) {
    const values = columns[c]
    if (values === undefined) continue
    const { name, nullable, type } = schema[c]!
    const problemOf = tester(type)
    for (let i = 0; i < count; i++) {
      const value = values[i]
      const code = value === null || value === undefined ? (nullable ? undefined : "missing-field") : problemOf(value)
      if (code === undefined || (kinds !== undefined && kinds[i] !== Kind.decoded) || bad.has(i)) continue
      bad.set(i, { code, field: name })
    }
  }
  return bad
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (bytes: Uint8Array | null): string | null => {
  if (bytes === null) return null
  try {
    return strict.decode(bytes)
  } catch {
    return null
  }
}

const base64 = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")

/** A decoded row as JSON, whatever is in it. */
const rowText = (schema: ReadonlyArray<ColumnSpec>, columns: ReadonlyArray<Column | undefined>, i: number): string =>
  JSON.stringify(
    Object.fromEntries(schema.map(({ name }, c) => [name, columns[c]?.[i] ?? null])),
    (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)
  )

/** The columns of {@link specs} for a batch, filled at its bad rows. */
export const columns = (
  batch: ColumnBatch,
  decoded: ReadonlyArray<Column | undefined>,
  schema: ReadonlyArray<ColumnSpec>,
  bad: ReadonlyMap<number, Problem>
): ReadonlyArray<Column> => {
  const out = specs.map(() => emptyColumn<unknown>(batch.count))
  for (const [i, { code, field }] of bad) {
    const poison = batch.poison.get(i)
    const value = textOf(poison?.value ?? null)
    const row = [
      batch.topic.toWellFormed(),
      batch.partition,
      batch.offsets[i]!,
      code,
      field.toWellFormed(),
      poison?.detail.toWellFormed() ?? null,
      poison?.timestamp ?? null,
      base64(poison?.key ?? null),
      value,
      value === null ? base64(poison?.value ?? null) : null,
      poison === undefined ? rowText(schema, decoded, i) : null
    ]
    row.forEach((cell, c) => (out[c]![i] = cell))
  }
  return out
}
