/**
 * A lock on a version that the operating system releases when its holder dies: an exclusive transaction, held open on a small SQLite file
 * of its own.
 */
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { StorageFailed } from "@headrace/core/EventLog"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Sqlite from "./internal/Sqlite.ts"

/** Takes the lock until the scope closes; false when another holds it. */
export const acquire = (path: string): Effect.Effect<boolean, StorageFailed, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Sqlite.attempt(path, () => {
        mkdirSync(dirname(path), { recursive: true })
        const db = new DatabaseSync(path)
        try {
          db.exec("PRAGMA busy_timeout = 0")
          db.exec("BEGIN EXCLUSIVE")
          return db
        } catch (cause) {
          db.close()
          if (Sqlite.toStorageFailed(path, cause).kind === "busy") return undefined
          throw cause
        }
      }),
      (db) => Effect.sync(() => db?.close())
    ),
    (db) => db !== undefined
  )
