/**
 * Streams what a version holds: page by page in one read transaction, which is one state, on a connection of its own, so that commits go on
 * meanwhile. (Pages rather than SQLite's iterator: on Deno that takes an error for the end.)
 */
import type { SQLInputValue } from "node:sqlite"
import {
  type AggregateSpec,
  type DeadRow,
  type LateRow,
  type Service,
  type StateValue,
  type ValueType,
  VersionNotFound,
  type VersionSpec,
  type ViewStoreError
} from "@headrace/core/ViewStore"
import * as Effect from "effect/Effect"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Stream from "effect/Stream"
import { attempt, exactly, refuse, wrap } from "./internal/Refusal.ts"
import * as Sqlite from "./internal/Sqlite.ts"
import * as Sql from "./ViewStoreSql.ts"

type Row = ReadonlyArray<unknown>

/** Types of an aggregate's cells. */
const typesOf = (a: AggregateSpec): ReadonlyArray<ValueType | undefined> =>
  a.kind === "avg" ? [undefined, undefined] : a.kind === "min" || a.kind === "max" ? [a.type] : [undefined]

const numeric = (value: unknown): StateValue =>
  typeof value === "bigint"
    ? value >= -9007199254740991n && value <= 9007199254740991n
      ? Number(value)
      : value
    : (value as StateValue)

/** A merged row as it was read with big integers. */
export const toViewRow = (row: Row, spec: VersionSpec): ReadonlyArray<StateValue> => {
  const types = [
    ...spec.keys.map((k) => k.type),
    ...(spec.windowSize === undefined ? [] : [undefined]),
    ...spec.aggregates.flatMap(typesOf)
  ]
  return row.map((value, i) => (types[i]?.kind === "boolean" && value !== null ? value === 1n : numeric(value)))
}

const toLateRow = ([partition, offset, eventTime, windowStart, columns]: Row): LateRow & {
  readonly partition: number
} => ({
  partition: Number(partition),
  offset: Number(offset),
  eventTime: Number(eventTime),
  windowStart: Number(windowStart),
  columns: String(columns)
})

const toDeadRow = ([partition, offset, reason, detail, timestamp, key, value, headers]: Row): DeadRow & {
  readonly partition: number
} => ({
  partition: Number(partition),
  offset: Number(offset),
  reason: String(reason),
  detail: String(detail),
  timestamp: timestamp === null ? null : Number(timestamp),
  key: key as Uint8Array | null,
  value: value as Uint8Array | null,
  headers: String(headers)
})

/** The reading part of the store in a file. */
export const make = (options: Sqlite.Options): Pick<Service, "rows" | "late" | "dead"> => {
  const { path } = options

  /** Integers come as numbers while they are safe. */
  const query = <A>(
    view: string,
    version: number,
    pagesOf: (spec: VersionSpec) => Sql.Pages,
    map: (row: Row, spec: VersionSpec) => A
  ): Stream.Stream<A, ViewStoreError> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const db = yield* Effect.mapError(Sqlite.open(options, Sql.layout), wrap)
        const read = yield* attempt(path, () => {
          db.exec("BEGIN")
          const found = db
            .prepare("SELECT spec FROM headrace_versions WHERE view = ? AND version = ?")
            .get(view, version) as { readonly spec: string } | undefined
          const spec = JSON.parse(found?.spec ?? refuse(new VersionNotFound({ view, version }))) as VersionSpec
          const pages = pagesOf(spec)
          const prepare = (sql: string) => {
            const statement = db.prepare(sql)
            statement.setReadBigInts(true)
            statement.setReturnArrays(true)
            return statement
          }
          const first = prepare(pages.first)
          const further = pages.by === 0 ? undefined : prepare(pages.further)
          let after: ReadonlyArray<SQLInputValue> | undefined
          return (): ReadonlyArray<A> => {
            const statement = after === undefined ? first : further
            const rows = (statement?.all(...(after ?? [])) ?? []) as unknown as ReadonlyArray<Row>
            after = rows.at(-1)?.slice(0, pages.by) as ReadonlyArray<SQLInputValue> | undefined
            return rows.map((row) => map(row, spec))
          }
        })
        const pull = attempt(path, () => exactly(view, version, read))
        return Stream.fromPull(
          Effect.succeed(
            Effect.flatMap(pull, (page) => (Arr.isReadonlyArrayNonEmpty(page) ? Effect.succeed(page) : Cause.done()))
          )
        )
      })
    )

  return {
    rows: (view, version) => query(view, version, Sql.selectRows, toViewRow),
    late: (view, version) => query(view, version, Sql.selectLate, toLateRow),
    dead: (view, version) => query(view, version, Sql.selectDead, toDeadRow)
  }
}
