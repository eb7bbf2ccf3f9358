/**
 * What every driver of the change sink port must do. Run it with `suite("memory", layer, read)` in a test file, where `read` gives the
 * committed changes of a topic, those of a key in order. Every test makes streams of its own. Needs `@effect/vitest`.
 */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { type Change, ChangeSink, type ChangeStream, type Progress } from "../ChangeSink.ts"

const newStream = Effect.map(Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER), (n): ChangeStream => ({
  view: "sales",
  version: 1,
  topic: `contract.changes.${n.toString(36)}`
}))

const progress = (...next: ReadonlyArray<number>): Progress => ({
  declaration: "0123456789abcdef".repeat(4),
  topicId: "topic-1",
  next: next.map((offset, partition) => ({ partition, next: offset }))
})

const changes = (from: number, to: number): ReadonlyArray<Change> =>
  Array.from({ length: to - from }, (_, i) => ({ key: `{"k":${from + i}}`, value: `{"k":${from + i},"n":1}` }))

const byKey = (all: ReadonlyArray<Change>) => {
  const sorted = new Map<string, Array<string | null>>()
  for (const { key, value } of all) sorted.set(key, [...(sorted.get(key) ?? []), value])
  return [...sorted].toSorted(([a], [b]) => (a < b ? -1 : 1))
}

/** Where a stream stands for who opens it now. */
const reopened = (stream: ChangeStream) =>
  Effect.scoped(Effect.flatMap(ChangeSink, (sink) => Effect.map(sink.open(stream), (opened) => opened.progress)))

/** Registers the suite for a driver. */
export const suite = <R, E, E2>(
  name: string,
  driver: Layer.Layer<ChangeSink | R, E>,
  read: (stream: ChangeStream) => Effect.Effect<ReadonlyArray<Change>, E2, ChangeSink | R>
): void =>
  layer(driver, { timeout: "60 seconds", excludeTestServices: true })(`ChangeSink contract: ${name}`, (it) => {
    it.effect("begins without progress, and keeps changes and progress of each publish", () =>
      Effect.gen(function* () {
        const sink = yield* ChangeSink
        const stream = yield* newStream
        const first = yield* Effect.scoped(
          Effect.gen(function* () {
            const { progress: before, publish } = yield* sink.open(stream)
            yield* publish(Stream.fromArray(changes(0, 5)), progress(7, 0))
            yield* publish(
              Stream.make({ key: '{"k":1}', value: null }, { key: '{"k":"é😀"}', value: '{"k":"é😀"}' }),
              progress(7, 2 ** 53 - 1)
            )
            return before
          })
        )
        assert.isUndefined(first)
        assert.deepStrictEqual(yield* reopened(stream), progress(7, 2 ** 53 - 1))
        assert.deepStrictEqual(
          byKey(yield* read(stream)),
          byKey([...changes(0, 5), { key: '{"k":1}', value: null }, { key: '{"k":"é😀"}', value: '{"k":"é😀"}' }])
        )
      })
    )

    it.effect("keeps progress without changes, of many partitions, and of one stream apart from another", () =>
      Effect.gen(function* () {
        const sink = yield* ChangeSink
        const [one, other] = [yield* newStream, yield* newStream]
        const many = progress(...Array.from({ length: 500 }, (_, i) => i * 1_000_000_007))
        yield* (yield* sink.open(one)).publish(Stream.empty, many)
        yield* (yield* sink.open(other)).publish(Stream.empty, progress(1))
        assert.deepStrictEqual(yield* reopened(one), many)
        assert.deepStrictEqual(yield* reopened(other), progress(1))
        assert.deepStrictEqual(yield* read(one), [])
      })
    )

    it.effect("tells how far a stream has come, and takes nothing over by it", () =>
      Effect.gen(function* () {
        const sink = yield* ChangeSink
        const stream = yield* newStream
        assert.isUndefined(yield* sink.progress(stream))
        const { publish } = yield* sink.open(stream)
        assert.isUndefined(yield* sink.progress(stream))
        yield* publish(Stream.fromArray(changes(0, 3)), progress(3))
        assert.deepStrictEqual(yield* sink.progress(stream), progress(3))
        // In the middle of a publish there is the one before it to see, and the publish isn't disturbed.
        const looked = Effect.map(sink.progress(stream), (seen) => assert.deepStrictEqual(seen, progress(3)))
        const within = Stream.concat(
          Stream.fromArray(changes(3, 6)),
          Stream.drain(Stream.fromEffect(Effect.orDie(looked)))
        )
        yield* publish(within, progress(6))
        assert.deepStrictEqual(yield* sink.progress(stream), progress(6))
      })
    )

    it.effect("writes a large publish whole", () =>
      Effect.gen(function* () {
        const sink = yield* ChangeSink
        const stream = yield* newStream
        const all = changes(0, 20_000)
        yield* (yield* sink.open(stream)).publish(Stream.rechunk(Stream.fromArray(all), 1_000), progress(20_000))
        assert.deepStrictEqual(byKey(yield* read(stream)), byKey(all))
      })
    )

    it.effect("leaves no trace of a publish that fails or is interrupted, and goes on", () =>
      Effect.gen(function* () {
        const sink = yield* ChangeSink
        const stream = yield* newStream
        const { publish } = yield* sink.open(stream)
        yield* publish(Stream.fromArray(changes(0, 3)), progress(3))
        const some = Stream.fromArray(changes(3, 6))
        const failed = yield* Effect.flip(publish(Stream.concat(some, Stream.fail("no")), progress(6)))
        assert.strictEqual(failed, "no")
        const hanging = yield* Effect.forkChild(publish(Stream.concat(some, Stream.never), progress(6)))
        yield* Effect.sleep(50)
        yield* Fiber.interrupt(hanging)
        yield* publish(Stream.fromArray(changes(6, 8)), progress(8))
        assert.deepStrictEqual(yield* reopened(stream), progress(8))
        assert.deepStrictEqual(byKey(yield* read(stream)), byKey([...changes(0, 3), ...changes(6, 8)]))
      })
    )

    it.effect("fences who had the stream before, also within a publish", () =>
      Effect.gen(function* () {
        const sink = yield* ChangeSink
        const stream = yield* newStream
        const zombie = yield* sink.open(stream)
        yield* zombie.publish(Stream.fromArray(changes(0, 1)), progress(1))
        const heir = Effect.gen(function* () {
          const opened = yield* sink.open(stream)
          assert.deepStrictEqual(opened.progress, progress(1))
          yield* opened.publish(Stream.fromArray(changes(5, 6)), progress(2))
        })
        const within = Stream.concat(
          Stream.fromArray(changes(1, 3)),
          Stream.drain(Stream.fromEffect(Effect.orDie(heir)))
        )
        for (const stale of [within, Stream.fromArray(changes(3, 4)), Stream.empty]) {
          const error = yield* Effect.flip(Effect.scoped(zombie.publish(stale, progress(9))))
          assert.strictEqual(error.reason._tag, "SinkFenced")
          assert.include(error.message, stream.topic)
        }
        assert.deepStrictEqual(byKey(yield* read(stream)), byKey([...changes(0, 1), ...changes(5, 6)]))
        assert.deepStrictEqual(yield* reopened(stream), progress(2))
      })
    )
  })
