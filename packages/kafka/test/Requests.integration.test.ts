/** What a log on Kafka costs its brokers: how many requests a follow round sends, by what they ask. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { OneLog } from "@headrace/archive"
import { EventLog } from "@headrace/core/EventLog"
import { SqliteViewStore } from "@headrace/embedded"
import { KafkaDriver, KafkaLog } from "@headrace/kafka"
import { unique } from "@headrace/kafka/contract/Fixtures"
import { Live, Log } from "@headrace/kappa"
import { Deferred, Effect, Layer } from "effect"
import { Order, declared, records, sales, some } from "../../kappa/test/fixtures.ts"
import * as Client from "../src/internal/Client.ts"
import { transport } from "../src/internal/platformaticTransport.ts"
import type { Transport } from "../src/internal/Transport.ts"
import { withBroker } from "./broker.ts"

const names = new Map([
  [1, "fetch"],
  [2, "list offsets"],
  [3, "metadata"],
  [32, "describe configs"]
])

/** A transport that counts what is sent. */
const counting = (inner: Transport, counts: Map<string, number>): Transport => ({
  ...inner,
  connect: (address) =>
    Effect.map(inner.connect(address), (connection) => ({
      ...connection,
      send: (request) => {
        const name = names.get(request.apiKey) ?? `request ${request.apiKey}`
        counts.set(name, (counts.get(name) ?? 0) + 1)
        return connection.send(request)
      }
    }))
})

withBroker((brokers) => {
  it.live("a follow round asks once where its topic stands, and then only fetches", () =>
    Effect.gen(function* () {
      const counts = new Map<string, number>()
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "headrace-requests-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const driver = Layer.effect(
        KafkaDriver,
        Client.make({ brokers }, (settings) => counting(transport(settings), counts))
      )
      yield* Effect.gen(function* () {
        const log = yield* EventLog
        const topic = yield* unique("orders")
        yield* log.createTopic(topic, { partitions: 4 })
        const append = (from: number) =>
          Effect.forEach([0, 1, 2, 3], (p) => log.append(topic, p, records(some(from, from + 10))), { discard: true })
        yield* append(0)
        const done = yield* Deferred.make<void>()
        const rounds: Array<Record<string, number>> = []
        const view = sales(1, {
          from: Log.topic(topic, { value: Order }).pipe(Log.eventTime("ts", { outOfOrderness: "1 minute" }))
        })
        // The first round also registers, holds and knows nothing yet; of the ones after it one has records in each partition, one has none.
        const onCaughtUp = () =>
          Effect.gen(function* () {
            rounds.push(Object.fromEntries(counts))
            if (rounds.length === 1) yield* Effect.orDie(append(10))
            if (rounds.length === 3) yield* Deferred.succeed(done, undefined)
            counts.clear()
          })
        yield* Effect.raceFirst(
          Live.run({ views: [declared(view)], owner: "test", follow: "1 millis", onCaughtUp }),
          Deferred.await(done)
        )
        assert.deepStrictEqual(rounds.slice(1), [
          { metadata: 1, "list offsets": 2, fetch: 4 },
          { metadata: 1, "list offsets": 2 }
        ])
      }).pipe(
        Effect.provide(
          Layer.mergeAll(OneLog.layer, SqliteViewStore.layer({ path: join(folder, "views.db") })).pipe(
            Layer.provideMerge(KafkaLog.layer()),
            Layer.provideMerge(driver)
          )
        )
      )
    }).pipe(Effect.scoped)
  )
})
