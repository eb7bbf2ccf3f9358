/**
 * Objects under a prefix as a typed stream of rows: NDJSON, CSV and Parquet, plain, gzip or zstd.
 *
 * **Order.** Objects in key order, rows as they stand. A row's offset is the number of rows before it since the first object, so it is the same
 * whenever the folder is read. Bad rows count too, whatever the policy. **Resuming.** Reading from a batch's `resume` gives exactly the rows
 * after it; an object that was replaced meanwhile and a past that changed are typed errors. **Memory** is bounded by ranges, lines, row groups
 * and batches, never by an object. **Bad rows** stop the stream after the rows before them, or are kept: none is dropped in silence. With
 * `keep`, what breaks an object (cut short, another schema, deleted while it is read) is one bad row at the place, and the next object follows.
 *
 * Objects that are empty or whose name has a segment that begins with `.` or `_` (but `_x=…`) aren't read, as in Hive-style folders.
 */
import type { ColumnBatch, RecordBatch } from "@headrace/core/Batch"
import type { PoisonCode } from "@headrace/core/DeadLetter"
import * as TopicSchema from "@headrace/core/TopicSchema"
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Csv from "./internal/source/Csv.ts"
import { decompress } from "./internal/source/Decompress.ts"
import { eligible, type Format, formatOf } from "./internal/source/Eligible.ts"
import { Failure } from "./internal/source/Failure.ts"
import { type BadAt, columnsOf, toRecords } from "./internal/source/Forms.ts"
import * as Lines from "./internal/source/Lines.ts"
import * as Listing from "./internal/source/Listing.ts"
import { headOf, open as openBytes } from "./internal/source/ObjectBytes.ts"
import { badRow, type Position, type Reader, type Rows, slice } from "./internal/source/Rows.ts"
import * as Table from "./internal/source/Table.ts"
import { type ObjectHead, ObjectStore, type Service } from "./ObjectStore.ts"
import {
  BadRow,
  BrokenObject,
  ObjectChanged,
  ObjectSourceError,
  OtherSchema,
  StoreFailed,
  UnknownFormat,
  UnsupportedForm
} from "./ObjectSourceError.ts"

export { decimal, instant } from "@headrace/core/TopicSchema"
export { partitionsOf } from "./internal/source/Eligible.ts"

/** Where a stream goes on. Plain JSON. */
export const Checkpoint = Schema.Struct({
  /** The object read last. */
  key: Schema.String,
  /** Rows of it that were given. */
  row: Schema.Int,
  /** Rows given in all. */
  offset: Schema.Int,
  /** Of the object, where the store has one. */
  etag: Schema.optionalKey(Schema.String),
  /** Where its rows that were given end, in bytes and lines, where reading can begin there: of plain lines. */
  at: Schema.optionalKey(Schema.Struct({ byte: Schema.Int, line: Schema.Int })),
  /** The objects before it: how many, and a print of their names and sizes. */
  past: Schema.optionalKey(Schema.Struct({ objects: Schema.Int, print: Schema.Int }))
})
export type Checkpoint = typeof Checkpoint.Type

/** What both forms have in common. */
export interface Options {
  /** What the keys begin with; usually a folder, with its slash. */
  readonly prefix: string
  /** The topic of the batches. Default: the prefix. */
  readonly name?: string
  /** Default: by each object's extension (.ndjson, .jsonl, .json, .csv, .parquet, before .gz or .zst). Compression is told by the bytes. */
  readonly format?: Format
  /** Globs over the part of the key below the prefix's folder: `*` within a segment, `**` across them, `?` one character. */
  readonly include?: string | ReadonlyArray<string>
  /** Go on after this. */
  readonly from?: Checkpoint | undefined
  /**
   * Endless: when all objects are read, list again each `interval` (on `Clock`). New objects must sort after the last one read; one that doesn't
   * is a `PastChanged`, never skipped in silence. Objects that were read may be removed.
   */
  readonly follow?: { readonly interval: Duration.Input }
  /** When the objects before the checkpoint or the last one read aren't those that were read: fail, or warn and go on. Default `"strict"`. */
  readonly past?: "strict" | "ignore"
  /** Default `"stop"`. */
  readonly badRows?: "stop" | "keep"
  readonly csv?: Csv.CsvOptions
  /** Rows in a batch, at most. Default 8,192. */
  readonly maxRows?: number
  /** A longer line is a bad row. Default 16 MiB. */
  readonly maxLineBytes?: number
  /** A Parquet row group whose wanted columns take more isn't read. Default 512 MiB. */
  readonly maxRowGroupBytes?: number
  /** Bytes of a request. Default 4 MiB. */
  readonly rangeBytes?: number
  /** Requests under way while a range is used. Default 2. */
  readonly readAhead?: number
}

