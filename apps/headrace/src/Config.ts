/** A project's config: plain data that says where its log, archive and store are, and which modules hold its views. Secrets aren't in it. */
import { Schema } from "effect"

const Tls = Schema.Struct({
  /** A PEM file of the authorities to trust in place of the runtime's. */
  ca: Schema.optionalKey(Schema.NonEmptyString),
  /** A PEM file with this client's certificate. Its key comes from `KAFKA_TLS_KEY`, the key's passphrase from `KAFKA_TLS_PASSPHRASE`. */
  cert: Schema.optionalKey(Schema.NonEmptyString),
  /** The name to expect in the broker's certificate, when it isn't the host's. */
  serverName: Schema.optionalKey(Schema.NonEmptyString)
})

const Sasl = Schema.Struct({
  mechanism: Schema.Literals(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
  /** Its password comes from `KAFKA_SASL_PASSWORD`. */
  username: Schema.NonEmptyString
})

const Kafka = Schema.Struct({
  /** `host:port` of some brokers; the rest are learned from them. */
  brokers: Schema.NonEmptyArray(Schema.NonEmptyString),
  /** The client library below (default `platformatic`). */
  driver: Schema.optionalKey(Schema.Literals(["platformatic", "kafkajs"])),
  /** Named in the broker's logs, metrics and quotas. Default `headrace`. */
  clientId: Schema.optionalKey(Schema.NonEmptyString),
  /** `true` is TLS with the runtime's authorities. */
  tls: Schema.optionalKey(Schema.Union([Schema.Boolean, Tls])),
  sasl: Schema.optionalKey(Sasl),
  /** Of what Headrace writes. Default `none`. */
  compression: Schema.optionalKey(Schema.Literals(["none", "gzip", "snappy", "lz4", "zstd"])),
  /** Of topics that Headrace makes. Default: the broker's. */
  replicationFactor: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)))
})
/** A Kafka cluster. */
export type Kafka = typeof Kafka.Type

const Log = Schema.Struct({
  /** The embedded log: a file. */
  path: Schema.optionalKey(Schema.NonEmptyString),
  /** Or a Kafka cluster. */
  kafka: Schema.optionalKey(Kafka)
}).check(
  Schema.makeFilter(({ kafka, path }) =>
    (kafka === undefined) === (path === undefined)
      ? 'name one log: ["log"]["path"] (a file) or ["log"]["kafka"] (a cluster)'
      : undefined
  )
)

const Output = Schema.Struct({
  /** Whose changes: every view's, or those of these ones. All exported versions of such a view have their own topic. */
  views: Schema.Union([Schema.Literal("all"), Schema.NonEmptyArray(Schema.NonEmptyString)]),
  /** Topics by version, such as `{ "revenue.v1": "shop.revenue" }`. Default: `<view>.v<N>`. One topic takes the changes of one version. */
  topics: Schema.optionalKey(Schema.Record(Schema.String, Schema.NonEmptyString)),
  /** The cluster, when it isn't the log's. Its secrets come from the same variables as the log's. */
  kafka: Schema.optionalKey(Kafka),
  /** Where the progress of all streams is kept. Default `headrace.progress`. */
  progressTopic: Schema.optionalKey(Schema.NonEmptyString),
  /** The broker aborts a transaction that takes longer, in milliseconds; the first of a large table is the longest. Default 60,000. */
  transactionTimeout: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1_000)))
})

export const Config = Schema.Struct({
  /** The log: `{ path: "…" }` or `{ kafka: { brokers: ["…"] } }`. */
  log: Log,
  /** Where topics are archived: a folder, or `s3://bucket/prefix` (how it is reached comes from `S3_…` or the SDK's own settings). Without it only the log's own retention can be replayed. */
  archive: Schema.optionalKey(Schema.Struct({ path: Schema.NonEmptyString })),
  /** The view store, and how long its statements wait for a lock, in milliseconds (default 5,000). */
  store: Schema.Struct({ path: Schema.NonEmptyString, busyTimeout: Schema.optionalKey(Schema.Int) }),
  /** View modules. Every exported view of them belongs to the project. */
  views: Schema.Array(Schema.NonEmptyString),
  /** What else `run` writes: the views' changes, exactly once, to Kafka: `{ views: ["revenue"] }`. */
  output: Schema.optionalKey(Output),
  /** Worker threads of a replay. Default: one a core, at most one a partition. */
  workers: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 256 })))
}).check(
  Schema.makeFilter(({ log, output }) =>
    output !== undefined && output.kafka === undefined && log.kafka === undefined
      ? 'the log is no cluster that ["output"] could be written to: name one in ["output"]["kafka"]'
      : undefined
  )
)
export type Config = typeof Config.Type

/** Types a project's config: `export default defineConfig({ … })` in `headrace.config.ts`. Paths are relative to the project's folder. */
export const defineConfig = (config: Config): Config => config
