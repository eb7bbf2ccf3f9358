/** A broker that dies and comes back under `run --follow`: the run waits, and nothing is lost or taken twice. */
import { assert, it } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { Clock, Effect, Fiber } from "effect"
import { withBroker } from "../../../../packages/kafka/test/broker.ts"
import * as Kafka from "../../../../testcontainers/src/Kafka.ts"
import * as H from "../cli/Harness.ts"
import * as P from "./Project.ts"

interface Status {
  readonly versions: ReadonlyArray<{
    readonly counts: { readonly read: number; readonly applied: number; readonly filtered: number }
    readonly staleMillis: number
  }>
}

const [rounds, size] = [40, 300]

withBroker(() => {
  for (const driver of ["platformatic", "kafkajs"] as const)
    it.live(`a run goes on when its broker was killed and started again (${driver})`, () =>
      Effect.gen(function* () {
        const broker = yield* Kafka.startAny()
        const brokers = [broker.bootstrap]
        const data = yield* H.dataFolder
        const folder = yield* P.revenue({ data, topic: "orders", brokers, driver }, 1)
        yield* Effect.gen(function* () {
          const log = yield* EventLog
          yield* log.createTopic("orders", { partitions: 2 })
          const follow = yield* P.following(folder, "run", "--follow", "--interval", "50 millis", "--json")
          yield* follow.said("revenue version 1 has caught up")
          const producer = yield* Effect.forkScoped(
            Effect.gen(function* () {
              for (let round = 0; round < rounds; round++) {
                const builder = new BatchBuilder()
                // Records of now: a broker that restarts forgets the sequence of a producer whose records are older than a day.
                const now = yield* Clock.currentTimeMillis
                const lines = H.lines(size, round * size)
                  .trim()
                  .split("\n")
                for (const line of lines) builder.add(null, line, now)
                yield* log.append("orders", round % 2, builder.take())
                yield* Effect.sleep("50 millis")
              }
            })
          )
          yield* Effect.sleep("500 millis")
          yield* broker.kill9
          yield* Effect.sleep("1 second")
          yield* broker.start
          yield* Fiber.join(producer)
          const { partitions } = yield* log.describe("orders")
          assert.deepStrictEqual(
            partitions.map((p) => p.end),
            [(rounds * size) / 2, (rounds * size) / 2]
          )
          const status = Effect.map(H.cli(folder, "status", "--json"), (o) => o.json<Status>().versions[0]!)
          while ((yield* status).staleMillis > 0) yield* Effect.sleep("100 millis")
          const { counts } = yield* status
          assert.deepStrictEqual(
            [counts.read, counts.applied, counts.filtered],
            [rounds * size, (rounds * size) / 3, (2 * rounds * size) / 3]
          )
          assert.isUndefined(follow.fiber.pollUnsafe(), follow.err())
          yield* Fiber.interrupt(follow.fiber)
        }).pipe(Effect.provide(P.cluster(brokers)))
      }).pipe(Effect.scoped)
    )
})
