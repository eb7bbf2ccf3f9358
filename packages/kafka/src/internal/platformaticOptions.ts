/** Headrace's options in `@platformatic/kafka`'s words. */
import type { ConnectionOptions, SASLOptions } from "@platformatic/kafka"
import * as Redacted from "effect/Redacted"
import { isIP } from "node:net"
import type { Sasl, Settings } from "../KafkaOptions.ts"
import { tlsOptions, tokenRefusal } from "./Secrets.ts"

/** `token` gives a bearer token's text. */
const saslOptions = (sasl: Sasl, token: () => Promise<string>): SASLOptions =>
  sasl.mechanism === "OAUTHBEARER"
    ? {
        mechanism: sasl.mechanism,
        token,
        authBytesValidator: (answer, callback) => callback(tokenRefusal(answer) ?? null, answer)
      }
    : { mechanism: sasl.mechanism, username: sasl.username, password: Redacted.value(sasl.password) }

/** `host` is the broker's. */
export const connectionOptions = (
  settings: Settings,
  token: () => Promise<string>,
  host: string
): ConnectionOptions => {
  const tls = tlsOptions(settings)
  return {
    connectTimeout: settings.connectTimeoutMillis,
    // Time-outs are the protocol's own: after this one the library would neither answer nor close.
    requestTimeout: 2_147_483_647,
    maxInflights: 1_024,
    ...(tls === undefined ? {} : { tls, tlsServerName: tls.servername ?? isIP(host) === 0 }),
    ...(settings.sasl === undefined ? {} : { sasl: saslOptions(settings.sasl, token) })
  }
}
