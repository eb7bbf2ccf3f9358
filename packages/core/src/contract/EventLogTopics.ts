/** Topics of the log port: their names, their identity, and input that can't be. */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { EventLog, type EventLogError } from "../EventLog.ts"
import * as Records from "./Records.ts"

export const topics = (it: Vitest.MethodsNonLive<EventLog>): void => {
  it.effect("creates, describes and lists topics", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const made = [yield* Records.newTopic(3), yield* Records.newTopic(1)]
      assert.deepStrictEqual(
        made[0]!.partitions,
        [0, 1, 2].map((partition) => ({ partition, begin: 0, end: 0 }))
      )
      for (const topic of made) assert.deepStrictEqual(yield* log.describe(topic.name), topic)
      const all = yield* log.topics
      assert.deepStrictEqual(
        all.map((t) => t.name),
        all.map((t) => t.name).toSorted()
      )
      for (const topic of made)
        assert.deepStrictEqual(
          all.find((t) => t.name === topic.name),
          topic
        )
      assert.strictEqual(yield* Records.tagOf(log.createTopic(made[0]!.name, { partitions: 3 })), "TopicExists")
      yield* log.deleteTopic(made[0]!.name)
      assert.isFalse((yield* log.topics).some((t) => t.name === made[0]!.name))
    })
  )

  it.effect("says which topic or partition isn't there", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic(2)
      const missing = `${name}.missing`
      for (const call of [
        log.describe(missing),
        log.deleteTopic(missing),
        log.append(missing, 0, Records.numbered(0, 1)),
        log.deleteBefore(missing, 0, 0),
        Stream.runDrain(log.read({ topic: missing, partition: 0, from: 0 }))
      ]) {
        const reason = yield* Records.reasonOf(Effect.asVoid(call))
        assert.strictEqual(reason._tag, "TopicNotFound")
        assert.include(reason.message, missing)
      }
      for (const call of [
        log.append(name, 2, Records.numbered(0, 1)),
        log.deleteBefore(name, 2, 0),
        Stream.runDrain(log.read({ topic: name, partition: 2, from: 0 }))
      ]) {
        const reason = yield* Records.reasonOf(Effect.asVoid(call))
        assert.deepInclude(reason, { _tag: "PartitionNotFound", topic: name, partition: 2, partitions: 2 })
      }
    })
  )

  it.effect("gives another id to a topic that is made anew, and none of the old records", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { id, name } = yield* Records.newTopic()
      yield* log.append(name, 0, Records.numbered(0, 100))
      const old: Array<string | null> = []
      const error = yield* Records.reasonOf(
        Stream.runForEach(log.read({ topic: name, partition: 0, from: 0, maxRecords: 10 }), (batch) =>
          Effect.gen(function* () {
            old.push(...Records.ofBatch(batch).map(({ value }) => Records.textOf(value)))
            if (old.length > 10) return
            yield* log.deleteTopic(name)
            const made = yield* log.createTopic(name, { partitions: 1 })
            assert.notStrictEqual(made.id, id)
            assert.deepStrictEqual(made.partitions, [{ partition: 0, begin: 0, end: 0 }])
            yield* log.append(name, 0, Records.numbered(1000, 1100))
          })
        )
      )
      assert.strictEqual(error._tag, "TopicNotFound")
      // A driver may have fetched ahead, but never goes over to the new topic.
      assert.deepStrictEqual(old, Records.texts(0, old.length))
      assert.deepStrictEqual(yield* Records.valuesOf({ topic: name, partition: 0, from: 0 }), Records.texts(1000, 1100))
    })
  )

  it.effect("reads the creation of a topic that is named, and no other", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      yield* log.append(name, 0, Records.numbered(0, 10))
      const { id: topicId, partitions } = yield* log.describe(name)
      const options = { topic: name, topicId, partition: 0, from: 0, until: partitions[0]!.end }
      assert.deepStrictEqual(yield* Records.valuesOf(options), Records.texts(0, 10))
      yield* log.deleteTopic(name)
      const gone = Effect.map(Records.reasonOf(Stream.runDrain(log.read(options))), ({ _tag }) => _tag)
      assert.strictEqual(yield* gone, "TopicNotFound")
      yield* log.createTopic(name, { partitions: 1 })
      yield* log.append(name, 0, Records.numbered(0, 20))
      assert.strictEqual(yield* gone, "TopicNotFound")
      // Whatever has looked at the new one meanwhile.
      const { id } = yield* log.describe(name)
      assert.strictEqual(yield* gone, "TopicNotFound")
      assert.deepStrictEqual(yield* Records.valuesOf({ ...options, topicId: id }), Records.texts(0, 10))
    })
  )

  it.effect("refuses input that can't be, and changes nothing", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const { name } = yield* Records.newTopic()
      yield* log.append(name, 0, Records.numbered(0, 5))
      const before = yield* log.describe(name)
      const good = Records.numbered(0, 5)
      const end = good.bytes.length
      const calls: ReadonlyArray<readonly [string, Effect.Effect<unknown, EventLogError>]> = [
        ...["", ".", "..", "a/b", "a b", "é", "x".repeat(250)].map(
          (topic) => [`topic ${topic}`, log.createTopic(topic, { partitions: 1 })] as const
        ),
        ...[0, -1, 1.5, Number.NaN, 1e9].map(
          (partitions) => [`${partitions} partitions`, log.createTopic(`${name}.new`, { partitions })] as const
        ),
        ...(
          [
            ["count", { count: -1 }],
            ["a longer count", { count: 6 }],
            ["fewer timestamps", { timestamps: good.timestamps.subarray(1) }],
            ["NaN", { timestamps: new Float64Array(5).fill(Number.NaN) }],
            ["a fraction of a millisecond", { timestamps: new Float64Array(5).fill(0.5) }],
            ["fewer keys", { keys: good.keys.subarray(2) }],
            ["a value outside", { values: good.values.map((at) => (at === end ? end + 1 : at)) }],
            ["a value that ends before it starts", { values: new Int32Array(10).map((_, i) => (i % 2 === 0 ? 2 : 1)) }],
            ["fewer headers", { headers: [[]] }],
            ["a header's key", { headers: Array.from({ length: 5 }, () => [{ key: "\ud800", value: null }]) }]
          ] as const
        ).map(([what, part]) => [what, log.append(name, 0, { ...good, ...part })] as const),
        ...[-1, 0.5, Number.NaN, 2 ** 53].flatMap((offset) => [
          [`from ${offset}`, Stream.runDrain(log.read({ topic: name, partition: 0, from: offset }))] as const,
          [
            `until ${offset}`,
            Stream.runDrain(log.read({ topic: name, partition: 0, from: 0, until: offset }))
          ] as const,
          [`before ${offset}`, log.deleteBefore(name, 0, offset)] as const,
          [`partition ${offset}`, log.append(name, offset, good)] as const
        ]),
        ...[0, -1, 1.5, Number.NaN].map(
          (max) =>
            [
              `maxRecords ${max}`,
              Stream.runDrain(log.read({ topic: name, partition: 0, from: 0, maxRecords: max }))
            ] as const
        )
      ]
      for (const [what, call] of calls) assert.strictEqual(yield* Records.tagOf(call), "InvalidInput", what)
      assert.deepStrictEqual(yield* log.describe(name), before)
      assert.deepStrictEqual(yield* Records.valuesOf({ topic: name, partition: 0, from: 0 }), Records.texts(0, 5))
    })
  )
}
