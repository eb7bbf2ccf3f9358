/** A broker that asks for a password: it comes from the environment, and a wrong one is told in one line. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { withBroker } from "../../../../packages/kafka/test/broker.ts"
import * as Kafka from "../../../../testcontainers/src/Kafka.ts"
import * as KafkaSecurity from "../../../../testcontainers/src/KafkaSecurity.ts"
import * as H from "../cli/Harness.ts"
import * as P from "./Project.ts"

const secured = KafkaSecurity.options({ login: { mechanisms: ["PLAIN"], users: { ann: "right-w0rd" } } })

const withPassword = (password: string) =>
  Effect.provideService(
    ConfigProvider.ConfigProvider,
    ConfigProvider.fromEnv({ env: { KAFKA_SASL_PASSWORD: password } })
  )

withBroker(() => {
  it.live("the password comes from the environment; a wrong one is refused and shown nowhere", () =>
    Effect.gen(function* () {
      const { bootstrap } = yield* Kafka.startAny(secured)
      const data = yield* H.dataFolder
      for (const driver of ["platformatic", "kafkajs"] as const) {
        const more = ', sasl: { mechanism: "PLAIN", username: "ann" }'
        const folder = yield* P.revenue({ data, topic: "orders", brokers: [bootstrap], driver, more }, 1)
        const topics = H.cli(folder, "log", "topics", "--json")
        const right = yield* topics.pipe(withPassword("right-w0rd"))
        assert.strictEqual(right.code, 0, right.err)
        const wrong = yield* topics.pipe(withPassword("wrong-w0rd"))
        assert.strictEqual(wrong.code, 1)
        assert.match(wrong.err, /^error: Kafka at \S+ refused the connection with SASL PLAIN over plain text [^\n]+\n$/)
        assert.include(wrong.err, "check the user, its secret")
        assert.strictEqual(wrong.json<{ readonly error: { readonly tag: string } }>().error.tag, "AuthenticationFailed")
        assert.notInclude(wrong.out + wrong.err, "wrong-w0rd")
      }

      // A replay's threads have it from the environment too.
      yield* Effect.acquireRelease(
        Effect.sync(() => void (process.env["KAFKA_SASL_PASSWORD"] = "right-w0rd")),
        () => Effect.sync(() => void delete process.env["KAFKA_SASL_PASSWORD"])
      )
      const more = ', sasl: { mechanism: "PLAIN", username: "ann" }'
      const folder = yield* P.revenue(
        { data, topic: "orders", brokers: [bootstrap], driver: "platformatic", more },
        1,
        2
      )
      const file = join(data, "orders.ndjson")
      writeFileSync(file, H.lines(300))
      for (const args of [
        ["log", "import", file, "--topic", "orders", "--partitions", "2"],
        ["run", "revenue"],
        ["drop", "revenue", "2"],
        ["replay", "revenue", "--workers", "2"]
      ]) {
        const outcome = yield* H.processOf(folder, ...args)
        assert.strictEqual(outcome.code, 0, outcome.err)
      }
    }).pipe(Effect.scoped)
  )
})
