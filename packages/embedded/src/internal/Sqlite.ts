/**
 * Opening a SQLite file for several processes, and its failures as typed errors.
 */
import { mkdirSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { NewerFormat, StorageFailed } from "@headrace/core/EventLog"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

export interface Options {
  readonly path: string
  /** How long a statement waits for another process's lock, in milliseconds; its thread waits with it. Default 5,000. */
  readonly busyTimeoutMillis?: number
  /** Bytes of a page in a file that is made now. Default SQLite's own, 4,096. */
  readonly pageSize?: number
}

const timeoutOf = (options: Options): number => options.busyTimeoutMillis ?? 5_000

type Kind = StorageFailed["kind"]

const advice: Readonly<Record<Exclude<Kind, "other">, string>> = {
  "no-space": "the disk is full: make room and start again, what was acknowledged is there",
  "no-rights": "it can't be opened or written: check that it is a file, and the owner and rights of it and its folder",
  corrupt: "the file is damaged: restore it, or delete it and replay",
  busy: "another process holds its lock: stop that process, or raise the busy timeout"
}

/** SQLite's primary result codes (`sqlite.org/rescode.html`). */
const byResultCode: ReadonlyMap<number, Kind> = new Map([
  [3, "no-rights"],
  [5, "busy"],
  [6, "busy"],
  [8, "no-rights"],
  [11, "corrupt"],
  [13, "no-space"],
  [14, "no-rights"],
  [26, "corrupt"]
])
const byErrno: ReadonlyMap<string, Kind> = new Map([
  ["ENOSPC", "no-space"],
  ["EDQUOT", "no-space"],
  ["EACCES", "no-rights"],
  ["EPERM", "no-rights"],
  ["EROFS", "no-rights"]
])
/** Deno gives no result code with most errors, but SQLite's text. */
const byText: ReadonlyArray<readonly [RegExp, Kind]> = [
  [/disk is full/, "no-space"],
  [/readonly database|unable to open database|access permission denied/, "no-rights"],
  [/malformed|not a database/, "corrupt"],
  [/is locked/, "busy"]
]

const kindOf = (cause: unknown): Kind => {
  if (!(cause instanceof Error)) return "other"
  const { code, errcode } = cause as Error & { readonly code?: unknown; readonly errcode?: unknown }
  return (
    (typeof errcode === "number" ? byResultCode.get(errcode & 0xff) : undefined) ??
    (typeof code === "string" ? byErrno.get(code) : undefined) ??
    byText.find(([pattern]) => pattern.test(cause.message))?.[1] ??
    "other"
  )
}

/** The typed form of whatever `node:sqlite` or the file system threw. */
export const toStorageFailed = (path: string, cause: unknown): StorageFailed => {
  const text = cause instanceof Error ? cause.message : String(cause)
  const kind = kindOf(cause)
  return new StorageFailed({ path, kind, detail: kind === "other" ? text : `${advice[kind]} (${text})`, cause })
}

/** Runs a synchronous piece of work; what it throws becomes a `StorageFailed`. */
export const attempt = <A>(path: string, work: () => A): Effect.Effect<A, StorageFailed> =>
  Effect.try({ try: work, catch: (cause) => toStorageFailed(path, cause) })

/** What a file holds, so that it is told from the files of other programs and of other versions. */
export interface Layout {
  /** SQLite's `application_id`. */
  readonly application: number
  /** SQLite's `user_version`: the one format that is read and written. */
  readonly format: number
  /** The SQL that makes the tables. */
  readonly tables: string
}

const numberOf = (db: DatabaseSync, sql: string): number => Object.values(db.prepare(sql).get() ?? {})[0] as number

/** `new` for an empty file, `ours` for one of the layout; else why it is refused. To be called in a transaction: it reads one state. */
const inspect = (db: DatabaseSync, path: string, layout: Layout): "new" | "ours" | StorageFailed | NewerFormat => {
  const application = numberOf(db, "PRAGMA application_id")
  const found = numberOf(db, "PRAGMA user_version")
  const refused = (detail: string) => new StorageFailed({ path, kind: "other", detail, cause: undefined })
  if (application !== layout.application)
    return application === 0 && found === 0 && numberOf(db, "SELECT count(*) FROM sqlite_schema") === 0
      ? "new"
      : refused("it is a database of another kind or another program: give another path")
  if (found > layout.format) return new NewerFormat({ path, found, supported: layout.format })
  if (found === layout.format) return "ours"
  return refused(
    `it has format ${found}, which this version (format ${layout.format}) doesn't read any more: give another path and load it anew`
  )
}

const prepare = (db: DatabaseSync, options: Options, layout: Layout): StorageFailed | NewerFormat | undefined => {
  db.exec(`PRAGMA busy_timeout = ${timeoutOf(options)}`)
  const state = transaction(db, () => inspect(db, options.path, layout), "DEFERRED")
  if (typeof state !== "string") return state
  if (options.pageSize !== undefined) db.exec(`PRAGMA page_size = ${options.pageSize}`)
  db.exec("PRAGMA journal_mode = WAL")
  db.exec("PRAGMA synchronous = NORMAL")
  if (state === "ours") return undefined
  return transaction(db, () => {
    // Another process may just have made the tables.
    const now = inspect(db, options.path, layout)
    if (now !== "new") return now === "ours" ? undefined : now
    db.exec(layout.tables)
    db.exec(`PRAGMA application_id = ${layout.application}; PRAGMA user_version = ${layout.format}`)
    return undefined
  })
}

/**
 * Opens a file, which is closed with the scope, and makes its tables when it is new. A file of another layout is refused and left as it is.
 *
 * The busy timeout is set before WAL is: the other way round a restart beside a reader dies "locked". Where two processes make one file,
 * SQLite refuses one of them at once, whatever the timeout, lest both wait for ever: it tries again. `synchronous = NORMAL` in WAL loses
 * nothing when the process dies; a power loss may take the last commits, whole.
 */
export const open = (
  options: Options,
  layout: Layout
): Effect.Effect<DatabaseSync, StorageFailed | NewerFormat, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.flatMap(
      attempt(options.path, () => {
        mkdirSync(dirname(resolve(options.path)), { recursive: true })
        const db = new DatabaseSync(options.path)
        try {
          const refused = prepare(db, options, layout)
          if (refused === undefined) return db
          db.close()
          return refused
        } catch (cause) {
          db.close()
          throw cause
        }
      }).pipe(
        Effect.retry({
          schedule: Schedule.spaced("5 millis").pipe(Schedule.upTo({ duration: timeoutOf(options) })),
          while: ({ kind }) => kind === "busy"
        })
      ),
      (opened) => (opened instanceof DatabaseSync ? Effect.succeed(opened) : Effect.fail(opened))
    ),
    (db) => Effect.sync(() => db.close())
  )

/** Runs `work` in one transaction, which takes the write lock first unless it only reads. What it throws rolls back. */
export const transaction = <A>(db: DatabaseSync, work: () => A, mode: "IMMEDIATE" | "DEFERRED" = "IMMEDIATE"): A => {
  db.exec(`BEGIN ${mode}`)
  try {
    const result = work()
    db.exec("COMMIT")
    return result
  } catch (cause) {
    if (db.isTransaction) db.exec("ROLLBACK")
    throw cause
  }
}

/** Runs `work` as {@link transaction} does, and takes back whatever it wrote. */
export const rolledBack = <A>(db: DatabaseSync, work: () => A): A => {
  db.exec("BEGIN IMMEDIATE")
  try {
    return work()
  } finally {
    if (db.isTransaction) db.exec("ROLLBACK")
  }
}
