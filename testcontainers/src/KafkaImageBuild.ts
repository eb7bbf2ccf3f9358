/**
 * Builds `headrace/kafka:local`, an image that behaves like Kafka's official one, where no image registry can be reached: the broker's Maven
 * jars, a Java runtime cut from the JDK of this machine with the C libraries that it links against, and busybox as its shell.
 *
 * The settings come from `KAFKA_…` variables through Kafka's own `KafkaDockerWrapper`, as in the official image. For Linux with glibc.
 */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { BrokerError, Missing } from "./BrokerError.ts"
import * as Command from "./Command.ts"
import * as Jars from "./Jars.ts"
import * as KafkaJars from "./KafkaJars.ts"

/** The name of the image. */
export const tag = "headrace/kafka:local"

const recipe = path.join(import.meta.dirname, "../images/kafka")

// java.desktop holds java.beans, which log4j needs.
const modules = [
  "java.base",
  "java.desktop",
  "java.logging",
  "java.management",
  "java.naming",
  "java.security.jgss",
  "java.security.sasl",
  "java.sql",
  "java.xml",
  "jdk.crypto.ec",
  "jdk.management",
  "jdk.net",
  "jdk.unsupported"
]
const unused = /^lib(?:awt|fontmanager|freetype|harfbuzz|javajpeg|jsound|lcms|mlib|splash)/

/** Parts of the C library that no file of the runtime links against, but the compression codecs in the jars do. */
const forCodecs = ["libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"]

const missing = (what: string, todo: string) => new BrokerError({ reason: new Missing({ what, todo }) })

/** The Java home with `jlink` and its modules. */
const findJdk: Effect.Effect<string, BrokerError> = Effect.gen(function* () {
  const settings = yield* Command.run(Jars.java, ["-XshowSettings:properties", "-version"], { seconds: 20 }).pipe(
    Effect.mapError(() => missing("there is no java to build the image from", "install a JDK of version 17 or newer"))
  )
  const home = process.env["JAVA_HOME"] ?? /java\.home = (.+)/.exec(settings)?.[1]?.trim() ?? ""
  if (yield* Command.works(path.join(home, "bin/jlink"), ["--version"])) return home
  return yield* missing(
    `the Java in "${home}" has no jlink`,
    "install a JDK of version 17 or newer, or set JAVA_HOME to one"
  )
})

const findBusybox: Effect.Effect<string, BrokerError> = Effect.gen(function* () {
  for (const file of ["/bin/busybox", "/usr/bin/busybox"])
    if (yield* Command.works(file, ["true"])) return yield* Effect.promise(() => fs.realpath(file))
  return yield* missing("there is no busybox", "install it (Debian: apt-get install busybox-static)")
})

/** The shared libraries that the files link against, and the loader. */
const librariesOf = (files: ReadonlyArray<string>): Effect.Effect<Set<string>, BrokerError> =>
  Effect.gen(function* () {
    const found = new Set<string>()
    for (const file of files) {
      const output = yield* Command.run("ldd", [file])
      for (const match of output.matchAll(/(?:=> )?(\/\S+) \(0x/g)) found.add(match[1]!)
    }
    return found
  })

const copyLibraries = (context: string): Effect.Effect<void, BrokerError> =>
  Effect.gen(function* () {
    const runtime = path.join(context, "java")
    const libraries = path.join(runtime, "lib")
    const names = yield* Jars.io("list", libraries, () => fs.readdir(libraries))
    for (const name of names.filter((n) => unused.test(n)))
      yield* Jars.io("delete", name, () => fs.rm(path.join(libraries, name)))
    const kept = names.filter((n) => n.endsWith(".so") && !unused.test(n)).map((n) => path.join(libraries, n))
    const needed = yield* librariesOf([
      ...kept,
      path.join(libraries, "server/libjvm.so"),
      path.join(runtime, "bin/java")
    ])
    const libc = [...needed].find((file) => path.basename(file) === "libc.so.6")
    if (libc === undefined)
      return yield* missing(
        "the Java of this machine doesn't link against glibc",
        "build the image on a Linux with glibc"
      )
    for (const name of forCodecs) needed.add(path.join(path.dirname(libc), name))
    for (const file of needed) {
      if (file.startsWith(runtime)) continue
      const target = path.join(context, "root", file)
      yield* Jars.io("copy", file, async () => {
        await fs.mkdir(path.dirname(target), { recursive: true })
        await fs.copyFile(await fs.realpath(file), target)
      })
    }
  })

/** Builds the image; replaces one of the same name. */
export const build: Effect.Effect<void, BrokerError> = Effect.gen(function* () {
  yield* Effect.logInfo(`building ${tag} (half a minute)`)
  const [jdk, busybox, jars] = [yield* findJdk, yield* findBusybox, yield* KafkaJars.libs]
  const context = path.join(Jars.cache, `image-${randomUUID()}`)
  yield* Effect.addFinalizer(() => Effect.promise(() => fs.rm(context, { recursive: true, force: true })))
  yield* Jars.io("copy", recipe, async () => {
    await fs.cp(recipe, context, { recursive: true })
    await fs.mkdir(path.join(context, "root/bin"), { recursive: true })
    await fs.cp(jars, path.join(context, "libs"), { recursive: true })
    await fs.copyFile(busybox, path.join(context, "root/bin/busybox"))
    await fs.chmod(path.join(context, "root/bin/busybox"), 0o755)
  })
  yield* Command.run(path.join(jdk, "bin/jlink"), [
    "--add-modules",
    modules.join(","),
    "--generate-cds-archive",
    "--strip-java-debug-attributes",
    "--no-header-files",
    "--no-man-pages",
    "--output",
    path.join(context, "java")
  ])
  yield* copyLibraries(context)
  yield* Command.run("docker", ["build", "--tag", tag, context], { seconds: 600 })
}).pipe(Effect.scoped)