/** Columns that are declared, of any format. */
export interface ColumnOptions extends Options {
  /** The columns: a struct, or what `TopicSchema.make` made of it. Others aren't read. */
  readonly schema: TopicSchema.StructLike | TopicSchema.TopicSchema
  /** Those of the columns that stand in the keys, as in `date=2026-03-25/`, and not in the rows. */
  readonly partitions?: ReadonlyArray<string>
}

/** Rows in the column form. Poison rows are in the batch, by its `kinds` and `poison`. */
export interface SourceBatch {
  readonly batch: ColumnBatch
  /** The object's key. */
  readonly object: string
  /** The line of each row in its object, or its row in a Parquet object, from 1. */
  readonly lines: Float64Array
  /** Goes on after this batch. */
  readonly resume: Checkpoint
}

/** A row that was kept because it isn't valid. */
export interface KeptRow {
  readonly offset: number
  readonly line: number
  readonly code: PoisonCode
  readonly detail: string
  /** Its bytes, at most 64 KiB of them. */
  readonly bytes: Uint8Array
}

/** Rows in the bytes form: record values without key, of timestamp 0. The batch covers bad rows but doesn't hold them. */
export interface RecordsBatch {
  readonly batch: RecordBatch
  readonly object: string
  /** The line of each record in its object, from 1. */
  readonly lines: Float64Array
  readonly bad: ReadonlyArray<KeptRow>
  readonly resume: Checkpoint
}

/** What a batch of either form is made of. */
interface Finished<A> {
  readonly make: (object: string, resume: Checkpoint) => A
  /** The first bad row. */
  readonly bad: Pick<BadAt, "index" | "code" | "field" | "detail"> | undefined
}

/** An object under way. */
interface Current {
  readonly listed: Listing.Listed
  readonly head: ObjectHead | undefined
  readonly reader: Reader
  readonly scope: Scope.Closeable
  readonly table: boolean
  /** Rows that were given before the checkpoint. */
  readonly skip: number
  readonly finish: (rows: Rows, base: number) => Effect.Effect<Finished<unknown>>
  /** Rows that the reader gave, and those it left out. */
  seen: number
  broken: boolean
}

const wrap = (reason: ObjectSourceError["reason"]) => new ObjectSourceError({ reason })

const errorOf = (object: string, line: number, { cause, detail, kind }: Failure): ObjectSourceError => {
  switch (kind) {
    case "broken":
      return wrap(new BrokenObject({ object, line, detail }))
    case "schema":
      return wrap(new OtherSchema({ object, detail }))
    case "changed":
      return wrap(new ObjectChanged({ object, line, detail }))
    case "store":
      return wrap(new StoreFailed({ object, cause: cause! }))
  }
}

/** How a form makes batches of the rows of one object. */
interface Form {
  /** The columns that the rows should have; undefined for lines as they are. */
  readonly columns: TopicSchema.TopicSchema["columns"] | undefined
  readonly tables: boolean
  readonly finisher: (
    key: string
  ) => Effect.Effect<{ readonly finish: Current["finish"]; readonly failure: Failure | undefined }>
}

const openReader = (
  store: Service,
  options: Options,
  form: Form,
  format: Format,
  key: string,
  head: ObjectHead,
  skip: number,
  at: Position | undefined
): Effect.Effect<Reader, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { maxLineBytes = 16 << 20, maxRowGroupBytes = 512 << 20, maxRows = 8192 } = options
    const { rangeBytes = 4 << 20, readAhead = 2 } = options
    const columns = form.columns
    if (format === "parquet")
      return yield* Table.make(store, key, head, { columns: columns ?? [], skip, maxRows, maxRowGroupBytes })
    const start = at ?? { byte: 0, line: 0 }
    const input = yield* openBytes(store, key, head, { start: start.byte, rangeBytes, readAhead })
    const { bytes, plain } = at === undefined ? yield* decompress(input) : { bytes: input, plain: true }
    if (format === "ndjson") {
      const lines = Lines.make(bytes, { maxLineBytes, maxRows, start })
      return plain ? lines : { ...lines, position: undefined }
    }
    const keep = options.badRows === "keep"
    return yield* Csv.make(bytes, { ...options.csv, columns, maxLineBytes, maxRows, keep })
  })

