/** Headrace's options in `kafkajs`'s words. */
import * as Redacted from "effect/Redacted"
import type { SASLOptions } from "kafkajs"
import type { ConnectionOptions } from "node:tls"
import type { Sasl, Settings } from "../KafkaOptions.ts"
import { tlsOptions } from "./Secrets.ts"

/** `token` gives a bearer token's text. */
const saslOptions = (sasl: Sasl, token: () => Promise<string>): SASLOptions => {
  switch (sasl.mechanism) {
    case "OAUTHBEARER":
      return { mechanism: "oauthbearer", oauthBearerProvider: async () => ({ value: await token() }) }
    case "PLAIN":
      return { mechanism: "plain", username: sasl.username, password: Redacted.value(sasl.password) }
    case "SCRAM-SHA-256":
      return { mechanism: "scram-sha-256", username: sasl.username, password: Redacted.value(sasl.password) }
    case "SCRAM-SHA-512":
      return { mechanism: "scram-sha-512", username: sasl.username, password: Redacted.value(sasl.password) }
  }
}

export interface PoolOptions {
  readonly clientId: string
  readonly connectionTimeout: number
  readonly requestTimeout: number
  readonly enforceRequestTimeout: boolean
  readonly ssl: ConnectionOptions | null
  readonly sasl: SASLOptions | null
}

export const poolOptions = (settings: Settings, token: () => Promise<string>): PoolOptions => ({
  clientId: settings.clientId,
  connectionTimeout: settings.connectTimeoutMillis,
  requestTimeout: settings.requestTimeoutMillis,
  // Time-outs are the protocol's own.
  enforceRequestTimeout: false,
  ssl: tlsOptions(settings) ?? null,
  sasl: settings.sasl === undefined ? null : saslOptions(settings.sasl, token)
})
