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
  /** How long a statement waits for another process's lock, in milliseconds. Default 5,000. */
  readonly busyTimeoutMillis?: number
}

const kinds: ReadonlyArray<readonly [pattern: RegExp, kind: StorageFailed["kind"], advice: string]> = [
  [/disk is full|ENOSPC|no space/i, "no-space", "the disk is full: make room and start again, nothing is lost"],
  [
    /readonly|unable to open|EACCES|EPERM|permission/i,
    "no-rights",
    "it can't be opened or written: check the folder's owner and rights"
  ],
  [/malformed|not a database|corrupt/i, "corrupt", "the file is damaged: restore it, or delete it and replay"],
  [/locked|busy/i, "busy", "another process holds its lock: stop that process, or raise the busy timeout"]
]

/** The typed form of whatever `node:sqlite` or the file system threw. */
export const toStorageFailed = (path: string, cause: unknown): StorageFailed => {
  const text = cause instanceof Error ? cause.message : String(cause)
  const known = kinds.find(([pattern]) => pattern.test(text))
  return new StorageFailed({
    path,
    kind: known?.[1] ?? "other",
    detail: known === undefined ? text : `${known[2]} (${text})`,
    cause
  })
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
      db.exec(`PRAGMA busy_timeout = ${options.busyTimeoutMillis ?? 5_000}`)
      db.exec("PRAGMA journal_mode = WAL")
      db.exec("PRAGMA synchronous = NORMAL")
      return db
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

/** Checks the file's format, and makes its tables when it is new. */
export const format = (
  db: DatabaseSync,
  path: string,
  supported: number,
  create: string
): Effect.Effect<void, StorageFailed | NewerFormat> =>
  Effect.gen(function* () {
    const found = yield* attempt(path, () =>
      transaction(db, () => {
        const { user_version } = db.prepare("PRAGMA user_version").get() as { readonly user_version: number }
        if (user_version !== 0) return user_version
        db.exec(create)
        db.exec(`PRAGMA user_version = ${supported}`)
        return supported
      })
    )
    if (found > supported) return yield* new NewerFormat({ path, found, supported })
  })