/** A reader of an object that could not be opened. */
const failing = (failure: Failure): Reader => ({
  next: Effect.fail(failure),
  line: () => 0,
  rest: () => new Uint8Array(0)
})

const checkLimits = (options: Options): void => {
  for (const name of ["maxRows", "maxLineBytes", "maxRowGroupBytes", "rangeBytes", "readAhead"] as const) {
    const [value, least] = [options[name], name === "readAhead" ? 0 : 1]
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least))
      throw new RangeError(`${name} is a whole number from ${least}, not ${value}`)
  }
}

const run = <A>(options: Options, form: Form): Stream.Stream<A, ObjectSourceError, ObjectStore> => {
  checkLimits(options)
  return Stream.fromPull(
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const outer = yield* Effect.scope
      const { badRows = "stop", follow, from, include, prefix } = options
      const nextObject = yield* Listing.make(store, {
        prefix,
        eligible: eligible(prefix, typeof include === "string" ? [include] : include),
        follow,
        past: options.past ?? "strict",
        from: from === undefined ? undefined : { key: from.key, row: from.row, past: from.past }
      })
      let offset = from?.offset ?? 0
      let current: Current | undefined
      /** What ends the stream after the batch that was given. */
      let failure: ObjectSourceError | undefined

      const open = Effect.fnUntraced(function* (listed: Listing.Listed): Effect.fn.Return<Current, ObjectSourceError> {
        const { key } = listed.object
        const format = options.format ?? formatOf(key)
        if (format === undefined) return yield* wrap(new UnknownFormat({ object: key }))
        const table = format === "parquet"
        if (table && !form.tables) return yield* wrap(new UnsupportedForm({ object: key }))
        const skip = key === from?.key ? from.row : 0
        const at = key === from?.key && format === "ndjson" ? from.at : undefined
        const scope = yield* Scope.fork(outer)
        const head = yield* Effect.result(headOf(store, key))
        if (skip > 0 && head._tag === "Success" && from?.etag !== undefined && head.success.etag !== from.etag)
          return yield* wrap(
            new ObjectChanged({ object: key, line: skip, detail: "was replaced since the checkpoint" })
          )
        const { failure: keyFailure, finish } = yield* form.finisher(key)
        const reader = yield* Effect.gen(function* () {
          if (keyFailure !== undefined) return yield* keyFailure
          return yield* openReader(store, options, form, format, key, yield* Effect.fromResult(head), skip, at)
        }).pipe(
          Scope.provide(scope),
          Effect.catch((failed) => Effect.succeed(failing(failed)))
        )
        const known = head._tag === "Success" ? head.success : undefined
        return {
          listed,
          head: known,
          scope,
          table,
          skip,
          seen: table || at !== undefined ? skip : 0,
          broken: false,
          finish,
          reader
        }
      })

      /** The next rows; under the policy `keep`, what breaks the object is the last. */
      const read = (object: Current): Effect.Effect<Rows | undefined, ObjectSourceError> =>
        object.broken
          ? Effect.succeed(undefined)
          : Effect.catch(object.reader.next, (failed) => {
              const { key } = object.listed.object
              const line = object.reader.line()
              if (badRows === "stop" || failed.kind === "store") return Effect.fail(errorOf(key, line, failed))
              object.broken = true
              if (object.table) object.seen = Math.min(object.seen, line)
              const detail = errorOf(key, line, failed).message
              // What was read up to the checkpoint can't be read any more, so the rows behind it would be lost in silence.
              if (object.seen < object.skip - (failed.kind === "changed" ? 0 : 1))
                return Effect.fail(wrap(new ObjectChanged({ object: key, line: object.skip, detail: failed.detail })))
              return Effect.succeed(badRow(object.reader.rest(), line + 1, { code: "malformed", detail }))
            })

      const resumeAt = ({ head, listed, seen }: Current, at: Position | undefined): Checkpoint => ({
        key: listed.object.key,
        row: seen,
        offset,
        ...(head?.etag === undefined ? {} : { etag: head.etag }),
        ...(at === undefined ? {} : { at }),
        past: listed.past
      })

      const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<A>, ObjectSourceError> = Effect.gen(function* () {
        for (;;) {
          if (failure !== undefined) return yield* failure
          if (current === undefined) {
            const listed = yield* nextObject
            if (listed === undefined) return yield* Cause.done()
            current = yield* open(listed)
          }
          const object = current
          const found = yield* read(object)
          if (found === undefined) {
            yield* Scope.close(object.scope, Exit.void)
            current = undefined
            continue
          }
          const given = Math.min(found.count, Math.max(0, object.skip - object.seen))
          object.seen += given
          if (given === found.count) continue
          let rows = slice(found, given, found.count)
          let finished = yield* object.finish(rows, offset)
          let at = object.broken ? undefined : object.reader.position?.()
          if (finished.bad !== undefined && badRows === "stop") {
            const { code, detail, field, index } = finished.bad
            const line = rows.lines[index]!
            failure = wrap(new BadRow({ object: object.listed.object.key, line, code, field, detail }))
            if (index === 0) continue
            rows = slice(rows, 0, index)
            finished = yield* object.finish(rows, offset)
            at = undefined
          }
          object.seen += rows.count
          offset += rows.count
          return [finished.make(object.listed.object.key, resumeAt(object, at)) as A]
        }
      })
      return pull
    })
  ).pipe(Stream.scoped)
}

