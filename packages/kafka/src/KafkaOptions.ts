/** How to reach a cluster: addresses, security, time-outs. Secrets are `Redacted`; no error, log or span holds one. */
import * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { KafkaError, InvalidInput } from "./KafkaError.ts"

/** TLS. A client certificate with its key makes it mutual. All PEM texts. */
export interface Tls {
  /** Authorities to trust in place of the runtime's. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: Redacted.Redacted
  readonly passphrase?: Redacted.Redacted
  /** The name to expect in the broker's certificate, when it isn't the host's. */
  readonly serverName?: string
  /** `false` accepts any certificate: for tests only. Default true. */
  readonly verify?: boolean
}

/** SASL by password. */
export interface SaslPassword {
  readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512"
  readonly username: string
  readonly password: Redacted.Redacted
}

/** SASL by bearer token; `token` runs for each connection, and again when the broker's session ends. What should be tried again it tries itself: when it fails, so does the login. */
export interface SaslToken {
  readonly mechanism: "OAUTHBEARER"
  readonly token: Effect.Effect<Redacted.Redacted, unknown>
}

export type Sasl = SaslPassword | SaslToken

export interface KafkaOptions {
  /** `host:port` of some brokers; the rest are learned from them. */
  readonly brokers: ReadonlyArray<string>
  /** Named in the broker's logs, metrics and quotas. Default `headrace`. */
  readonly clientId?: string
  /** `true` is TLS with the runtime's authorities. Default: none. */
  readonly tls?: Tls | boolean
  readonly sasl?: Sasl
  /** For a connection to be there and authenticated. Default 10,000. */
  readonly connectTimeoutMillis?: number
  /** For a request, and for the repetitions of one that reads or administers. Default 30,000. */
  readonly requestTimeoutMillis?: number
  /** For a send or the end of a transaction with its repetitions: longer than a broker takes to restart. Default 120,000. */
  readonly deliveryTimeoutMillis?: number
  /** No larger produce request is sent. Default 64 MiB; what brokers take is `max.message.bytes` for a batch. */
  readonly maxRequestBytes?: number
}

/** With the defaults filled in. */
export interface Settings extends KafkaOptions {
  readonly clientId: string
  readonly addresses: ReadonlyArray<Address>
  readonly connectTimeoutMillis: number
  readonly requestTimeoutMillis: number
  readonly deliveryTimeoutMillis: number
  readonly maxRequestBytes: number
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** `host:port`, an IPv6 host in brackets. */
export const addressText = ({ host, port }: Address): string => `${host.includes(":") ? `[${host}]` : host}:${port}`

const parseAddress = (text: string): Address | undefined => {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text.trim())
  const port = Number(match?.[3])
  return match === null || port < 1 || port > 65_535 ? undefined : { host: (match[1] ?? match[2])!, port }
}

/** The settings, or what is wrong with the options. */
export const settings = (options: KafkaOptions): Settings | KafkaError => {
  const addresses: Array<Address> = []
  for (const text of options.brokers) {
    const address = parseAddress(text)
    if (address === undefined)
      return new KafkaError({
        reason: new InvalidInput({ detail: `"${text}" is no broker address: write host:port, e.g. localhost:9092` })
      })
    addresses.push(address)
  }
  if (addresses.length === 0)
    return new KafkaError({
      reason: new InvalidInput({ detail: "no brokers are given: write at least one host:port" })
    })
  return {
    clientId: "headrace",
    connectTimeoutMillis: 10_000,
    requestTimeoutMillis: 30_000,
    deliveryTimeoutMillis: 120_000,
    maxRequestBytes: 64 << 20,
    ...options,
    addresses
  }
}

/** How a failure to authenticate names what was tried. */
export const securityText = ({ sasl, tls }: KafkaOptions): string => {
  const wire = tls === undefined || tls === false ? "plain text" : "TLS"
  return sasl === undefined ? wire : `SASL ${sasl.mechanism} over ${wire}`
}

/** What a config in plain text must not hold. */
export interface Secrets {
  readonly password?: Redacted.Redacted
  readonly key?: Redacted.Redacted
  readonly passphrase?: Redacted.Redacted
}

const optional = <A>(config: Config.Config<A>) => Config.option(config)

/** The secrets from `KAFKA_SASL_PASSWORD`, `KAFKA_TLS_KEY` (a PEM text) and `KAFKA_TLS_PASSPHRASE`; those that aren't set are left out. */
export const secrets: Config.Config<Secrets> = Config.all({
  password: optional(Config.Redacted("SASL_PASSWORD")),
  key: optional(Config.Redacted("TLS_KEY")),
  passphrase: optional(Config.Redacted("TLS_PASSPHRASE"))
}).pipe(
  Config.nested("KAFKA"),
  Config.map(({ key, passphrase, password }): Secrets => ({
    ...(Option.isSome(password) ? { password: password.value } : {}),
    ...(Option.isSome(key) ? { key: key.value } : {}),
    ...(Option.isSome(passphrase) ? { passphrase: passphrase.value } : {})
  }))
)

/**
 * The options from `KAFKA_BROKERS` (comma-separated), `KAFKA_CLIENT_ID`, `KAFKA_TLS`, `KAFKA_TLS_CA`, `KAFKA_TLS_CERT`,
 * `KAFKA_SASL_MECHANISM`, `KAFKA_SASL_USERNAME` and those of {@link secrets}. Not OAUTHBEARER: a token runs out while the process lives, so that one
 * in a variable would end the run at the next connection; give a provider to {@link KafkaOptions.sasl}.
 */
export const config: Config.Config<KafkaOptions> = Config.all({
  plain: Config.all({
    brokers: Config.String("BROKERS"),
    clientId: Config.String("CLIENT_ID").pipe(Config.withDefault("headrace")),
    tls: Config.Boolean("TLS").pipe(Config.withDefault(false)),
    ca: optional(Config.String("TLS_CA")),
    cert: optional(Config.String("TLS_CERT")),
    mechanism: optional(Config.Literals(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], "SASL_MECHANISM")),
    username: Config.String("SASL_USERNAME").pipe(Config.withDefault(""))
  }).pipe(Config.nested("KAFKA")),
  secrets
}).pipe(
  Config.map(({ plain, secrets: { password, ...secret } }): KafkaOptions => {
    const { brokers, ca, cert, clientId, mechanism, tls, username } = plain
    const pem = {
      ...(Option.isSome(ca) ? { ca: ca.value } : {}),
      ...(Option.isSome(cert) ? { cert: cert.value } : {}),
      ...secret
    }
    return {
      brokers: brokers.split(",").map((address) => address.trim()),
      clientId,
      tls: tls || Object.keys(pem).length > 0 ? pem : false,
      ...(Option.isSome(mechanism) && password !== undefined
        ? { sasl: { mechanism: mechanism.value, username, password } }
        : {})
    }
  })
)
