/** Rows of an object as batches: the bytes form with the bad rows beside it, and the column form with the bad rows in it as poison. */
import { type Column, type ColumnBatch, Kind, type RecordBatch } from "@headrace/core/Batch"
import type { Poison, PoisonCode } from "@headrace/core/DeadLetter"
import * as Decimal from "@headrace/core/Decimal"
import * as EventTime from "@headrace/core/EventTime"
import * as JsonCodec from "@headrace/core/JsonCodec"
import type { ColumnSpec, TopicSchema } from "@headrace/core/TopicSchema"
import * as Effect from "effect/Effect"
import { printerOf } from "./Cells.ts"
import { partitionsOf } from "./Eligible.ts"
import { Failure } from "./Failure.ts"
import type { Rows, TableRows, TextRows } from "./Rows.ts"

/** A bad row of a batch, by its index among the rows that the batch covers. */
export interface BadAt {
  readonly index: number
  readonly code: PoisonCode
  readonly field: string
  readonly detail: string
  readonly bytes: Uint8Array
}

const utf8 = new TextEncoder()

const offsetsFrom = (base: number, count: number): Float64Array => {
  const offsets = new Float64Array(count)
  for (let i = 0; i < count; i++) offsets[i] = base + i
  return offsets
}

/** All rows as records with a value, no key, and the timestamp 0; views on the rows. */
const recordsOf = (topic: string, rows: TextRows, base: number): RecordBatch => ({
  topic,
  partition: 0,
  base,
  next: base + rows.count,
  count: rows.count,
  offsets: offsetsFrom(base, rows.count),
  timestamps: new Float64Array(rows.count),
  bytes: rows.bytes,
  keys: new Int32Array(2 * rows.count).fill(-1),
  values: rows.values,
  headers: undefined
})

/** The rows that aren't bad as records, their lines, and the bad ones. The batch covers both. */
export const toRecords = (
  topic: string,
  rows: TextRows,
  base: number
): { readonly batch: RecordBatch; readonly lines: Float64Array; readonly bad: ReadonlyArray<BadAt> } => {
  const all = recordsOf(topic, rows, base)
  if (rows.bad === undefined) return { batch: all, lines: rows.lines, bad: [] }
  const bad = [...rows.bad].map(([index, { code, detail }]): BadAt => {
    const bytes = rows.bytes.slice(rows.values[2 * index], rows.values[2 * index + 1])
    return { index, code, field: "", detail, bytes }
  })
  const good = Array.from({ length: rows.count }, (_, i) => i).filter((i) => rows.bad?.has(i) !== true)
  const n = good.length
  return {
    batch: {
      ...all,
      count: n,
      offsets: Float64Array.from(good, (i) => base + i),
      timestamps: all.timestamps.subarray(0, n),
      keys: all.keys.subarray(0, 2 * n),
      values: Int32Array.from({ length: 2 * n }, (_, k) => rows.values[2 * good[k >> 1]! + (k & 1)]!)
    },
    lines: Float64Array.from(good, (i) => rows.lines[i]!),
    bad
  }
}

/** What is wrong with a value of a table, or undefined. */
const problemOf = ({ check, nullable, type }: ColumnSpec, value: unknown): PoisonCode | undefined => {
  if (value === null || value === undefined) return nullable ? undefined : "wrong-type"
  if (type.kind === "string" && (value as string).includes("\0")) return "out-of-range"
  if (type.kind === "double" && !Number.isFinite(value)) return "out-of-range"
  if (type.kind === "instant" && !EventTime.isValid(value as number)) return "out-of-range"
  const seen = type.kind === "decimal" ? Number(value) / Decimal.power(type.scale) : value
  return check === undefined || check(seen) ? undefined : "check-failed"
}

/** Whether no value of the column can be wrong. */
const sound = ({ check, type }: ColumnSpec, column: Column): boolean =>
  column instanceof Float64Array && check === undefined && type.kind !== "double" && type.kind !== "instant"

const jsonOf = (schema: ReadonlyArray<ColumnSpec>, columns: Readonly<Record<string, Column>>, row: number) =>
  JSON.stringify(
    Object.fromEntries(
      schema.map(({ name, type }) => {
        const value = columns[name]![row]
        return [name, type.kind === "decimal" && value !== null ? Decimal.format(value as number, type.scale) : value]
      })
    )
  )

const poisonOf = (code: PoisonCode, field: string, detail: string, value: Uint8Array): Poison => ({
  code,
  field,
  detail,
  timestamp: 0,
  key: null,
  value,
  headers: []
})

