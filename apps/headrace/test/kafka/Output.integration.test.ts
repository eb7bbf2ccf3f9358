/** `headrace run` of a project whose config names an output: the topic sums to the table, whenever the command dies. */
import { assert, it } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { ViewStore } from "@headrace/core/ViewStore"
import { Output, View } from "@headrace/kappa"
import { Effect, Fiber, Random, Stream } from "effect"
import { withBroker } from "../../../../packages/kafka/test/broker.ts"
import { committed } from "../../../../packages/kafka/test/changes.ts"
import * as Project from "../../src/Project.ts"
import * as H from "../cli/Harness.ts"
import * as P from "./Project.ts"

interface State {
  readonly topic: string
  readonly state: string
  readonly partitions: ReadonlyArray<{
    readonly partition: number
    readonly next: number
    readonly store: number
    readonly lag: number
  }>
}
interface Failure {
  readonly error: { readonly tag: string; readonly message: string }
}

const ok = (outcome: H.Outcome): H.Outcome => {
  assert.strictEqual(outcome.code, 0, outcome.err + outcome.out)
  return outcome
}

/** Lines of orders to a partition. */
const append = Effect.fnUntraced(function* (topic: string, partition: number, n: number, from: number) {
  const log = yield* EventLog
  const builder = new BatchBuilder()
  for (const line of H.lines(n, from).trim().split("\n")) builder.add(null, line, 1_700_000_000_000)
  yield* log.append(topic, partition, builder.take())
})

/** What the table of a version holds, as the stream writes it. */
const tableOf = Effect.fnUntraced(function* (folder: string, version: number) {
  const project = yield* Project.load(folder)
  const { source, view } = yield* Project.declaredOf(project, "revenue", version)
  const rows = yield* ViewStore.use((store) => Stream.runCollect(store.rows("revenue", version))).pipe(
    Effect.provide(Project.storeLayer(project))
  )
  return new Map(rows.map((row) => Output.upsert(View.spec(view, source), row)).map((c) => [c.key, c.value] as const))
})

/** The latest committed value of each key of a topic; and how often each was written with the value that it had already. */
const sumOf = Effect.fnUntraced(function* (topic: string) {
  const sum = new Map<string, string>()
  let repeated = 0
  for (const { key, value } of yield* committed(topic)) {
    if (sum.get(key) === (value ?? undefined)) repeated++
    if (value === null) sum.delete(key)
    else sum.set(key, value)
  }
  return { sum, repeated }
})

const outputsOf = (folder: string) =>
  Effect.map(H.cli(folder, "status", "--json"), (o) => ok(o).json<{ readonly outputs: ReadonlyArray<State> }>().outputs)

