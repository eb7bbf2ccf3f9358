/** Headrace's options in `kafkajs`'s words. */
import * as Redacted from "effect/Redacted"
import type { AuthenticationProviderArgs, Authenticator, Mechanism, SASLOptions } from "kafkajs"
import type { ConnectionOptions } from "node:tls"
import type { Sasl, Settings } from "../KafkaOptions.ts"
import { tlsOptions, tokenRefusal } from "./Secrets.ts"

/** In front of what is sent, and what is answered. */
const sizeBytes = 4

/** In place of kafkajs's own, which doesn't look at the answer. */
const bearer =
  (token: () => Promise<string>) =>
  ({ saslAuthenticate }: AuthenticationProviderArgs): Authenticator => ({
    authenticate: async () => {
      const message = Buffer.from(`n,,\u0001auth=Bearer ${await token()}\u0001\u0001`)
      const size = Buffer.alloc(sizeBytes)
      size.writeInt32BE(message.length)
      const bytes = Buffer.concat([size, message])
      await saslAuthenticate({
        request: { encode: () => bytes },
        response: {
          decode: (answer) => answer.subarray(sizeBytes),
          parse: (answer) => {
            const refusal = tokenRefusal(answer)
            if (refusal !== undefined) throw refusal
          }
        }
      })
    }
  })

/** `token` gives a bearer token's text. */
const saslOptions = (sasl: Sasl, token: () => Promise<string>): SASLOptions | Mechanism => {
  switch (sasl.mechanism) {
    case "OAUTHBEARER":
      return { mechanism: "oauthbearer", authenticationProvider: bearer(token) }
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
  readonly sasl: SASLOptions | Mechanism | null
  /** A login that lasts no longer than these milliseconds has run out. */
  readonly reauthenticationThreshold: number
}

export const poolOptions = (settings: Settings, token: () => Promise<string>): PoolOptions => ({
  clientId: settings.clientId,
  connectionTimeout: settings.connectTimeoutMillis,
  requestTimeout: settings.requestTimeoutMillis,
  // Time-outs are the protocol's own.
  enforceRequestTimeout: false,
  ssl: tlsOptions(settings) ?? null,
  reauthenticationThreshold: 500,
  sasl: settings.sasl === undefined ? null : saslOptions(settings.sasl, token)
})
