/**
 * A broker in Docker: a container with a fixed port of the host, so that clients find it again after a restart, and a volume of its own, so that
 * it keeps its data when it moves to another port. Both go with the scope.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { GenericContainer, Wait, getContainerRuntimeClient } from "testcontainers"
import type { BrokerError } from "./BrokerError.ts"
import { check, docker, removeOrphans } from "./Containers.ts"
import type { Driver } from "./Driver.ts"
import { resolve } from "./KafkaImage.ts"
import * as KafkaSettings from "./KafkaSettings.ts"
import * as Owner from "./Owner.ts"

const inside = { client: 9092, internal: 9093, controller: 9094 }
const data = "/var/lib/kafka/data"

export { check } from "./Containers.ts"

/** The text of a log, which Docker sends in frames of an 8-byte head and as many bytes as its last four say. */
const textOf = (frames: Buffer): string => {
  const parts: Array<Buffer> = []
  for (let at = 0; at + 8 <= frames.length; at += 8 + frames.readUInt32BE(at + 4))
    parts.push(frames.subarray(at + 8, at + 8 + frames.readUInt32BE(at + 4)))
  return Buffer.concat(parts).toString("utf8")
}

/** The driver. Fails when Docker doesn't answer or there is no image and none can be had. */
export const make = (settings: Readonly<Record<string, string>>): Effect.Effect<Driver, BrokerError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* check
    const image = yield* resolve
    const { container: client } = yield* docker("reach Docker", getContainerRuntimeClient)
    yield* Effect.acquireRelease(removeOrphans("kafka"), () => Effect.ignore(removeOrphans("kafka")))
    const name = Owner.name("kafka")
    const container = client.getById(name)
    let port: number | undefined

    const isUp = Effect.suspend(() =>
      port === undefined
        ? Effect.succeed(false)
        : docker("inspect the broker", async () => (await container.inspect()).State.Running)
    )
    const remove = docker("remove the broker", () => container.remove({ force: true, v: true }))
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        Effect.ignore(remove),
        Effect.ignore(docker("remove the broker's volume", () => client.dockerode.getVolume(name).remove()))
      )
    )

    // Not to be interrupted: what Docker was told to make must be there for the finalizer to remove.
    const create = (clientPort: number) =>
      Effect.uninterruptible(
        docker(`start a container of ${image}`, async () => {
          const place = { host: "0.0.0.0", ports: inside, advertised: clientPort, data }
          await new GenericContainer(image)
            .withName(name)
            .withExposedPorts({ container: inside.client, host: clientPort })
            .withBindMounts([{ source: name, target: data, mode: "rw" }])
            .withEnvironment({
              ...KafkaSettings.toEnvironment(KafkaSettings.properties(place, settings)),
              CLUSTER_ID: KafkaSettings.clusterId,
              KAFKA_HEAP_OPTS: "-Xms512m -Xmx512m"
            })
            .withWaitStrategy(Wait.forLogMessage(/./))
            .start()
          port = clientPort
        })
      )

    return {
      what: `${image} in Docker`,
      up: (ports) =>
        Effect.gen(function* () {
          if (port === ports.client) return yield* docker("start the broker", () => container.start())
          if (port !== undefined) yield* remove
          yield* create(ports.client)
        }),
      down: (signal) =>
        Effect.gen(function* () {
          if (!(yield* isUp)) return
          if (signal === "SIGTERM") return yield* docker("stop the broker", () => container.stop({ t: 30 }))
          yield* docker("kill the broker", async () => {
            await container.kill({ signal: "SIGKILL" })
            await container.wait()
          })
        }),
      pause: docker("pause the broker", () => container.pause()),
      resume: docker("resume the broker", () => container.unpause()),
      isUp,
      log: docker("read the broker's log", async () =>
        textOf(await container.logs({ stdout: true, stderr: true, follow: false, tail: 100 }))
      )
    }
  })
