/**
 * A real S3 server for tests, gone with its scope: versitygw, in Docker or as a process of this machine, or S3Proxy, always a process. Each has a
 * temporary folder of its own and listens on 127.0.0.1.
 *
 * What is known of them: S3Proxy's `If-Match` lets several of concurrent writers win, and it lists by UTF-16 instead of UTF-8.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { GenericContainer, Wait } from "testcontainers"
import { BrokerError, Exited, NotReady } from "./BrokerError.ts"
import * as Containers from "./Containers.ts"
import * as Jars from "./Jars.ts"
import * as Owner from "./Owner.ts"
import * as Ports from "./Ports.ts"
import * as Processes from "./Processes.ts"
import * as S3Proxy from "./S3Proxy.ts"
import * as Versitygw from "./Versitygw.ts"

export { accessKeyId, region, secretAccessKey } from "./S3Keys.ts"

export type Name = "versitygw" | "s3proxy"
export type Mode = "docker" | "process"

export const names: ReadonlyArray<Name> = ["versitygw", "s3proxy"]

export interface Server {
  /** What runs, for people. */
  readonly what: string
  /** The URL for clients, which must put the bucket into the path. */
  readonly endpoint: string
}

interface Launch {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
}

const patience = 60

/** Returns when the server answers a request, whatever it says. */
const untilReady = (endpoint: string, isUp: () => boolean, log: Effect.Effect<string, BrokerError>) =>
  Effect.gen(function* () {
    const asked = Effect.tryPromise((signal) => fetch(`${endpoint}/health`, { signal }).then((r) => r.arrayBuffer()))
    while ((yield* Effect.exit(Effect.timeout(asked, "2 seconds")))._tag === "Failure") {
      if (!isUp()) return yield* new BrokerError({ reason: new Exited({ bootstrap: endpoint, log: yield* log }) })
      yield* Effect.sleep("25 millis")
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: patience * 1000,
      orElse: () =>
        Effect.flatMap(log, (text) =>
          Effect.fail(new BrokerError({ reason: new NotReady({ bootstrap: endpoint, seconds: patience, log: text }) }))
        )
    })
  )

const startProcess = (
  what: string,
  prepare: (folder: string, port: number) => Effect.Effect<Launch, BrokerError>
): Effect.Effect<Server, BrokerError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Processes.removeOrphans("s3")
    const folder = path.join(tmpdir(), Owner.name("s3"))
    yield* Effect.acquireRelease(
      Jars.io("make", folder, () => mkdir(folder)),
      () => Effect.promise(() => rm(folder, { recursive: true, force: true }))
    )
    const port = yield* Ports.free
    const { args, command, env } = yield* prepare(folder, port)
    const logFile = path.join(folder, "server.log")
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const log = fs.openSync(logFile, "a")
        const child = spawn(command, args, {
          cwd: folder,
          stdio: ["ignore", log, log],
          env: { ...process.env, ...env }
        })
        fs.closeSync(log)
        const killWithUs = () => Processes.send(child, "SIGKILL")
        process.once("exit", killWithUs)
        let up = true
        const ended = new Promise<void>((resolve) => {
          const end = () => {
            up = false
            process.off("exit", killWithUs)
            resolve()
          }
          child.once("exit", end).once("error", end)
        })
        if (child.pid !== undefined) fs.writeFileSync(path.join(folder, Processes.pidFile), String(child.pid))
        return { child, ended, isUp: () => up }
      }),
      ({ child, ended, isUp }) =>
        Effect.promise(async () => {
          if (isUp()) Processes.send(child, "SIGKILL")
          await ended
        })
    )
    const endpoint = `http://127.0.0.1:${port}`
    yield* untilReady(
      endpoint,
      server.isUp,
      Jars.io("read", logFile, () => readFile(logFile, "utf8"))
    )
    return { what, endpoint }
  })

const versitygwProcess = Effect.gen(function* () {
  const program = yield* Versitygw.program
  return yield* startProcess(`versitygw ${Versitygw.version}, a process`, (folder, port) =>
    Effect.gen(function* () {
      const [data, iam] = [path.join(folder, "data"), path.join(folder, "iam")]
      for (const made of [data, iam]) yield* Jars.io("make", made, () => mkdir(made))
      return { command: program, args: ["posix", data], env: Versitygw.environment(`127.0.0.1:${port}`, iam) }
    })
  )
})

const s3proxyProcess = Effect.gen(function* () {
  const jar = yield* S3Proxy.jar
  return yield* startProcess(`S3Proxy ${S3Proxy.version}, a process`, (folder, port) =>
    Effect.gen(function* () {
      const file = path.join(folder, "s3proxy.conf")
      yield* Jars.io("write", file, () => writeFile(file, S3Proxy.settings(port)))
      return {
        command: Jars.java,
        args: ["-Xmx768m", "-jar", jar, "--properties", file],
        env: { LOG_LEVEL: "warn" }
      }
    })
  )
})

const versitygwContainer = Effect.gen(function* () {
  yield* Containers.check
  const image = yield* Versitygw.image
  yield* Containers.removeOrphans("s3")
  const container = yield* Effect.acquireRelease(
    Containers.docker(`start a container of ${image}`, () =>
      new GenericContainer(image)
        .withName(Owner.name("s3"))
        .withExposedPorts(inside)
        .withEnvironment({ ...Versitygw.environment(`:${inside}`, "/data/iam") })
        .withWaitStrategy(Wait.forHttp("/health", inside))
        .start()
    ),
    (started) =>
      Effect.ignore(Containers.docker("remove the server", () => started.stop({ remove: true, removeVolumes: true })))
  )
  return { what: `${image} in Docker`, endpoint: `http://127.0.0.1:${container.getMappedPort(inside)}` }
})
const inside = 7070

/** Fails with what a server lacks on this machine. Builds and downloads nothing. */
export const check = (name: Name, mode: Mode): Effect.Effect<void, BrokerError> =>
  name === "s3proxy"
    ? S3Proxy.check
    : mode === "docker"
      ? Effect.andThen(Containers.check, Versitygw.check)
      : Versitygw.check

/** Starts a server and returns when it answers. Needs the real clock. */
export const start = (name: Name, mode: Mode): Effect.Effect<Server, BrokerError, Scope.Scope> =>
  name === "s3proxy" ? s3proxyProcess : mode === "docker" ? versitygwContainer : versitygwProcess
