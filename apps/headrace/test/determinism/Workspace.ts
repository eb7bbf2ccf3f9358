/** A project in a folder of its own, outside the source tree, that is removed with the scope. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { Project } from "headrace"

const config = {
  log: { path: "data/log.db" },
  archive: { path: "data/archive" },
  store: { path: "data/views.db" },
  views: ["views.ts"]
}

/** In memory where the system has such a folder (`fsync` takes most of the time elsewhere): a process that dies leaves the same there. */
const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()

/** The project of the suite's views. */
export const make = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(parent, "headrace-determinism-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
  write("package.json", `{ "type": "module" }\n`)
  write("headrace.config.ts", `export default ${JSON.stringify(config)}\n`)
  write("views.ts", `export * from ${JSON.stringify(join(import.meta.dirname, "views.ts"))}\n`)
  return yield* Project.load(folder)
})
