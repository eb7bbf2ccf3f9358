/**
 * A broker as a process of this machine, from Maven jars: 127.0.0.1 only, 512 MB of heap, data and log in a temporary folder that goes with the
 * scope. If this process exits without closing the scope, it takes the broker with it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { BrokerError, CommandFailed } from "./BrokerError.ts"
import * as Command from "./Command.ts"
import type { Driver } from "./Driver.ts"
import * as Jars from "./Jars.ts"
import * as KafkaJars from "./KafkaJars.ts"
import * as KafkaSettings from "./KafkaSettings.ts"
import * as Owner from "./Owner.ts"
import * as Processes from "./Processes.ts"

interface Running {
  readonly process: ChildProcess
  readonly ended: Promise<void>
}

/** Fails when Java or Maven is missing. */
export { check } from "./KafkaJars.ts"

/** The driver. Fails when Java or Maven is missing, or the jars can't be had. */
export const make = (settings: Readonly<Record<string, string>>): Effect.Effect<Driver, BrokerError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* KafkaJars.check
    const libs = yield* KafkaJars.libs
    yield* Processes.removeOrphans("kafka")
    const folder = path.join(tmpdir(), Owner.name("kafka"))
    yield* Effect.acquireRelease(
      Jars.io("make", folder, () => mkdir(folder)),
      () => Effect.promise(() => rm(folder, { recursive: true, force: true }))
    )
    const data = path.join(folder, "data")
    const file = path.join(folder, "server.properties")
    const logFile = path.join(folder, "broker.log")
    const classes = ["-cp", path.join(libs, "*")]
    let running: Running | undefined

    const format = Effect.gen(function* () {
      const formatted = yield* Effect.promise(() =>
        access(path.join(data, "meta.properties")).then(
          () => true,
          () => false
        )
      )
      if (formatted) return
      yield* Command.run(Jars.java, [
        "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        ...classes,
        "kafka.tools.StorageTool",
        "format",
        `--cluster-id=${KafkaSettings.clusterId}`,
        `--config=${file}`
      ])
    })

    const launch: Effect.Effect<void, BrokerError> = Effect.callback((resume) => {
      const log = fs.openSync(logFile, "a")
      const child = spawn(
        Jars.java,
        [
          "-Xms512m",
          "-Xmx512m",
          "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
          "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
          "-Dorg.slf4j.simpleLogger.showDateTime=true",
          "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
          ...classes,
          "kafka.Kafka",
          file
        ],
        { cwd: folder, stdio: ["ignore", log, log] }
      )
      fs.closeSync(log)
      const killWithUs = () => Processes.send(child, "SIGKILL")
      process.once("exit", killWithUs)
      const ended = new Promise<void>((resolve) => {
        child.once("exit", () => {
          process.off("exit", killWithUs)
          running = undefined
          resolve()
        })
      })
      running = { process: child, ended }
      if (child.pid !== undefined) fs.writeFileSync(path.join(folder, Processes.pidFile), String(child.pid))
      child.once("spawn", () => resume(Effect.void))
      child.once("error", (error) => {
        process.off("exit", killWithUs)
        running = undefined
        const reason = new CommandFailed({ command: "java kafka.Kafka", problem: error.message, output: "" })
        resume(Effect.fail(new BrokerError({ reason })))
      })
    })

    const signal = (name: NodeJS.Signals) =>
      Effect.sync(() => {
        if (running !== undefined) Processes.send(running.process, name)
      })
    const down: Driver["down"] = (name) =>
      Effect.gen(function* () {
        const broker = running
        if (broker === undefined) return
        // A frozen process takes no SIGTERM before it goes on.
        Processes.send(broker.process, "SIGCONT")
        Processes.send(broker.process, name)
        yield* Effect.promise(() => broker.ended)
      })
    yield* Effect.addFinalizer(() => Effect.ignore(down("SIGKILL")))

    return {
      what: `Kafka ${KafkaJars.version}, a process from Maven jars`,
      up: (ports) =>
        Effect.gen(function* () {
          const place = { host: "127.0.0.1", ports, advertised: ports.client, data }
          const text = KafkaSettings.toFile(KafkaSettings.properties(place, settings))
          yield* Jars.io("write", file, () => writeFile(file, text))
          yield* format
          yield* launch
        }),
      down,
      pause: signal("SIGSTOP"),
      resume: signal("SIGCONT"),
      isUp: Effect.sync(() => running !== undefined),
      log: Jars.io("read", logFile, () => readFile(logFile, "utf8"))
    }
  })