/**
 * The rows of NDJSON and CSV objects as record values: lines as they are, and CSV rows as JSON objects (of texts, or by `schema` where it is
 * given). NDJSON isn't decoded, so a line that isn't JSON isn't bad here. A batch is a view that is valid until the next pull. Throws a `RangeError` when a limit is no number for one.
 */
export const records = (
  options: Options & { readonly schema?: TopicSchema.StructLike | TopicSchema.TopicSchema }
): Stream.Stream<RecordsBatch, ObjectSourceError, ObjectStore> => {
  const name = options.name ?? options.prefix
  const finish = (rows: Rows, base: number): Effect.Effect<Finished<RecordsBatch>> =>
    Effect.sync(() => {
      if (rows._tag === "table") throw new Error("a table has no lines")
      const { bad, batch, lines } = toRecords(name, rows, base)
      return {
        bad: bad[0],
        make: (object, resume) => ({
          batch,
          object,
          lines,
          resume,
          bad: bad.map(({ bytes, code, detail, index }) => ({
            offset: base + index,
            line: rows.lines[index]!,
            code,
            detail,
            bytes
          }))
        })
      }
    })
  const columns = options.schema === undefined ? undefined : schemaOf(options.schema).columns
  return run(options, { columns, tables: false, finisher: () => Effect.succeed({ finish, failure: undefined }) })
}

/**
 * The rows of objects in the column form, checked against the schema as a codec does. Throws a `TypeError` that names the field when one can't
 * be a column, and a `RangeError` when a limit is no number for one.
 */
export const columns = (options: ColumnOptions): Stream.Stream<SourceBatch, ObjectSourceError, ObjectStore> => {
  const compiled = columnsOf(options.name ?? options.prefix, schemaOf(options.schema), options.partitions ?? [])
  const finisher = (key: string) =>
    Effect.map(compiled.fromKey(key), ({ failure, values }) => ({
      failure,
      finish: (rows: Rows, base: number) =>
        Effect.map(compiled.toColumns(rows, base, values), (batch): Finished<SourceBatch> => {
          let bad: Finished<SourceBatch>["bad"]
          for (const [index, poison] of batch.poison)
            if (bad === undefined || index < bad.index) bad = { ...poison, index }
          return { bad, make: (object, resume) => ({ batch, object, lines: rows.lines, resume }) }
        })
    }))
  return run(options, { columns: compiled.schema.columns, tables: true, finisher })
}

const schemaOf = (schema: TopicSchema.StructLike | TopicSchema.TopicSchema): TopicSchema.TopicSchema =>
  "fingerprint" in schema ? schema : TopicSchema.make(schema)
