/** Secrets on their way into a client library, and out of its error texts. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { ConnectionOptions } from "node:tls"
import { AuthenticationFailed, BrokerUnavailable, KafkaError } from "../KafkaError.ts"
import { type Address, addressText, type KafkaOptions, securityText } from "../KafkaOptions.ts"

/** Node's TLS options. */
export const tlsOptions = ({ tls }: KafkaOptions): ConnectionOptions | undefined => {
  if (tls === undefined || tls === false) return undefined
  if (tls === true) return {}
  const { ca, cert, key, passphrase, serverName, verify } = tls
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: Redacted.value(key) }),
    ...(passphrase === undefined ? {} : { passphrase: Redacted.value(passphrase) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(verify === undefined ? {} : { rejectUnauthorized: verify })
  }
}

const secretsOf = ({ sasl, tls }: KafkaOptions): ReadonlyArray<string> => {
  const secrets: Array<string> = []
  if (sasl !== undefined && "password" in sasl) secrets.push(Redacted.value(sasl.password))
  if (typeof tls === "object")
    for (const secret of [tls.key, tls.passphrase]) if (secret !== undefined) secrets.push(Redacted.value(secret))
  return secrets.filter((secret) => secret !== "")
}

/** The messages of an error and its causes, in one line, without secrets. */
const describe = (cause: unknown, secrets: ReadonlyArray<string>): string => {
  const messages: Array<string> = []
  const seen = new Set<unknown>()
  const visit = (error: unknown): void => {
    if (!(error instanceof Error) || seen.has(error)) return
    seen.add(error)
    if (error.message !== "" && !messages.includes(error.message)) messages.push(error.message)
    if (error instanceof AggregateError) for (const inner of error.errors) visit(inner)
    visit(error.cause)
  }
  visit(cause)
  let text = messages.length === 0 ? String(cause) : messages.join(": ")
  for (const secret of secrets) text = text.replaceAll(secret, "***")
  return text.replaceAll(/\s+/g, " ")
}

const isRefusal =
  /authenticat|SASL|requires TLS|certificate|handshake|secure TLS connection|wrong version number|self-signed|unable to verify/i

/** A bearer token's text, from its provider. */
export const tokenOf = async ({ sasl }: KafkaOptions): Promise<string> => {
  if (sasl?.mechanism !== "OAUTHBEARER") throw new Error("no token provider")
  const given = await Effect.runPromise(Effect.result(sasl.token))
  if (Result.isSuccess(given)) return Redacted.value(given.success)
  throw new Error(`OAUTHBEARER authentication failed: the token provider did: ${describe(given.failure, [])}`)
}

/**
 * What a broker has against a token: it answers then with a JSON text where a good token gets nothing. Neither client library looks at it by itself,
 * and both would hold the connection for authenticated.
 */
export const tokenRefusal = (answer: Uint8Array): Error | undefined =>
  answer.length === 0
    ? undefined
    : new Error(`OAUTHBEARER authentication failed: the broker answers ${Buffer.from(answer).toString()}`)

/** What to do about some refusals, beside what is said of all. */
const hints: ReadonlyArray<readonly [found: RegExp, todo: string]> = [
  [
    /altnames|NotValidForName/i,
    "the broker's certificate is for another name: connect to that one, or set tls.serverName"
  ],
  [
    /certificate[ _]?required|bad[ _]?certificate/i,
    "the broker wants a client's certificate that it trusts: set tls.cert and tls.key"
  ],
  [
    /unable to (verify|get)|self.signed|UnknownIssuer|unknown ca/i,
    "the broker's certificate is by an authority that isn't trusted here: set tls.ca"
  ]
]

/** A client library's failure as ours. */
export const failureOf = (options: KafkaOptions, address: Address, cause: unknown): KafkaError => {
  const said = describe(cause, secretsOf(options))
  const todo = hints.find(([found]) => found.test(said))?.[1]
  const detail = todo === undefined ? said : `${said}; ${todo}`
  return new KafkaError({
    reason: isRefusal.test(detail)
      ? new AuthenticationFailed({ address: addressText(address), mechanism: securityText(options), detail })
      : new BrokerUnavailable({ address: addressText(address), detail })
  })
}
