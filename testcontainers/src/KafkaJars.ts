/** The jars of a Kafka broker, from Maven, kept in `node_modules/.cache`. */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { BrokerError, Io, Missing } from "./BrokerError.ts"
import * as Command from "./Command.ts"

/** The version of Kafka that both ways of running have. */
export const version = "4.4.0"

/** The Java that runs the broker. */
export const java = "java"

const root = path.join(import.meta.dirname, "../..")

/** Where the harness keeps what it downloaded and built. */
export const cache = path.join(root, "node_modules/.cache/headrace")

/** A file operation with its error. */
export const io = <A>(operation: string, file: string, f: () => Promise<A>): Effect.Effect<A, BrokerError> =>
  Effect.tryPromise({ try: f, catch: (cause) => new BrokerError({ reason: new Io({ path: file, operation, cause }) }) })

/** Fails with what is missing for a broker process: Java 17 and Maven. */
export const check: Effect.Effect<void, BrokerError> = Effect.gen(function* () {
  const missing = (what: string) =>
    new BrokerError({ reason: new Missing({ what, todo: "install a JDK of version 17 or newer, and Maven" }) })
  const printed = yield* Command.run(java, ["-version"], { seconds: 20 }).pipe(
    Effect.mapError(() => missing("there is no java"))
  )
  const major = Number(/version "(?:1\.)?(\d+)/.exec(printed)?.[1] ?? 0)
  if (major < 17) return yield* missing(`java is of version ${major}, Kafka ${version} needs 17`)
  if (!(yield* Command.works("mvn", ["-v"]))) return yield* missing("there is no mvn")
})

/** The folder of the jars; the first call downloads them. Safe to call from several processes at once. */
export const libs: Effect.Effect<string, BrokerError> = Effect.gen(function* () {
  const folder = path.join(cache, `kafka-${version}`)
  const whole = path.join(folder, `kafka_2.13-${version}.jar`)
  const isThere = Effect.promise(() =>
    fs.access(whole).then(
      () => true,
      () => false
    )
  )
  if (yield* isThere) return folder
  const temporary = path.join(cache, `.kafka-${version}-${randomUUID()}`)
  yield* io("make", cache, () => fs.mkdir(cache, { recursive: true }))
  yield* Command.run("mvn", [
    "--batch-mode",
    "--quiet",
    `--file=${path.join(root, "testcontainers/images/kafka/pom.xml")}`,
    `-Dkafka.version=${version}`,
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
