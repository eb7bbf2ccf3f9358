/**
 * The settings of the test broker, the same whichever way it runs: one KRaft node, no topic made by accident, everything replicated once, and
 * the broker's own clocks (retention, time-outs of transactions and groups) short enough to be waited for in a test.
 *
 * Three listeners: PLAINTEXT for the tests, INTERNAL for the broker's traffic with itself (transaction markers), CONTROLLER for KRaft. In a
 * container the advertised port is the host's, which the broker can't reach from inside: hence INTERNAL.
 */

/** Ports of 127.0.0.1 that the broker listens on; `client` is the one that tests connect to. */
export interface Ports {
  readonly client: number
  readonly internal: number
  readonly controller: number
}

/** The largest record batch that the broker takes, in bytes: Kafka's default. */
export const messageMaxBytes = 1_048_588

/** The id that the data folder is formatted with. */
export const clusterId = "aGVhZHJhY2UtdGVzdHMtMQ"

/** What differs between the two ways of running. */
export interface Place {
  /** The host of the client listener: 127.0.0.1, or 0.0.0.0 in a container. */
  readonly host: string
  /** Where the broker itself listens. */
  readonly ports: Ports
  /** The client port as the tests see it. */
  readonly advertised: number
  /** The data folder as the broker sees it. */
  readonly data: string
}

/** Broker properties by name. `overrides` win. */
export const properties = (
  place: Place,
  overrides: Readonly<Record<string, string>> = {}
): Readonly<Record<string, string>> => ({
  "process.roles": "broker,controller",
  "node.id": "1",
  "controller.quorum.voters": `1@127.0.0.1:${place.ports.controller}`,
  "controller.listener.names": "CONTROLLER",
  "inter.broker.listener.name": "INTERNAL",
  listeners: [
    `PLAINTEXT://${place.host}:${place.ports.client}`,
    `INTERNAL://127.0.0.1:${place.ports.internal}`,
    `CONTROLLER://127.0.0.1:${place.ports.controller}`
  ].join(","),
  "advertised.listeners": `PLAINTEXT://127.0.0.1:${place.advertised},INTERNAL://127.0.0.1:${place.ports.internal}`,
  "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
  "log.dirs": place.data,
  // A killed broker may register again only after its old session has run out.
  "broker.session.timeout.ms": "2000",
  "broker.heartbeat.interval.ms": "500",
  "auto.create.topics.enable": "false",
  "delete.topic.enable": "true",
  "num.partitions": "1",
  "message.max.bytes": String(messageMaxBytes),
  "offsets.topic.replication.factor": "1",
  "offsets.topic.num.partitions": "1",
  "transaction.state.log.replication.factor": "1",
  "transaction.state.log.min.isr": "1",
  "transaction.state.log.num.partitions": "1",
  "transaction.max.timeout.ms": "900000",
  "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
  "share.coordinator.state.topic.replication.factor": "1",
  "share.coordinator.state.topic.min.isr": "1",
  "group.initial.rebalance.delay.ms": "0",
  "group.min.session.timeout.ms": "1000",
  "group.consumer.min.heartbeat.interval.ms": "500",
  "group.consumer.heartbeat.interval.ms": "500",
  "group.consumer.min.session.timeout.ms": "3000",
  "group.consumer.session.timeout.ms": "6000",
  "log.initial.task.delay.ms": "500",
  "log.retention.check.interval.ms": "500",
  "log.segment.delete.delay.ms": "500",
  "log.cleaner.backoff.ms": "500",
  ...overrides
})

/** As a properties file. */
export const toFile = (settings: Readonly<Record<string, string>>): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("")

/** As the variables that Kafka's image turns into properties: KAFKA_ and the name, `.` as `_`, `_` as `__`, `-` as `___`. */
export const toEnvironment = (settings: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      `KAFKA_${name.replace(/[._-]/g, (c) => (c === "." ? "_" : c === "_" ? "__" : "___")).toUpperCase()}`,
      value
    ])
  )
