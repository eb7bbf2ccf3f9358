/** A topic that Kafka compacts is no history: views of it are refused unless its archive began with it, and then they see what that holds. */
import { assert, it } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { Effect } from "effect"
import { withBroker } from "../../../../packages/kafka/test/broker.ts"
import * as H from "../cli/Harness.ts"
import * as P from "./Project.ts"

interface Failure {
  readonly error: { readonly tag: string; readonly message: string }
}
interface Counted {
  readonly versions: ReadonlyArray<{ readonly counts: { readonly read: number } }>
}
interface Checked {
  readonly problems: ReadonlyArray<{ readonly topic?: string; readonly message: string }>
}

const ok = (outcome: H.Outcome): H.Outcome => {
  assert.strictEqual(outcome.code, 0, outcome.err + outcome.out)
  return outcome
}

const append = Effect.fnUntraced(function* (topic: string, partition: number, n: number, from: number) {
  const log = yield* EventLog
  const builder = new BatchBuilder()
  for (const line of H.lines(n, from).trim().split("\n")) builder.add("one key", line, 1_700_000_000_000)
  yield* log.append(topic, partition, builder.take())
})

withBroker((brokers) => {
  for (const [driver, policy] of [
    ["platformatic", "compact"],
    ["kafkajs", "compact,delete"]
  ] as const)
    it.live(`cleanup.policy=${policy} (${driver})`, () =>
      Effect.gen(function* () {
        const data = yield* H.dataFolder
        const topic = yield* P.newTopic
        const admin = yield* P.admin
        yield* admin.createTopic(topic, { partitions: 2, configs: { "cleanup.policy": policy, "retention.ms": "-1" } })
        for (const p of [0, 1]) yield* append(topic, p, 100, 100 * p)
        const options = { data, topic, brokers, driver }
        const without = yield* P.revenue({ ...options, archive: false }, 1)
        for (const command of [
          ["run", "--json"],
          ["replay", "revenue", "--json"]
        ]) {
          const refused = yield* H.cli(without, ...command)
          assert.deepStrictEqual([refused.code, refused.json<Failure>().error.tag], [1, "Compacted"], refused.err)
          for (const part of [`topic "${topic}" is compacted`, "cleanup.policy", "partition 0 isn't archived"])
            assert.include(refused.err, part)
        }
        const checked = yield* H.cli(without, "check", "--json")
        assert.strictEqual(checked.code, 1)
        const wrong = checked.json<Checked>().problems.filter((p) => p.topic === topic)
        assert.lengthOf(wrong, 1)
        assert.include(wrong[0]!.message, "is compacted")
        // Looking at it raw is something else.
        assert.strictEqual(
          ok(yield* H.cli(without, "log", "read", topic, "--limit", "3"))
            .out.trim()
            .split("\n").length,
          6
        )

        const folder = yield* P.revenue(options, 1)
        ok(yield* H.cli(folder, "archive", "run", topic))
        ok(yield* H.cli(folder, "check"))
        const read = Effect.map(H.cli(folder, "run", "--json"), (o) => ok(o).json<Counted>().versions[0]!.counts.read)
        assert.strictEqual(yield* read, 200)
        yield* append(topic, 0, 50, 200)
        assert.strictEqual(yield* read, 200)
        ok(yield* H.cli(folder, "archive", "run", topic))
        assert.strictEqual(yield* read, 250)
        ok(yield* H.cli(folder, "replay", "revenue", "--workers", "2"))
      }).pipe(Effect.scoped, Effect.provide(P.cluster(brokers)))
    )
})
