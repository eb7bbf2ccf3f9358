/** What the disk and its rights do to the embedded log and store: errors that say what to do, and nothing lost. */
import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import { SqliteLog, SqliteViewStore } from "@headrace/embedded"
import { Effect } from "effect"
import { child, folder, numbered, valuesOf } from "./fixtures.ts"

const system = (command: string, ...args: ReadonlyArray<string>) => execFileSync(command, args, { stdio: "pipe" })

/** A file system of a few megabytes, or why this machine gives none: CI must give one. */
const smallDisk = Effect.flatMap(folder, (made) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = join(made, "small")
      mkdirSync(path)
      try {
        system("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", path)
        return path
      } catch (cause) {
        if (process.env["CI"]) throw cause
        console.warn(`no small disk to fill (mounting needs root): ${String(cause)}`)
        return undefined
      }
    }),
    (path) => Effect.sync(() => path && system("umount", path))
  )
)

describe("Failures", () => {
  it.live("says that the disk is full, keeps what was acknowledged, and goes on when there is room", () =>
    Effect.gen(function* () {
      const disk = yield* smallDisk
      if (disk === undefined) return
      const path = join(disk, "log.db")
      yield* Effect.scoped(Effect.flatMap(SqliteLog.make({ path }), (log) => log.createTopic("t", { partitions: 1 })))
      const filler = yield* child("fill", path)
      const [reason, message, acknowledged] = JSON.parse((yield* filler.line("failed")).slice(7)) as [
        { readonly kind: string },
        string,
        number
      ]
      assert.strictEqual(reason.kind, "no-space")
      assert.include(message, path)
      assert.include(message, "the disk is full")
      yield* filler.ended
      system("mount", "-o", "remount,size=16m", disk)
      const log = yield* SqliteLog.make({ path })
      assert.strictEqual((yield* log.describe("t")).partitions[0]!.end, 10 * acknowledged)
      assert.strictEqual((yield* valuesOf(log, 0)).length, 10 * acknowledged)
      yield* log.append("t", 0, numbered(0, 1_000))
    })
  )

  it.live("says which file it has no rights to", () =>
    Effect.gen(function* () {
      const made = yield* folder
      const closed = join(made, "closed")
      mkdirSync(closed)
      const log = join(made, "log.db")
      yield* Effect.scoped(SqliteLog.make({ path: log }))
      const store = join(made, "views.db")
      yield* Effect.scoped(SqliteViewStore.make({ path: store }))
      for (const path of [log, store]) chmodSync(path, 0o444)
      for (const path of [closed, made]) chmodSync(path, 0o555)
      const paths = [join(closed, "log.db"), join(closed, "below", "log.db"), log, store]
      const other = yield* child("open", ...paths)
      yield* other.line("done")
      chmodSync(made, 0o755)
      const said = other.lines().filter((line) => /^(log|store) /.test(line))
      assert.strictEqual(said.length, 2 * paths.length)
      for (const [i, line] of said.entries()) {
        const [what] = line.split(" ")
        const path = paths[Math.floor(i / 2)]!
        const [tag, kind, message] = JSON.parse(line.slice(what!.length + 1)) as [string, string | undefined, string]
        // A store's file where a log is wanted is refused for that.
        if ((path === log && what === "store") || (path === store && what === "log")) continue
        assert.deepStrictEqual([tag, kind], ["StorageFailed", "no-rights"], line)
        assert.include(message, path)
        assert.include(message, "rights")
      }
    })
  )

  it.live("refuses a path that can't be a file", () =>
    Effect.gen(function* () {
      const made = yield* folder
      const file = join(made, "file")
      writeFileSync(file, "")
      for (const path of [made, join(file, "log.db")]) {
        const failed = yield* Effect.flip(Effect.scoped(SqliteLog.make({ path })))
        assert.strictEqual(failed.reason._tag, "StorageFailed")
        assert.include(failed.message, path)
      }
    })
  )

  it.live("waits for another's lock as long as the busy timeout, and says so then", () =>
    Effect.gen(function* () {
      const made = yield* folder
      const path = join(made, "log.db")
      const log = yield* SqliteLog.make({ path, busyTimeoutMillis: 50 })
      yield* log.createTopic("t", { partitions: 1 })
      const storePath = join(made, "views.db")
      const store = yield* SqliteViewStore.make({ path: storePath, busyTimeoutMillis: 50 })
      for (const [file, write] of [
        [path, Effect.asVoid(log.append("t", 0, numbered(0, 1)))],
        [storePath, Effect.asVoid(store.promote("v", 1))]
      ] as const) {
        const db = new DatabaseSync(file)
        db.exec("BEGIN IMMEDIATE")
        const failed = yield* Effect.flip<void, { readonly reason: object; readonly message: string }, never>(write)
        assert.deepInclude(failed.reason, { _tag: "StorageFailed", kind: "busy" })
        assert.include(failed.message, "busy timeout")
        db.exec("ROLLBACK")
        db.close()
      }
      assert.deepStrictEqual(yield* log.append("t", 0, numbered(0, 1)), { base: 0, next: 1 })
    })
  )
})
