/**
 * A project's log, and its views' changes, on Kafka, as its config says. Secrets come from the environment alone: `KAFKA_SASL_PASSWORD`, `KAFKA_TLS_KEY` (a PEM text)
 * and `KAFKA_TLS_PASSPHRASE`. The client library is loaded when it is needed: a project on the embedded log never loads it.
 */
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import type { ChangeSink } from "@headrace/core/ChangeSink"
import type { EventLog } from "@headrace/core/EventLog"
import type { KafkaDriver, KafkaError, KafkaOptions } from "@headrace/kafka"
import { Effect, Layer } from "effect"
import type * as Config from "./Config.ts"
import { ConfigInvalid, DriverMissing, type ProjectError, SecretMissing, wrap } from "./ProjectError.ts"

/** Where a cluster's settings stand. */
interface Place {
  readonly folder: string
  readonly file: string
  readonly kafka: Config.Kafka
  /** Of `kafka` in the config, for errors. */
  readonly at: '["log"]["kafka"]' | '["output"]["kafka"]'
}

const pem = ({ at, file, folder }: Place, name: "ca" | "cert", path: string): Effect.Effect<string, ProjectError> =>
  Effect.try({
    try: () => readFileSync(resolve(folder, path), "utf8"),
    catch: (cause) =>
      wrap(
        new ConfigInvalid({
          file,
          detail: `the file of ${at}["tls"]["${name}"] can't be read: ${cause instanceof Error ? cause.message : String(cause)}`
        })
      )
  })

const tlsOf = Effect.fnUntraced(function* (
  place: Place,
  { key, passphrase }: KafkaOptions.Secrets
): Effect.fn.Return<KafkaOptions.Tls | boolean, ProjectError> {
  const { tls = false } = place.kafka
  if (typeof tls === "boolean") return tls
  const { ca, cert, serverName } = tls
  if (cert !== undefined && key === undefined)
    return yield* wrap(
      new SecretMissing({ file: place.file, variable: "KAFKA_TLS_KEY", what: `the key of certificate "${cert}"` })
    )
  return {
    ...(ca === undefined ? {} : { ca: yield* pem(place, "ca", ca) }),
    ...(cert === undefined || key === undefined ? {} : { cert: yield* pem(place, "cert", cert), key }),
    ...(cert === undefined || passphrase === undefined ? {} : { passphrase }),
    ...(serverName === undefined ? {} : { serverName })
  }
})

const optionsOf = Effect.fnUntraced(function* (
  place: Place,
  secrets: KafkaOptions.Secrets
): Effect.fn.Return<KafkaOptions.KafkaOptions, ProjectError> {
  const { brokers, clientId, sasl } = place.kafka
  const { password } = secrets
  if (sasl !== undefined && password === undefined)
    return yield* wrap(
      new SecretMissing({
        file: place.file,
        variable: "KAFKA_SASL_PASSWORD",
        what: `the password of user "${sasl.username}"`
      })
    )
  return {
    brokers,
    tls: yield* tlsOf(place, secrets),
    ...(clientId === undefined ? {} : { clientId }),
    ...(sasl === undefined || password === undefined ? {} : { sasl: { ...sasl, password } })
  }
})

type MakeDriver = (options: KafkaOptions.KafkaOptions) => Layer.Layer<KafkaDriver, KafkaError>

const drivers = {
  platformatic: { library: "@platformatic/kafka", load: () => import("@headrace/kafka/drivers/Platformatic") },
  kafkajs: { library: "kafkajs", load: () => import("@headrace/kafka/drivers/KafkaJs") }
} satisfies Record<string, { library: string; load: () => Promise<{ layer: MakeDriver }> }>

/** What `use` makes on the cluster; its connections live in the layer. Fails at once when no broker answers. */
const connected = <A>(
  place: Place,
  use: (kafka: typeof import("@headrace/kafka")) => Layer.Layer<A, KafkaError, KafkaDriver>
): Layer.Layer<A, KafkaError | ProjectError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { driver = "platformatic" } = place.kafka
      const { library, load } = drivers[driver]
      const [own, kafka] = yield* Effect.tryPromise({
        try: () => Promise.all([load(), import("@headrace/kafka")]),
        catch: (cause) => wrap(new DriverMissing({ driver, library, cause }))
      })
      const secrets = yield* Effect.mapError(kafka.KafkaOptions.secrets, (cause) =>
        wrap(new ConfigInvalid({ file: place.file, detail: `a secret can't be read: ${cause.message}` }))
      )
      return Layer.provide(use(kafka), own.layer(yield* optionsOf(place, secrets)))
    })
  )

const writing = ({ compression, replicationFactor }: Config.Kafka) => ({
  ...(compression === undefined ? {} : { compression }),
  ...(replicationFactor === undefined ? {} : { replicationFactor })
})

/** The log on the cluster. */
export const layer = (place: Place): Layer.Layer<EventLog, KafkaError | ProjectError> =>
  connected(place, ({ KafkaLog }) => KafkaLog.layer(writing(place.kafka)))

/** Change streams on the cluster. */
export const changes = (
  place: Place,
  options: { readonly progressTopic?: string; readonly transactionTimeoutMillis?: number }
): Layer.Layer<ChangeSink, KafkaError | ProjectError> =>
  connected(place, ({ KafkaChanges }) => KafkaChanges.layer({ ...writing(place.kafka), ...options }))
