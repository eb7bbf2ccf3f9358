import { assert, describe, it } from "@effect/vitest"
import { AuthenticationFailed, KafkaError, KafkaOptions } from "@headrace/kafka"
import { ConfigProvider, Effect, Redacted } from "effect"
import { Kafka } from "kafkajs"
import { inspect } from "node:util"
import * as KafkaJs from "../src/internal/kafkaJsOptions.ts"
import * as Platformatic from "../src/internal/platformaticOptions.ts"
import { failureOf } from "../src/internal/Secrets.ts"

const platformatic = (options: Partial<KafkaOptions.KafkaOptions>, host = "kafka") =>
  Platformatic.connectionOptions(settings(options), token, host)

const secret = "s3cr3t-w0rd"
const pem = { ca: "CA", cert: "CERT", key: Redacted.make("KEY"), passphrase: Redacted.make("PASS") }
const token = () => Promise.resolve("a-token")

const settings = (options: Partial<KafkaOptions.KafkaOptions>): KafkaOptions.Settings => {
  const complete = KafkaOptions.settings({ brokers: ["kafka:9093"], ...options })
  if (complete instanceof KafkaError) throw complete
  return complete
}

describe("security options", () => {
  it("are none by default", () => {
    assert.notProperty(platformatic({}), "tls")
    assert.notProperty(platformatic({}), "sasl")
    assert.deepInclude(KafkaJs.poolOptions(settings({}), token), { ssl: null, sasl: null })
  })

  it("map TLS, and mutual TLS, to both clients", () => {
    for (const tls of [true, {}]) {
      assert.deepStrictEqual(platformatic({ tls }).tls, {})
      assert.deepStrictEqual(KafkaJs.poolOptions(settings({ tls }), token).ssl, {})
    }
    const mutual = { ...pem, serverName: "broker.internal", verify: false }
    const expected = {
      ca: "CA",
      cert: "CERT",
      key: "KEY",
      passphrase: "PASS",
      servername: "broker.internal",
      rejectUnauthorized: false
    }
    const own = platformatic({ tls: mutual })
    assert.deepStrictEqual(own.tls, expected)
    assert.strictEqual(own.tlsServerName, "broker.internal")
    // The certificate's name is the host's, which an IP address isn't.
    assert.strictEqual(platformatic({ tls: true }).tlsServerName, true)
    assert.strictEqual(platformatic({ tls: true }, "127.0.0.1").tlsServerName, false)
    assert.deepStrictEqual(KafkaJs.poolOptions(settings({ tls: mutual }), token).ssl, expected)
  })

  it("map passwords to both clients", () => {
    for (const mechanism of ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const) {
      const own = settings({ sasl: { mechanism, username: "ann", password: Redacted.make(secret) } })
      assert.deepStrictEqual(Platformatic.connectionOptions(own, token, "kafka").sasl, {
        mechanism,
        username: "ann",
        password: secret
      })
      assert.deepStrictEqual(KafkaJs.poolOptions(own, token).sasl as unknown, {
        mechanism: mechanism.toLowerCase(),
        username: "ann",
        password: secret
      })
    }
  })

  it.effect("map token providers to both clients", () =>
    Effect.gen(function* () {
      const own = settings({ sasl: { mechanism: "OAUTHBEARER", token: Effect.succeed(Redacted.make("unused")) } })
      const { sasl } = Platformatic.connectionOptions(own, token, "kafka")
      assert.strictEqual(sasl?.mechanism, "OAUTHBEARER")
      assert.strictEqual(yield* Effect.promise(sasl?.token as () => Promise<string>), "a-token")
      const other = KafkaJs.poolOptions(own, token).sasl
      if (other === null || !("authenticationProvider" in other)) return assert.fail("it has a provider")
      let sent = ""
      const authenticator = other.authenticationProvider({
        host: "kafka",
        port: 9093,
        logger: new Kafka({ brokers: ["kafka:9093"] }).logger(),
        saslAuthenticate: async ({ request }) => {
          sent = String(await request.encode())
        }
      })
      yield* Effect.promise(() => authenticator.authenticate())
      assert.strictEqual(sent, "\0\0\0\u0019n,,\u0001auth=Bearer a-token\u0001\u0001")
    })
  )

  it("keep secrets out of errors and of what is printed of the options", () => {
    const own = settings({
      sasl: { mechanism: "PLAIN", username: "ann", password: Redacted.make(secret) },
      tls: { ...pem, key: Redacted.make(`${secret}-key`), passphrase: Redacted.make(`${secret}-pass`) }
    })
    assert.notInclude(inspect(own, { depth: 9 }), secret)
    assert.notInclude(JSON.stringify(own), secret)
    const cause = new Error("SASL authentication failed", {
      cause: new AggregateError([new Error(`for ${secret}\n!`)])
    })
    const error = failureOf(own, { host: "kafka", port: 9093 }, cause)
    assert.instanceOf(error.reason, AuthenticationFailed)
    assert.isFalse(error.retryable)
    assert.include(error.message, "SASL PLAIN over TLS")
    assert.include(error.message, "for ***")
    assert.notInclude(inspect(error, { depth: 9 }), secret)
  })

  it("say what to do about a certificate, in each runtime's words", () => {
    for (const [said, todo] of [
      ["received fatal alert: BadCertificate", "tls.cert and tls.key"],
      ["SSL routines:ssl3_read_bytes:tlsv13 alert certificate required", "tls.cert and tls.key"],
      ["invalid peer certificate: UnknownIssuer", "tls.ca"],
      ["self-signed certificate in certificate chain", "tls.ca"],
      ["Hostname/IP does not match certificate's altnames", "tls.serverName"]
    ] as const) {
      const { reason } = failureOf(settings({ tls: true }), { host: "kafka", port: 9093 }, new Error(said))
      assert.strictEqual(reason._tag, "AuthenticationFailed")
      assert.include(reason.message, todo)
    }
  })

  it("tell a refusal from a broker that isn't there", () => {
    const failure = (message: string) => failureOf(settings({}), { host: "::1", port: 9 }, new Error(message))
    assert.deepInclude(failure("connect ECONNREFUSED").reason, { _tag: "BrokerUnavailable", address: "[::1]:9" })
    for (const message of [
      "SASL SCRAM-SHA-256 authentication failed: Authentication failed during authentication due to invalid credentials",
      "Broker requires TLS.",
      "Client network socket disconnected before secure TLS connection was established",
      "self-signed certificate in certificate chain",
      "SASL PLAIN mechanism is not supported by the server"
    ])
      assert.strictEqual(failure(message).reason._tag, "AuthenticationFailed")
  })
})