withBroker((brokers) => {
  for (const driver of ["platformatic", "kafkajs"] as const)
    it.live(`a run with output that gets SIGKILL again and again is exactly once (${driver})`, () =>
      Effect.gen(function* () {
        const data = yield* H.dataFolder
        const source = yield* P.newTopic
        const topic = `${source}.changes`
        const output = `{ views: ["revenue"], topics: { "revenue.v1": "${topic}" }, progressTopic: "${source}.progress" }`
        const folder = yield* P.revenue({ data, topic: source, brokers, driver, archive: false, output }, 1)
        const log = yield* EventLog
        yield* log.createTopic(source, { partitions: 2 })
        assert.include(ok(yield* H.cli(folder, "check")).out, `changes     to topic ${topic}`)
        assert.deepStrictEqual(yield* outputsOf(folder), [
          { view: "revenue", version: 1, topic, state: "not begun", partitions: [] } as State
        ])

        let at = 0
        for (let round = 0; round < 4; round++) {
          const child = H.start(folder, "run", "--follow", "--interval", "10 millis")
          const ended = yield* Effect.forkChild(H.ended(child))
          if (round === 0) yield* H.said(child, `revenue version 1 writes its changes to topic ${topic}`)
          yield* H.said(child, "revenue version 1 has caught up")
          const kill = yield* Random.nextIntBetween(3, 12)
          for (let i = 0; i < kill; i++, at += 50) yield* append(source, i % 2, 50, at)
          yield* Effect.sleep(yield* Random.nextBetween(0, 60))
          child.kill("SIGKILL")
          assert.include((yield* Fiber.join(ended)).err, "SIGKILL")
        }
        yield* append(source, 0, 30, at)
        ok(yield* H.cli(folder, "run"))
        const { repeated, sum } = yield* sumOf(topic)
        assert.isAbove(sum.size, 10)
        assert.deepStrictEqual(sum, yield* tableOf(folder, 1))
        assert.strictEqual(repeated, 0)
        const [state] = yield* outputsOf(folder)
        assert.strictEqual(state!.state, "in step")
        assert.deepStrictEqual(
          state!.partitions.map((p) => [p.next - p.store, p.lag]),
          [
            [0, 0],
            [0, 0]
          ]
        )
        assert.strictEqual(
          state!.partitions.reduce((n, p) => n + p.next, 0),
          at + 30
        )
      }).pipe(Effect.scoped, Effect.provide(P.cluster(brokers)))
    )

  it.live("a version that ran without its output is refused with what to do, and each way out works", () =>
    Effect.gen(function* () {
      const data = yield* H.dataFolder
      const source = yield* P.newTopic
      const with_ = (topics: string, ...versions: ReadonlyArray<number>) => {
        const output = `{ views: "all", topics: { ${topics} }, progressTopic: "${source}.progress" }`
        return P.revenue({ data, topic: source, brokers, driver: "platformatic", archive: false, output }, ...versions)
      }
      const one = `${source}.changes`
      const without = yield* P.revenue({ data, topic: source, brokers, driver: "platformatic", archive: false }, 1)
      const first = yield* with_(`"revenue.v1": "${one}"`, 1)
      yield* (yield* EventLog).createTopic(source, { partitions: 1 })
      yield* append(source, 0, 100, 0)
      ok(yield* H.cli(first, "run"))

      // A replay writes no changes: it is refused where some are published, and begins a new version.
      const replayed = yield* H.cli(first, "replay", "revenue", "--json")
      assert.deepStrictEqual([replayed.code, replayed.json<Failure>().error.tag], [1, "OutputBegun"], replayed.err)
      assert.include(replayed.err, `"headrace run revenue"`)
      const two = `${source}.changes.v2`
      const both = yield* with_(`"revenue.v1": "${one}", "revenue.v2": "${two}"`, 1, 2)
      ok(yield* H.cli(both, "replay", "revenue", "--version", "2"))
      ok(yield* H.cli(both, "run"))
      assert.deepStrictEqual((yield* sumOf(two)).sum, yield* tableOf(both, 2))
      ok(yield* H.cli(both, "drop", "revenue", "2"))

      yield* append(source, 0, 100, 100)
      ok(yield* H.cli(without, "run"))
      assert.deepStrictEqual(
        (yield* outputsOf(first)).map(({ partitions, state }) => [state, partitions]),
        [["behind the store", [{ partition: 0, next: 100, store: 200, lag: 100 }]]]
      )
      const behind = yield* H.cli(first, "run", "--json")
      assert.deepStrictEqual([behind.code, behind.json<Failure>().error.tag], [1, "OutputBehind"], behind.err)
      for (const hint of [`["output"]["topics"]["revenue.v1"]`, `"headrace drop revenue --all"`, one, "offset 100"])
        assert.include(behind.err, hint)

      // Another topic begins with all rows.
      const anew = `${source}.anew`
      const other = yield* with_(`"revenue.v1": "${anew}"`, 1)
      ok(yield* H.cli(other, "run"))
      assert.deepStrictEqual((yield* sumOf(anew)).sum, yield* tableOf(other, 1))

      // Built anew, the version goes on in its old topic.
      ok(yield* H.cli(first, "drop", "revenue", "--all"))
      ok(yield* H.cli(first, "run"))
      const { repeated, sum } = yield* sumOf(one)
      assert.deepStrictEqual(sum, yield* tableOf(first, 1))
      assert.strictEqual(repeated, 0)
    }).pipe(Effect.scoped, Effect.provide(P.cluster(brokers)))
  )
})
