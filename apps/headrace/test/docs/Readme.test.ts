/** The examples of the documents are programs: each `ts` block type-checks, and runs to its end in a folder of its own. One that needs a server
 * is marked `ts broker` and run by its package's integration suite; a line of code within prose is `ts excerpt`. */
import { execFile } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { commandOf } from "../support/Child.ts"

const root = join(import.meta.dirname, "../../../..")

const documents = ["packages", "docs", "."].flatMap((folder) => {
  const at = join(root, folder)
  const own = join(at, "README.md")
  const below = folder === "." || !existsSync(at) ? [] : readdirSync(at).map((name) => join(at, name, "README.md"))
  return [own, ...below].filter((file) => existsSync(file))
})

/** The `ts` blocks of a document, with the line at which each begins. */
const blocksOf = (file: string) => {
  const text = readFileSync(file, "utf8")
  return Array.from(text.matchAll(/^```ts\n(.*?)^```$/gms), (match) => ({
    name: `${relative(root, file)}:${text.slice(0, match.index).split("\n").length + 1}`,
    code: match[1]!
  }))
}

const run = (command: string, args: ReadonlyArray<string>, cwd: string) =>
  new Promise<string | undefined>((resolve) => {
    execFile(command, args, { cwd, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve(error === null ? undefined : `${error.message}\n${stdout}\n${stderr}`)
    )
  })

// Within the repository, so that imports are resolved as a user's are.
const place = mkdtempSync(join(import.meta.dirname, ".run-"))
afterAll(() => rmSync(place, { recursive: true, force: true }))

const blocks = documents.flatMap(blocksOf).map(({ code, name }, i) => {
  const folder = join(place, `${i}`)
  mkdirSync(folder)
  writeFileSync(join(folder, "example.ts"), code)
  return { name, folder }
})

describe("The documents' examples", () => {
  it("are there", () => {
    assert.isAtLeast(blocks.length, 5)
  })

  for (const { folder, name } of blocks) {
    it.concurrent(`${name} runs`, async () => {
      const [command, args] = commandOf(join(folder, "example.ts"))
      assert.isUndefined(await run(command, args, folder))
    })
  }

  // The compiler says the same whatever runs the tests.
  if (process.versions["bun"] === undefined && process.versions["deno"] === undefined) {
    it("type-check", async () => {
      const config = {
        extends: join(root, "tsconfig.test.json"),
        include: ["*/example.ts"],
        references: [],
        compilerOptions: { rootDir: root }
      }
      writeFileSync(join(place, "tsconfig.json"), JSON.stringify(config))
      const compiler = join(root, "node_modules/typescript/bin/tsc")
      assert.isUndefined(await run(process.execPath, [compiler, "-p", place], place))
    })
  }
})