describe("options", () => {
  it.effect("are read from the environment", () =>
    Effect.gen(function* () {
      const read = (env: Record<string, string>) =>
        Effect.provideService(
          Effect.map(KafkaOptions.config, (own) => own),
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromEnv({ env })
        )
      assert.deepStrictEqual(yield* read({ KAFKA_BROKERS: "a:1, [::1]:2" }), {
        brokers: ["a:1", "[::1]:2"],
        clientId: "headrace",
        tls: false
      })
      const own = yield* read({
        KAFKA_BROKERS: "a:1",
        KAFKA_TLS_CA: "CA",
        KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
        KAFKA_SASL_USERNAME: "ann",
        KAFKA_SASL_PASSWORD: secret
      })
      assert.deepStrictEqual(own.tls, { ca: "CA" })
      assert.notInclude(JSON.stringify(own), secret)
      assert.deepInclude(own.sasl, { mechanism: "SCRAM-SHA-512", username: "ann" })
    })
  )

  it("name the address that isn't one", () => {
    for (const brokers of [["kafka"], ["kafka:0"], ["kafka:70000"], ["a:1", ":2"], ["http://a:1"], []]) {
      const result = KafkaOptions.settings({ brokers })
      if (!(result instanceof KafkaError)) return assert.fail(`${brokers} should be refused`)
      assert.strictEqual(result.reason._tag, "InvalidInput")
      if (brokers.length > 0) assert.include(result.message, brokers.at(-1)!)
    }
  })
})
