/**
 * Opening a SQLite file for several processes, and its failures as typed errors.
 */
import { mkdirSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { NewerFormat, StorageFailed } from "@headrace/core/EventLog"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Options {
  readonly path: string
  /** How long a statement waits for another process's lock, in milliseconds; its thread waits with it. Default 5,000. */
  readonly busyTimeoutMillis?: number
  /** Bytes of a page in a file that is made now. Default SQLite's own, 4,096. */
  readonly pageSize?: number
}

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
  Effect.try({ try: work, catch: (cause) => (cause instanceof StorageFailed ? cause : toStorageFailed(path, cause)) })

/**
 * Opens a file, which is closed with the scope. The busy timeout is set before WAL is: the other way round a restart beside a reader dies
 * "locked". `synchronous = NORMAL` in WAL loses nothing when the process dies; a power loss may take the last commits, whole.
 */
export const open = (options: Options): Effect.Effect<DatabaseSync, StorageFailed, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(options.path, () => {
      mkdirSync(dirname(resolve(options.path)), { recursive: true })
      const db = new DatabaseSync(options.path)
      try {
        db.exec(`PRAGMA busy_timeout = ${options.busyTimeoutMillis ?? 5_000}`)
        if (options.pageSize !== undefined) db.exec(`PRAGMA page_size = ${options.pageSize}`)
        db.exec("PRAGMA journal_mode = WAL")
        db.exec("PRAGMA synchronous = NORMAL")
        db.exec("PRAGMA foreign_keys = OFF")
        return db
      } catch (cause) {
        db.close()
        throw cause
      }
    }),
    (db) => Effect.sync(() => db.close())
  )

/** Runs `work` in one transaction that takes the write lock first. What it throws rolls back. */
export const transaction = <A>(db: DatabaseSync, work: () => A): A => {
  db.exec("BEGIN IMMEDIATE")
  try {
    const result = work()
    db.exec("COMMIT")
    return result
  } catch (cause) {
    if (db.isTransaction) db.exec("ROLLBACK")
    throw cause
  }
}

const versionOf = (db: DatabaseSync): number =>
  (db.prepare("PRAGMA user_version").get() as { readonly user_version: number }).user_version

/** Makes the tables unless another process just has; gives the file's format. */
const create = (db: DatabaseSync, supported: number, tables: string): number =>
  transaction(db, () => {
    const found = versionOf(db)
    if (found !== 0) return found
    const { n } = db.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { readonly n: number }
    if (n > 0) return -1
    db.exec(tables)
    db.exec(`PRAGMA user_version = ${supported}`)
    return supported
  })

/** Checks the file's format (`PRAGMA user_version`), and makes its tables when it is new. */
export const format = (
  db: DatabaseSync,
  path: string,
  supported: number,
  tables: string
): Effect.Effect<void, StorageFailed | NewerFormat> =>
  Effect.gen(function* () {
    const found = yield* attempt(path, () => versionOf(db) || create(db, supported, tables))
    if (found > supported) return yield* new NewerFormat({ path, found, supported })
    if (found === supported) return
    const detail =
      found < 0
        ? "it is a database of another program: give another path"
        : `it has format ${found}, which this version (format ${supported}) doesn't read any more: give another path and load it anew`
    return yield* new StorageFailed({ path, kind: "other", detail, cause: undefined })
  })
