/** TLS, logins and rights against real brokers: what works, and what each refusal says; no secret is in any of it. */
import { assert, layer } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { KafkaDriver, type KafkaError, type KafkaOptions, type Service } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Clock, Context, Effect, Layer, Redacted } from "effect"
import { inspect } from "node:util"
import * as Certificates from "../../../testcontainers/src/Certificates.ts"
import * as Kafka from "../../../testcontainers/src/Kafka.ts"
import * as KafkaSecurity from "../../../testcontainers/src/KafkaSecurity.ts"
import { withBroker } from "./broker.ts"
import * as Secured from "./secured.ts"

const users = { admin: "adm1n-w0rd", ann: "r1ght-w0rd", bob: "b0bs-w0rd" }
const wrongPassword = "wr0ng-w0rd"
const topic = "secured"

class Cluster extends Context.Service<
  Cluster,
  {
    readonly ca: string
    readonly otherCa: string
    readonly client: Certificates.Pair
    /** Asks for a login over TLS; only `admin` and `ann` have every right. */
    readonly login: string
    /** Asks for a login in plain text, which lasts 3 seconds. */
    readonly plain: string
    /** Asks for a client's certificate; its own is for another name. */
    readonly mutual: string
    readonly admin: Secured.Admin
  }
>()("test/Cluster") {}

const cluster = Layer.effect(
  Cluster,
  Effect.gen(function* () {
    const authority = yield* Certificates.authority("headrace tests")
    const ca = authority.certificate
    const otherCa = (yield* Certificates.authority("somebody else")).certificate
    const mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] as const
    const start = (security: KafkaSecurity.Security) =>
      Effect.map(Kafka.startAny(KafkaSecurity.options(security)), (broker) => broker.bootstrap)
    const login = yield* start({
      tls: { broker: yield* Certificates.issue(authority, "broker", ["IP:127.0.0.1", "DNS:localhost"]) },
      login: { users, mechanisms },
      superUsers: ["User:admin", "User:ann"]
    })
    const plain = yield* start({ login: { users, mechanisms, sessionMillis: 3_000 } })
    const mutual = yield* start({
      tls: { broker: yield* Certificates.issue(authority, "broker", ["DNS:broker.internal"]), clients: ca }
    })
    const client = yield* Certificates.issue(authority, "client", [])
    const admin = { bootstrap: login, ca, username: "admin", password: users.admin }
    yield* Secured.addScramUser(admin, "ann", users.ann)
    return { ca, otherCa, client, login, plain, mutual, admin }
  })
)

const password = (
  mechanism: KafkaOptions.SaslPassword["mechanism"],
  username: keyof typeof users,
  secret: string = users[username]
) => ({ mechanism, username, password: Redacted.make(secret) })

const records = () => {
  const builder = new BatchBuilder()
  builder.add("key", "value", 1_700_000_000_000)
  return builder.take()
}

/** The reason of a failure, after a look for secrets in all that is printed of it. */
const refused = <A, R>(effect: Effect.Effect<A, KafkaError, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    const printed = [error.message, String(error), error.stack, JSON.stringify(error), inspect(error, { depth: 20 })]
    for (const secret of [...Object.values(users), wrongPassword, "PRIVATE KEY", "eyJ"])
      assert.notInclude(printed.join("\n"), secret)
    return error.reason
  })

/** Sends to a new topic and reads back. */
const roundTrip = ({ admin, consumer, producer }: Service, name: string) =>
  Effect.gen(function* () {
    const { id } = yield* admin.createTopic(name, { partitions: 1, configs: { "retention.ms": "-1" } })
    yield* (yield* producer()).send([{ topic: name, partition: 0, records: records() }])
    const [found] = yield* (yield* consumer()).fetch([{ topic: name, topicId: id, partition: 0, offset: 0 }])
    assert.strictEqual(found!.batch.count, 1)
  }).pipe(Effect.scoped)

