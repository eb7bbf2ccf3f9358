/** A folder without rights. Root ignores modes, so that another user's process tries. */
import { assert, describe, it } from "@effect/vitest"
import { FolderObjectStore } from "@headrace/s3"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { create, temporaryFolder } from "./fixtures.ts"

const nobody = 65534

/** What the child says, run by the runtime that runs this. */
const said = (folder: string) =>
  Effect.promise(
    () =>
      new Promise<Readonly<Record<string, string>>>((resolve, reject) => {
        const file = path.join(import.meta.dirname, "rights.child.ts")
        const arguments_ = [...(process.versions["deno"] === undefined ? [] : ["run", "-A"]), file, folder]
        const user = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}
        const env = { ...process.env, HOME: path.join(folder, "home"), DENO_DIR: path.join(folder, "home") }
        execFile(process.execPath, arguments_, { ...user, env, cwd: folder }, (error, stdout, stderr) =>
          error === null
            ? resolve(JSON.parse(stdout) as Readonly<Record<string, string>>)
            : reject(new Error(`${error.message}\n${stderr}`))
        )
      })
  )

describe("a folder without rights", () => {
  it.live("is refused with the file, what was tried, and what to do", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      for (const name of ["readable", "closed"])
        yield* Effect.provide(create("t"), FolderObjectStore.layer({ path: path.join(folder, name) }))
      const mode = (name: string, bits: number) => Effect.promise(() => fs.chmod(path.join(folder, name), bits))
      yield* Effect.promise(() => fs.mkdir(path.join(folder, "home")))
      yield* mode("home", 0o777)
      yield* mode(".", 0o755)
      yield* mode("readable", 0o555)
      yield* mode("closed", 0o000)
      const messages = yield* said(folder).pipe(
        // So that the folder can be removed again.
        Effect.ensuring(Effect.all([mode("closed", 0o755), mode("readable", 0o755)]))
      )
      assert.strictEqual(messages["read"], "it could")
      for (const [name, key, file] of [
        ["make", `${folder}/readable/new`, "readable/new"],
        ["create", "other/metadata/v1.metadata.json", "readable/other"],
        ["load", "t/metadata/version-hint.text", "closed/t/metadata/version-hint.text"]
      ] as const) {
        const message = messages[name]!
        assert.match(
          message,
          /^no permission to (create|write|read) ".*" \(.*\); grant this process read and write access to it$/
        )
        assert.include(message, `"${key}"`)
        assert.include(message, path.join(folder, file))
      }
    })
  )
})
