/** Type-checks a project's modules with the TypeScript that the project itself resolves, by the project's own `tsconfig.json` if it has one. */
import { execFile } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, relative, resolve } from "node:path"
import { Effect } from "effect"

/** A diagnostic in one of the project's own files. */
export interface Diagnostic {
  /** Relative to the project's folder. */
  readonly file: string
  readonly line: number
  readonly message: string
}

export type Outcome =
  | {
      readonly checked: true
      readonly by: string
      readonly diagnostics: ReadonlyArray<Diagnostic>
      /** Modules that the project's `tsconfig.json` leaves out, relative to its folder. */
      readonly leftOut: ReadonlyArray<string>
    }
  | { readonly checked: false; readonly reason: string }

/** Options for a project that says none: as strict as the packages are written for. */
const defaults = [
  "--strict",
  "--exactOptionalPropertyTypes",
  "--noUncheckedIndexedAccess",
  "--module",
  "nodenext",
  "--target",
  "es2024",
  "--lib",
  "esnext",
  "--allowImportingTsExtensions",
  "--erasableSyntaxOnly",
  "--skipLibCheck"
]

const resolved = (folder: string, specifier: string): string | undefined => {
  try {
    return createRequire(join(folder, "headrace.config.ts")).resolve(specifier)
  } catch {
    return undefined
  }
}

interface Compiler {
  readonly version: string
  readonly tsc: string
}

const compilerOf = (folder: string): Compiler | undefined => {
  const manifest = resolved(folder, "typescript/package.json")
  if (manifest === undefined) return undefined
  const { bin, version } = JSON.parse(readFileSync(manifest, "utf8")) as {
    readonly bin?: { readonly tsc?: string }
    readonly version: string
  }
  return bin?.tsc === undefined ? undefined : { version, tsc: join(dirname(manifest), bin.tsc) }
}

/** Runs `tsc`; gives its code and what it printed. */
const run = (tsc: string, args: ReadonlyArray<string>, folder: string) =>
  Effect.callback<{ readonly code: number; readonly text: string }>((resume) => {
    const own = "Deno" in globalThis ? ["run", "-A"] : []
    const child = execFile(
      process.execPath,
      [...own, tsc, ...args],
      { cwd: folder, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1
        resume(Effect.succeed({ code, text: `${stdout}${stderr}` }))
      }
    )
    return Effect.sync(() => void child.kill())
  })

const pattern = /^(.+?)\((\d+),\d+\): error (TS\d+: .*)$/

/** The errors in the project's own files: what it depends on is not its to mend. */
export const parse = (text: string, folder: string): ReadonlyArray<Diagnostic> =>
  text.split(/\r?\n/).flatMap((line) => {
    const match = pattern.exec(line)
    if (match === null) return []
    const file = relative(folder, resolve(folder, match[1]!))
    return file.startsWith("..") || file.split("/").includes("node_modules")
      ? []
      : [{ file, line: Number(match[2]), message: match[3]! }]
  })

/** Checks the modules; a project without TypeScript is told so. */
export const check = Effect.fnUntraced(function* (
  folder: string,
  modules: ReadonlyArray<string>
): Effect.fn.Return<Outcome> {
  const compiler = compilerOf(folder)
  if (compiler === undefined)
    return { checked: false, reason: "typescript isn't installed in the project: npm install --save-dev typescript" }
  const config = join(folder, "tsconfig.json")
  const types = resolved(folder, "@types/node/package.json") === undefined ? [] : ["--types", "node"]
  const own = existsSync(config)
  // From version 6 on a configuration of a folder above would be in the way; before it isn't looked for.
  const alone = Number.parseInt(compiler.version, 10) >= 6 ? ["--ignoreConfig"] : []
  const args = own ? ["-p", config] : [...defaults, ...alone, ...types, ...modules]
  const { code, text } = yield* run(compiler.tsc, ["--noEmit", "--pretty", "false", "--listFiles", ...args], folder)
  const diagnostics = parse(text, folder)
  // An error of no file: options that don't fit, or a compiler that didn't start.
  const general = text.split(/\r?\n/).find((line) => /^error TS\d+: /.test(line))
  if (general !== undefined || (code !== 0 && !/: error TS\d+: /.test(text)))
    return { checked: false, reason: (general ?? text.trim()).slice(0, 500) }
  const by = `typescript ${compiler.version} ${own ? "by tsconfig.json" : "with strict options"}`
  const seen = new Set(text.split(/\r?\n/).map((line) => resolve(folder, line)))
  const leftOut = modules.filter((m) => !seen.has(m)).map((m) => relative(folder, m))
  return { checked: true, by, diagnostics, leftOut }
})