withBroker(() => {
  layer(cluster, { timeout: "300 seconds", excludeTestServices: true })("a secured cluster", (it) => {
    for (const [name, driver] of [
      ["@platformatic/kafka", Platformatic.layer],
      ["kafkajs", KafkaJs.layer]
    ] as const) {
      const connect = (options: KafkaOptions.KafkaOptions) =>
        Effect.map(Layer.build(driver({ connectTimeoutMillis: 5_000, ...options })), Context.get(KafkaDriver))
      /** Whether the cluster lets one in. */
      const topics = (options: KafkaOptions.KafkaOptions) =>
        Effect.scoped(Effect.flatMap(connect(options), ({ admin }) => admin.topics))

      it.effect(`${name}: logs in with each mechanism over TLS, and is refused with a wrong password`, () =>
        Effect.gen(function* () {
          const { ca, login } = yield* Cluster
          for (const mechanism of ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const) {
            const with_ = (secret: string) =>
              topics({ brokers: [login], tls: { ca }, sasl: password(mechanism, "ann", secret) })
            yield* with_(users.ann)
            const kafka = yield* connect({ brokers: [login], tls: { ca }, sasl: password(mechanism, "ann") })
            yield* roundTrip(kafka, `${topic}.${mechanism}.${name.replaceAll(/\W/g, "")}`)
            const reason = yield* refused(with_(wrongPassword))
            if (reason._tag !== "AuthenticationFailed") return assert.fail(`${mechanism}: ${reason.message}`)
            assert.deepInclude(reason, { address: login, mechanism: `SASL ${mechanism} over TLS` })
            assert.include(reason.message, "check the user, its secret")
          }
        }).pipe(Effect.scoped)
      )

      it.effect(`${name}: logs in in plain text, again and again when sessions end`, () =>
        Effect.gen(function* () {
          const { plain } = yield* Cluster
          let asked = 0
          const sasl = {
            mechanism: "OAUTHBEARER",
            token: Effect.map(Clock.currentTimeMillis, (now) => {
              asked++
              return Secured.token("ann", now, 2)
            })
          } as const
          const until = (yield* Clock.currentTimeMillis) + 7_000
          const { admin } = yield* connect({ brokers: [plain], sasl })
          const other = yield* connect({ brokers: [plain], sasl: password("PLAIN", "ann") })
          const connections = asked
          while ((yield* Clock.currentTimeMillis) < until) {
            yield* admin.topics
            yield* other.admin.topics
            yield* Effect.sleep(200)
          }
          assert.isAtLeast(asked, connections + 2, "each login has a token of its own")
        }).pipe(Effect.scoped)
      )

      it.effect(`${name}: is refused with a token that has expired, or none, and the next one lets it in`, () =>
        Effect.gen(function* () {
          const { ca, login } = yield* Cluster
          const with_ = (token: KafkaOptions.SaslToken["token"]) =>
            topics({ brokers: [login], tls: { ca }, sasl: { mechanism: "OAUTHBEARER", token } })
          const now = yield* Clock.currentTimeMillis
          for (const token of [
            Effect.succeed(Secured.token("ann", now - 100_000, 10)),
            Effect.fail("the token service is down")
          ]) {
            const reason = yield* refused(with_(token))
            assert.deepInclude(reason, { _tag: "AuthenticationFailed", mechanism: "SASL OAUTHBEARER over TLS" })
          }
          yield* with_(Effect.succeed(Secured.token("ann", now, 60)))
        })
      )

      it.effect(`${name}: trusts the authority it is given, and says which certificate it doesn't`, () =>
        Effect.gen(function* () {
          const { ca, client, login, mutual, otherCa } = yield* Cluster
          const sasl = password("PLAIN", "ann")
          for (const tls of [{ ca: otherCa }, true]) {
            const wrong = yield* refused(topics({ brokers: [login], tls, sasl }))
            assert.strictEqual(wrong._tag, "AuthenticationFailed", wrong.message)
            assert.include(wrong.message, "tls.ca")
          }
          const key = Redacted.make(client.key)
          const both = { ca, cert: client.certificate, key }
          const name = yield* refused(topics({ brokers: [mutual], tls: both }))
          assert.strictEqual(name._tag, "AuthenticationFailed", name.message)
          assert.include(name.message, "tls.serverName")
          yield* topics({ brokers: [mutual], tls: { ...both, serverName: "broker.internal" } })
        })
      )

      it.effect(`${name}: has a certificate where the broker wants one, and is told so where it has none`, () =>
        Effect.gen(function* () {
          const { ca, mutual } = yield* Cluster
          const none = yield* refused(topics({ brokers: [mutual], tls: { ca, serverName: "broker.internal" } }))
          assert.include(["AuthenticationFailed", "BrokerUnavailable"], none._tag)
          assert.match(none.message, /tls\.cert|wants a client's certificate/)
        })
      )

      it.effect(`${name}: is told when it speaks without TLS or without a login where they are wanted`, () =>
        Effect.gen(function* () {
          const { ca, login, mutual, plain } = yield* Cluster
          for (const options of [
            { brokers: [mutual] },
            { brokers: [login], tls: { ca } },
            { brokers: [login], sasl: password("PLAIN", "ann") },
            { brokers: [plain], tls: { ca }, sasl: password("PLAIN", "ann") },
            { brokers: [plain] }
          ]) {
            const reason = yield* refused(topics(options))
            assert.include(["AuthenticationFailed", "BrokerUnavailable"], reason._tag)
            assert.match(reason.message, /TLS|SASL/)
          }
        })
      )

      it.effect(`${name}: names the topic, the group or the transactional id that it has no right to`, () =>
        Effect.gen(function* () {
          const { admin: administrator, ca, login } = yield* Cluster
          const named = `${topic}.${name.replaceAll(/\W/g, "")}`
          const { admin } = yield* connect({ brokers: [login], tls: { ca }, sasl: password("PLAIN", "ann") })
          const { id } = yield* admin.createTopic(named, { partitions: 1 })
          const bob = yield* connect({ brokers: [login], tls: { ca }, sasl: password("PLAIN", "bob") })
          const resource = <A, R>(effect: Effect.Effect<A, KafkaError, R>) =>
            Effect.map(refused(effect), (reason) => {
              if (reason._tag !== "NotAuthorized") return assert.fail(reason.message)
              assert.include(reason.message, "add an ACL")
              return reason.resource
            })
          const ofTopic = `topic "${named}"`
          const send = Effect.scoped(
            Effect.flatMap(bob.producer(), ({ send }) => send([{ topic: named, partition: 0, records: records() }]))
          )
          const fetch = Effect.scoped(
            Effect.flatMap(bob.consumer(), ({ fetch }) =>
              fetch([{ topic: named, topicId: id, partition: 0, offset: 0 }])
            )
          )
          assert.strictEqual(yield* resource(bob.admin.describeTopic(named)), ofTopic)
          assert.strictEqual(
            yield* resource(bob.admin.createTopic(`${named}.2`, { partitions: 1 })),
            `topic "${named}.2"`
          )
          assert.strictEqual(yield* resource(send), ofTopic)
          assert.strictEqual(yield* resource(fetch), ofTopic)
          yield* Secured.allow(administrator, "User:bob", "DESCRIBE", named)
          assert.strictEqual(yield* resource(fetch), ofTopic)
          yield* resource(send)
          assert.strictEqual(yield* resource(bob.admin.groupOffsets("team", named)), `group "team"`)
          assert.strictEqual(
            yield* resource(Effect.scoped(bob.transactional({ transactionalId: "job" }))),
            `transactional id "job"`
          )
          yield* Secured.allow(administrator, "User:bob", "WRITE", named)
          yield* send
          assert.strictEqual(yield* resource(bob.admin.deleteTopic(named)), ofTopic)
        }).pipe(Effect.scoped)
      )
    }
  })
})
