/**
 * Which image the broker in Docker has: the one that `HEADRACE_KAFKA_IMAGE` names, else Kafka's official one, pulled when it isn't there; where
 * there is no registry, `headrace/kafka:local`, built from Maven jars.
 */
import * as Effect from "effect/Effect"
import { ImageName, getContainerRuntimeClient } from "testcontainers"
import { BrokerError, Missing } from "./BrokerError.ts"
import { docker } from "./Containers.ts"
import * as KafkaImageBuild from "./KafkaImageBuild.ts"
import * as KafkaJars from "./KafkaJars.ts"

const official = `apache/kafka:${KafkaJars.version}`

const exists = (name: string) =>
  docker(`look for image ${name}`, async () =>
    (await getContainerRuntimeClient()).image.exists(ImageName.fromString(name))
  )

const pull = (name: string) =>
  docker(`pull image ${name}`, async () => (await getContainerRuntimeClient()).image.pull(ImageName.fromString(name)))

const neither = (pulling: BrokerError, building: BrokerError) =>
  new BrokerError({
    reason: new Missing({
      what: `Docker answers, but the image of a broker can't be had: ${pulling.message}; and none could be built here: ${building.message}`,
      todo: "pull one, or name one that is there in HEADRACE_KAFKA_IMAGE"
    })
  })

/** The image to run, there when this returns. */
export const resolve: Effect.Effect<string, BrokerError> = Effect.gen(function* () {
  const named = process.env["HEADRACE_KAFKA_IMAGE"]
  const wanted = named ?? official
  if (yield* exists(wanted)) return wanted
  if (wanted === KafkaImageBuild.tag) {
    yield* KafkaImageBuild.build
    return wanted
  }
  if (named === undefined && (yield* exists(KafkaImageBuild.tag))) return KafkaImageBuild.tag
  return yield* Effect.as(pull(wanted), wanted).pipe(
    Effect.timeoutOrElse({
      duration: "3 minutes",
      orElse: () =>
        Effect.fail(
          new BrokerError({
            reason: new Missing({ what: `pulling ${wanted} took over 3 minutes`, todo: "pull it by hand" })
          })
        )
    }),
    Effect.catch((pulling) =>
      named === undefined
        ? Effect.mapError(Effect.as(KafkaImageBuild.build, KafkaImageBuild.tag), (building) =>
            neither(pulling, building)
          )
        : Effect.fail(pulling)
    )
  )
})
