/** Jars from Maven by a `pom.xml`, kept in `node_modules/.cache`. */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { BrokerError, Io, Missing } from "./BrokerError.ts"
import * as Command from "./Command.ts"

/** The Java that runs what is downloaded. */
export const java = "java"

const root = path.join(import.meta.dirname, "../..")

/** Where the harness keeps what it downloaded and built. */
export const cache = path.join(root, "node_modules/.cache/headrace")

/** A file operation with its error. */
export const io = <A>(operation: string, file: string, f: () => Promise<A>): Effect.Effect<A, BrokerError> =>
  Effect.tryPromise({ try: f, catch: (cause) => new BrokerError({ reason: new Io({ path: file, operation, cause }) }) })

/** What to download. */
export interface Options {
  /** The folder below {@link cache}: the name and the version. */
  readonly name: string
  readonly pom: string
  /** For the `pom.xml`. */
  readonly properties: Readonly<Record<string, string>>
  /** A jar that is there when all are. */
  readonly whole: string
}

/** The folder of the jars that a `pom.xml` depends on; the first call downloads them. Safe to call from several processes at once. */
export const download = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<string, BrokerError> {
  const folder = path.join(cache, options.name)
  const whole = path.join(folder, options.whole)
  const isThere = Effect.promise(() =>
    fs.access(whole).then(
      () => true,
      () => false
    )
  )
  if (yield* isThere) return folder
  const temporary = path.join(cache, `.${options.name}-${randomUUID()}`)
  yield* io("make", cache, () => fs.mkdir(cache, { recursive: true }))
  yield* Command.run("mvn", [
    "--batch-mode",
    "--quiet",
    `--file=${options.pom}`,
    ...Object.entries(options.properties).map(([name, value]) => `-D${name}=${value}`),
    `-DoutputDirectory=${temporary}`,
    "-DincludeScope=runtime",
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
  ])
  // Another process may have been faster: then its folder stays.
  yield* Effect.promise(() =>
    fs.rename(temporary, folder).catch(() => fs.rm(temporary, { recursive: true, force: true }))
  )
  if (yield* isThere) return folder
  return yield* new BrokerError({
    reason: new Missing({ what: `"${whole}" isn't there after the download`, todo: `delete "${folder}" and run again` })
  })
})
