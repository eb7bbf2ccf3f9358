/** What happens to a topic on Kafka while `run --follow` runs, and to a run whose broker or password is wrong. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { Effect, Fiber } from "effect"
import { withBroker } from "../../../../packages/kafka/test/broker.ts"
import * as H from "../cli/Harness.ts"
import * as P from "./Project.ts"

interface Failure {
  readonly error: { readonly tag: string; readonly message: string }
}

const lines = (n: number) => {
  const builder = new BatchBuilder()
  for (const line of H.lines(n).trim().split("\n")) builder.add(null, line, 1_700_000_000_000)
  return builder.take()
}

withBroker((brokers) => {
  for (const driver of ["platformatic", "kafkajs"] as const) {
    it.live(
      `partitions that are added under a run are picked up, and a topic that is deleted ends it (${driver})`,
      () =>
        Effect.gen(function* () {
          const data = yield* H.dataFolder
          const topic = yield* P.newTopic
          const log = yield* EventLog
          const admin = yield* P.admin
          yield* log.createTopic(topic, { partitions: 1 })
          yield* log.append(topic, 0, lines(30))
          const folder = yield* P.revenue({ data, topic, brokers, driver }, 1)
          const follow = yield* P.following(folder, "run", "--follow", "--interval", "100 millis", "--json")
          yield* follow.said("revenue version 1 has caught up")
          yield* admin.addPartitions(topic, 3)
          yield* log.append(topic, 2, lines(30))
          yield* follow.said(`revenue version 1 picks up what topic ${topic} has got: partitions 1, 2`)
          const counted = H.cli(folder, "status", "--json").pipe(
            Effect.map((o) => o.json<{ readonly versions: ReadonlyArray<{ readonly counts: { read: number } }> }>()),
            Effect.map((s) => s.versions[0]!.counts.read)
          )
          while ((yield* counted) < 60) yield* Effect.sleep("50 millis")
          yield* log.deleteTopic(topic)
          assert.strictEqual(yield* Fiber.join(follow.fiber), 1, follow.err())
          const { error } = JSON.parse(follow.out().trim().split("\n").at(-1)!) as Failure
          assert.strictEqual(error.tag, "TopicNotFound")
          assert.include(error.message, topic)

          // The state stands; a topic made anew under the name isn't read on.
          assert.strictEqual(yield* counted, 60)
          yield* log.createTopic(topic, { partitions: 1 })
          const anew = yield* H.cli(folder, "run", "--json")
          assert.deepStrictEqual([anew.code, anew.json<Failure>().error.tag], [1, "VersionExists"], anew.err)
        }).pipe(Effect.scoped, Effect.provide(P.cluster(brokers)))
    )
  }

  it.live("a file larger than a topic takes at once is imported in as many appends as it needs", () =>
    Effect.gen(function* () {
      const data = yield* H.dataFolder
      const topic = yield* P.newTopic
      const admin = yield* P.admin
      // Kafka's default of 1 MiB.
      yield* admin.createTopic(topic, { partitions: 1, configs: { "retention.ms": "-1" } })
      const folder = yield* P.revenue({ data, topic, brokers, driver: "platformatic" }, 1)
      const file = join(data, "large.ndjson")
      const pad = "x".repeat(1_000)
      writeFileSync(
        file,
        Array.from({ length: 4_000 }, (_, i) => `${JSON.stringify({ id: i, pad, ts: 1_700_000_000_000 })}\n`).join("")
      )
      const imported = yield* H.cli(folder, "log", "import", file, "--topic", topic, "--timestamp", "ts")
      assert.strictEqual(imported.code, 0, imported.err)
      assert.deepStrictEqual(yield* admin.offsets(topic, "latest"), [4_000])
    }).pipe(Effect.scoped, Effect.provide(P.cluster(brokers)))
  )
})
