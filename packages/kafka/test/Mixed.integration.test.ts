/** A classic group of ours and of another client's members: the same assignors on the wire, whoever leads. */
import { assert, it } from "@effect/vitest"
import { KafkaDriver } from "@headrace/kafka"
import { newTopic } from "@headrace/kafka/contract/Fixtures"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import {
  Consumer,
  cooperativeStickyAssigner,
  type GroupPartitionsAssigner,
  roundRobinAssigner
} from "@platformatic/kafka"
import { Effect } from "effect"
import { withBroker } from "./broker.ts"

const theirs: Readonly<Record<"cooperative-sticky" | "roundrobin", GroupPartitionsAssigner>> = {
  "cooperative-sticky": cooperativeStickyAssigner,
  roundrobin: roundRobinAssigner
}

withBroker((brokers) => {
  for (const name of ["cooperative-sticky", "roundrobin"] as const)
    for (const leads of ["ours", "theirs"] as const)
      it.live(`shares a group with a consumer of @platformatic/kafka: ${name}, ${leads} leads`, () =>
        Effect.gen(function* () {
          const kafka = yield* KafkaDriver
          const { name: topic } = yield* newTopic({ partitions: 4 })
          let lost = false
          const ours = kafka.member({
            group: topic,
            topics: [topic],
            protocol: "classic",
            assignors: [name],
            sessionTimeoutMillis: 6_000,
            onAssigned: () => Effect.void,
            onRevoked: (_, how) =>
              Effect.sync(() => {
                lost ||= how === "lost"
              })
          })
          const consumer = yield* Effect.acquireRelease(
            Effect.sync(
              () =>
                new Consumer({
                  clientId: "theirs",
                  groupId: topic,
                  bootstrapBrokers: [...brokers],
                  protocols: [{ name, version: name === "roundrobin" ? 1 : 3 }],
                  partitionAssigner: theirs[name],
                  sessionTimeout: 6_000,
                  heartbeatInterval: 500
                })
            ),
            (own) => Effect.promise(() => own.close(true))
          )
          const join = Effect.promise(async () => {
            const stream = await consumer.consume({ topics: [topic], autocommit: false })
            stream.on("data", () => {})
          })
          const partitions = () => (consumer.assignments ?? []).flatMap(({ partitions }) => partitions)
          const until = (expected: readonly [ours: number, theirs: number]) =>
            Effect.repeat(
              Effect.andThen(
                Effect.sleep(50),
                Effect.map(member.assignment, (own) => `${own.length} ${partitions().length}`)
              ),
              { until: (sizes) => sizes === expected.join(" ") }
            ).pipe(Effect.timeout(30_000))

          if (leads === "theirs") {
            yield* join
            yield* Effect.repeat(Effect.sleep(50), { until: () => partitions().length === 4 })
          }
          const member = yield* ours
          if (leads === "ours") {
            yield* until([4, 0])
            yield* join
          }
          yield* until([2, 2])
          const all = [...(yield* member.assignment).map(({ partition }) => partition), ...partitions()]
          assert.deepStrictEqual(all.sort(), [0, 1, 2, 3])
          yield* Effect.promise(() => consumer.close(true))
          yield* Effect.repeat(Effect.andThen(Effect.sleep(50), member.assignment), {
            until: (own) => own.length === 4
          }).pipe(Effect.timeout(30_000))
          assert.isFalse(lost)
        }).pipe(Effect.scoped, Effect.provide(Platformatic.layer({ brokers })))
      )
})
