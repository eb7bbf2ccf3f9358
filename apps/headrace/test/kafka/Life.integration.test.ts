/** A project's life on Kafka, by the commands that its users type, on both drivers. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { EventLog } from "@headrace/core/EventLog"
import { Effect } from "effect"
import { withBroker } from "../../../../packages/kafka/test/broker.ts"
import * as DeadLetters from "../cli/DeadLetters.ts"
import * as H from "../cli/Harness.ts"
import * as P from "./Project.ts"

interface Partition {
  readonly partition: number
  readonly next: number
  readonly end: number
  readonly lag: number
  readonly ageMillis: number
  readonly staleMillis: number
}
interface Version {
  readonly version: number
  readonly state: string
  readonly counts: { readonly read: number; readonly applied: number; readonly filtered: number }
  readonly partitions: ReadonlyArray<Partition>
  readonly staleMillis: number
}
interface Status {
  readonly versions: ReadonlyArray<Version>
  readonly archives: ReadonlyArray<{ readonly records: number; readonly partitions: ReadonlyArray<unknown> }>
}
interface Failure {
  readonly error: { readonly tag: string; readonly message: string }
}

const ok = (outcome: H.Outcome): H.Outcome => {
  assert.strictEqual(outcome.code, 0, outcome.err + outcome.out)
  return outcome
}

const importing = (folder: string, data: string, topic: string, text: string, partitions: number) => {
  const file = join(data, "orders.ndjson")
  writeFileSync(file, text)
  const args = ["--topic", topic, "--key", "category", "--timestamp", "ts", "--partitions", String(partitions)]
  return Effect.map(H.cli(folder, "log", "import", file, ...args, "--json"), ok)
}

withBroker((brokers) => {
  for (const driver of ["platformatic", "kafkajs"] as const) {
    it.live(`goes from an import to a rollback on Kafka by ${driver}`, () =>
      Effect.gen(function* () {
        const data = yield* H.dataFolder
        const topic = yield* P.newTopic
        const options: P.Options = { data, topic, brokers, driver, more: `, compression: "zstd"` }
        const one = yield* P.revenue(options, 1)
        ok(yield* H.cli(one, "status"))
        assert.include(ok(yield* H.cli(one, "check")).out, "the log has no such topic yet")
        const missing = yield* H.cli(one, "run", "--json")
        assert.deepStrictEqual([missing.code, missing.json<Failure>().error.tag], [1, "TopicNotFound"])
        assert.include(missing.err, topic)

        yield* importing(one, data, topic, H.lines(3_000), 3)
        assert.include(ok(yield* H.cli(one, "log", "topics")).out, topic)
        const read = ok(yield* H.cli(one, "log", "read", topic, "--partition", "0", "--limit", "2")).out.trim()
        assert.deepStrictEqual(
          read.split("\n").map((line) => (JSON.parse(line) as Partition & { readonly offset: number }).offset),
          [0, 1]
        )

        ok(yield* H.cli(one, "archive", "run", topic, "--until", "0:200,1:200,2:200"))
        const ran = ok(yield* H.cli(one, "run", "--json")).json<Status>().versions[0]!
        assert.deepStrictEqual(
          [ran.state, ran.counts.read, ran.partitions.map((p) => p.lag)],
          ["promoted", 3_000, [0, 0, 0]]
        )

        // Version 2 is replayed from archive and Kafka by threads.
        const two = yield* P.revenue(options, 1, 2)
        const replayed = yield* H.cli(two, "replay", "revenue", "--workers", "2", "--compare", "--json")
        assert.strictEqual(replayed.code, 3, replayed.err)
        assert.deepStrictEqual([replayed.json<Version>().version, replayed.json<Version>().counts.read], [2, 3_000])
        assert.strictEqual((yield* H.cli(two, "compare", "revenue", "1", "2")).code, 3)
        ok(yield* H.cli(two, "promote", "revenue", "2"))
        ok(yield* H.cli(two, "rollback", "revenue"))

        // Retention overtakes what is folded and not archived, then only what is archived.
        yield* importing(two, data, topic, H.lines(300, 3_000), 3)
        const behind = ok(yield* H.cli(two, "status", "--json")).json<Status>()
        assert.strictEqual(
          behind.versions[0]!.partitions.reduce((n, p) => n + p.lag, 0),
          300
        )
        // Its first unfolded record is of November 2023, and its newest folded one a little older.
        for (const p of behind.versions[0]!.partitions.filter((p) => p.lag > 0)) {
          assert.isAbove(p.staleMillis, 86_400_000)
          assert.isAbove(p.ageMillis, p.staleMillis)
        }
        ok(yield* H.cli(two, "archive", "run", "--all"))
        const retain = Effect.gen(function* () {
          const log = yield* EventLog
          const { partitions } = yield* log.describe(topic)
          for (const { end, partition } of partitions) yield* log.deleteBefore(topic, partition, end)
          return partitions.map((p) => p.end)
        }).pipe(Effect.provide(P.cluster(brokers)))
        const ends = yield* retain
        const without = yield* P.revenue({ ...options, archive: false }, 1)
        const refused = yield* H.cli(without, "run", "--json")
        assert.deepStrictEqual([refused.code, refused.json<Failure>().error.tag], [1, "Gap"], refused.err)
        // The partitions are folded at the same time: whichever is refused first is named.
        const ranges = behind.versions[0]!.partitions.map(
          ({ next, partition }) =>
            `offsets [${next}, ${ends[partition]}) of topic "${topic}" partition ${partition} are`
        )
        assert.isTrue(
          ranges.some((range) => refused.json<Failure>().error.message.startsWith(range)),
          refused.err
        )
        ok(yield* H.cli(two, "run"))
        const caughtUp = ok(yield* H.cli(two, "status", "--json")).json<Status>()
        assert.deepStrictEqual(
          caughtUp.versions.map((v) => [v.counts.read, v.staleMillis]),
          [
            [3_300, 0],
            [3_300, 0]
          ]
        )
        assert.strictEqual(caughtUp.archives[0]!.records, 3_300)

        // Without the archive a version that isn't built is refused what it lacks of the others' history.
        const three = yield* P.revenue({ ...options, archive: false }, 1, 3)
        const gap = yield* H.cli(three, "replay", "revenue", "--json")
        assert.deepStrictEqual([gap.code, gap.json<Failure>().error.tag], [1, "Gap"])
        assert.include(gap.json<Failure>().error.message, `offsets [0, ${ends[0]}) of topic "${topic}" partition 0 are`)
      }).pipe(Effect.scoped)
    )

    it.live(`dead letters are appended to a topic of Kafka by ${driver}`, () =>
      Effect.gen(function* () {
        const data = yield* H.dataFolder
        const topic = yield* P.newTopic
        const options: P.Options = { data, topic, brokers, driver, archive: false }
        const folder = yield* P.project(options, { "revenue1.ts": H.revenue(1), "strict.ts": DeadLetters.strict })
        yield* Effect.provide(DeadLetters.replays(folder, topic), P.cluster(brokers))
      }).pipe(Effect.scoped)
    )
  }
})