const tableColumns = (topic: string, schema: TopicSchema, rows: TableRows, base: number): ColumnBatch => {
  const columns = rows.columns(rows.from, rows.from + rows.count)
  const poison = new Map<number, Poison>()
  let kinds: Uint8Array | undefined
  for (const spec of schema.columns) {
    const column = columns[spec.name]!
    if (sound(spec, column)) continue
    for (let i = 0; i < rows.count; i++) {
      const code = problemOf(spec, column[i])
      if (code === undefined || poison.has(i)) continue
      kinds ??= new Uint8Array(rows.count)
      kinds[i] = Kind.poison
      const detail = `expected ${spec.type.kind}, got ${String(column[i]).slice(0, 80)}`
      poison.set(i, poisonOf(code, spec.name, detail, utf8.encode(jsonOf(schema.columns, columns, i))))
    }
  }
  return {
    topic,
    partition: 0,
    base,
    next: base + rows.count,
    count: rows.count,
    offsets: offsetsFrom(base, rows.count),
    columns,
    kinds,
    poison
  }
}

/** The columns of an object's rows, with those of its key. */
export interface Columns {
  /** What the rows themselves have. */
  readonly schema: TopicSchema
  /** Values of the columns that an object's key has, or null and what is wrong with it. */
  readonly fromKey: (
    key: string
  ) => Effect.Effect<{ readonly values: ReadonlyMap<string, unknown>; readonly failure: Failure | undefined }>
  readonly toColumns: (rows: Rows, base: number, fromKey: ReadonlyMap<string, unknown>) => Effect.Effect<ColumnBatch>
}

const pick = (schema: TopicSchema, wanted: (column: ColumnSpec) => boolean): TopicSchema => ({
  columns: schema.columns.filter(wanted),
  fingerprint: schema.fingerprint
})

/** Compiles a schema, of which `partitions` stand in the objects' keys. Throws a `TypeError` when it declares no such column. */
export const columnsOf = (topic: string, whole: TopicSchema, partitions: ReadonlyArray<string>): Columns => {
  const unknown = partitions.find((name) => !whole.columns.some((c) => c.name === name))
  if (unknown !== undefined) throw new TypeError(`partition column "${unknown}" isn't declared in the schema`)
  const schema = pick(whole, (c) => !partitions.includes(c.name))
  const keySchema = pick(whole, (c) => partitions.includes(c.name))
  const codec = JsonCodec.make(schema)
  const names = schema.columns.map((c) => c.name)
  const keyCodec = JsonCodec.make(keySchema)
  const decode = (from: ReturnType<typeof JsonCodec.make>, batch: RecordBatch, wanted: ReadonlyArray<string>) =>
    // A JSON codec asks nobody.
    Effect.orDie(from.decode(batch, wanted))

  const fromKey: Columns["fromKey"] = Effect.fnUntraced(function* (key) {
    if (partitions.length === 0) return { values: new Map(), failure: undefined }
    const found = partitionsOf(key)
    const cells = keySchema.columns.flatMap((column) => {
      const value = found[column.name]
      if (value === undefined) return []
      return [`${JSON.stringify(column.name)}:${value === null ? "null" : printerOf(column)(value)}`]
    })
    const bytes = utf8.encode(`{${cells.join(",")}}`)
    const row: TextRows = {
      _tag: "text",
      count: 1,
      bytes,
      values: Int32Array.of(0, bytes.length),
      lines: Float64Array.of(1),
      bad: undefined
    }
    const { columns, poison } = yield* decode(keyCodec, recordsOf(topic, row, 0), partitions)
    const wrong = poison.get(0)
    if (wrong === undefined)
      return { values: new Map(partitions.map((name) => [name, columns[name]![0]])), failure: undefined }
    const detail = `its key has no valid folder "${wrong.field}=…" (${wrong.code}: ${wrong.detail})`
    return {
      values: new Map(partitions.map((name) => [name, null])),
      failure: new Failure({ kind: "schema", detail })
    }
  })

  const withKey = (batch: ColumnBatch, values: ReadonlyMap<string, unknown>): ColumnBatch =>
    values.size === 0
      ? batch
      : {
          ...batch,
          columns: {
            ...batch.columns,
            ...Object.fromEntries(
              [...values].map(([name, value]) => [
                name,
                typeof value === "number"
                  ? new Float64Array(batch.count).fill(value)
                  : Array.from<unknown>({ length: batch.count }).fill(value)
              ])
            )
          }
        }

  const toColumns: Columns["toColumns"] = (rows, base, values) =>
    rows._tag === "table"
      ? Effect.sync(() => withKey(tableColumns(topic, schema, rows, base), values))
      : Effect.map(decode(codec, recordsOf(topic, rows, base), names), (batch) => {
          if (rows.bad === undefined) return withKey(batch, values)
          const kinds = batch.kinds ?? new Uint8Array(rows.count)
          const poison = new Map(batch.poison)
          for (const [i, { code, detail }] of rows.bad) {
            kinds[i] = Kind.poison
            const bytes = rows.bytes.slice(rows.values[2 * i], rows.values[2 * i + 1])
            poison.set(i, poisonOf(code, "", detail, bytes))
          }
          return withKey({ ...batch, kinds, poison }, values)
        })
  return { schema, fromKey, toColumns }
}
