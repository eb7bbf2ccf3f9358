/** What `ObjectLog` promises, over any object store. */
import { gzipSync } from "node:zlib"
import { assert, describe, layer as withLayer } from "@effect/vitest"
import { Batch } from "@headrace/core"
import { EventLog } from "@headrace/core/EventLog"
import { ObjectLog, ObjectStore } from "@headrace/s3"
import { Effect, type Layer, Stream } from "effect"

const text = (s: string) => new TextEncoder().encode(s)
const numbers = (from: number, until: number) =>
  Array.from({ length: until - from }, (_, i) => `{"n":${from + i}}\n`).join("")
const put = (key: string, bytes: Uint8Array | string) =>
  Effect.flatMap(ObjectStore, (store) => store.put(key, typeof bytes === "string" ? text(bytes) : bytes))
const readAll = (options: Parameters<typeof EventLog.Service.read>[0]) =>
  Effect.gen(function* () {
    const batches = yield* Stream.runCollect((yield* EventLog).read(options))
    let next = options.from
    for (const batch of batches) {
      assert.strictEqual(batch.base, next)
      next = batch.next
    }
    return batches.flatMap((batch) =>
      Array.from({ length: batch.count }, (_, i) => [
        batch.offsets[i],
        (JSON.parse(new TextDecoder().decode(Batch.valueOf(batch, i)!)) as { n: unknown }).n
      ])
    )
  })

/** Runs the suite; `root` keeps its objects apart from others'. */
export const logSuite = <E>(name: string, layer: Layer.Layer<ObjectStore, E>, root = "log"): void => {
  /** A log over a folder, as a process that starts anew sees it. */
  const log = (topic: string) =>
    ObjectLog.layer({
      topics: { [topic]: { prefix: `${root}/${topic}/`, rangeBytes: 64 } },
      indexes: `${root}/_index/`
    })
  const describeTopic = (topic: string) =>
    Effect.provide(
      Effect.flatMap(EventLog, (l) => l.describe(topic)),
      log(topic),
      { local: true }
    )
  const fill = (topic: string) =>
    Effect.gen(function* () {
      yield* put(`${root}/${topic}/1.ndjson`, numbers(0, 7))
      yield* put(`${root}/${topic}/2.ndjson.gz`, gzipSync(numbers(7, 20)))
      yield* put(`${root}/${topic}/3.ndjson`, "\n\n")
      yield* put(`${root}/${topic}/4.csv`, "n\n20\n21\n")
    })
  const reasonOf = <A, E2>(effect: Effect.Effect<A, E2, EventLog | ObjectStore>, topic: string) =>
    Effect.flip(effect).pipe(Effect.provide(log(topic), { local: true }))

  describe(`ObjectLog on ${name}`, () => {
    withLayer(layer)((it) => {
      it.effect("reads any range of offsets in batches that chain", () =>
        Effect.gen(function* () {
          yield* fill("ranges")
          yield* Effect.gen(function* () {
            const { partitions } = yield* (yield* EventLog).describe("ranges")
            assert.deepStrictEqual(partitions, [{ partition: 0, begin: 0, end: 22 }])
            for (const maxRecords of [1, 4, 1000])
              for (let from = 0; from <= 22; from++)
                for (const until of [from, Math.min(22, from + 3), 22]) {
                  const found = yield* readAll({ topic: "ranges", partition: 0, from, until, maxRecords })
                  const expected = Array.from({ length: until - from }, (_, i) => from + i)
                  assert.deepStrictEqual(
                    found.map(([offset, n]) => [offset, Number(n)]),
                    expected.map((n) => [n, n])
                  )
                }
          }).pipe(Effect.provide(log("ranges"), { local: true }))
        })
      )

      it.effect("keeps offsets and identity over restarts, and finds what is new", () =>
        Effect.gen(function* () {
          const empty = yield* describeTopic("grows")
          assert.strictEqual(empty.partitions[0]!.end, 0)
          yield* fill("grows")
          const before = yield* describeTopic("grows")
          assert.deepStrictEqual([before.id, before.partitions[0]!.end], [empty.id, 22])
          yield* put(`${root}/grows/5.ndjson`, numbers(22, 24))
          const after = yield* describeTopic("grows")
          assert.strictEqual(after.id, before.id)
          assert.strictEqual(after.partitions[0]!.end, 24)
          const rest = yield* readAll({ topic: "grows", partition: 0, from: 21 }).pipe(
            Effect.provide(log("grows"), { local: true })
          )
          assert.deepStrictEqual(rest, [
            [21, "21"],
            [22, 22],
            [23, 23]
          ])
          // A new index is another topic.
          const store = yield* ObjectStore
          const index = yield* Stream.runCollect(store.list(`${root}/_index/grows/`))
          assert.strictEqual(index.length, 3)
          for (const { key } of index) yield* store.delete(key)
          assert.notStrictEqual((yield* describeTopic("grows")).id, before.id)
        })
      )

      it.effect("gives one index to logs that count at the same time", () =>
        Effect.gen(function* () {
          yield* fill("races")
          const found = yield* Effect.forEach(Array.from({ length: 8 }), () => describeTopic("races"), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(new Set(found.map((d) => `${d.id} ${d.partitions[0]!.end}`)).size, 1)
          const store = yield* ObjectStore
          assert.strictEqual((yield* Stream.runCollect(store.list(`${root}/_index/races/`))).length, 2)
        })
      )

      it.effect("refuses a folder whose past changed, by name", () =>
        Effect.gen(function* () {
          const store = yield* ObjectStore
          const changes: Readonly<
            Record<
              string,
              readonly [object: string, change: (folder: string) => Effect.Effect<void, unknown, ObjectStore>]
            >
          > = {
            inserted: ["15.ndjson", (folder) => put(`${folder}15.ndjson`, numbers(0, 1))],
            removed: ["2.ndjson.gz", (folder) => store.delete(`${folder}2.ndjson.gz`)],
            last: ["4.csv", (folder) => store.delete(`${folder}4.csv`)],
            resized: ["1.ndjson", (folder) => put(`${folder}1.ndjson`, numbers(0, 8))]
          }
          for (const [topic, [object, change]] of Object.entries(changes)) {
            yield* fill(topic)
            yield* describeTopic(topic)
            yield* change(`${root}/${topic}/`)
            const { reason } = yield* reasonOf(
              Effect.flatMap(EventLog, (l) => l.describe(topic)),
              topic
            )
            assert.strictEqual(reason._tag, "StorageFailed", topic)
            assert.include(reason.message, `${root}/${topic}/${object}`)
          }
          // Of the same size: told when it is read, at whichever row.
          yield* fill("replaced")
          yield* describeTopic("replaced")
          yield* put(`${root}/replaced/1.ndjson`, numbers(1, 8))
          for (const from of [0, 3]) {
            const error = yield* reasonOf(readAll({ topic: "replaced", partition: 0, from }), "replaced")
            assert.strictEqual((error as { reason?: { _tag: string } }).reason?._tag, "StorageFailed")
            assert.include(String((error as Error).message), `${root}/replaced/1.ndjson`)
          }
        })
      )

      it.effect("can only be read, and refuses what isn't there", () =>
        Effect.gen(function* () {
          yield* fill("only")
          const tagOf = <A>(effect: Effect.Effect<A, { readonly reason: { readonly _tag: string } }>) =>
            Effect.map(Effect.flip(effect), (error) => error.reason._tag)
          yield* Effect.gen(function* () {
            const l = yield* EventLog
            assert.deepStrictEqual(
              (yield* l.topics).map((t) => t.name),
              ["only"]
            )
            const records = new Batch.BatchBuilder().take()
            assert.strictEqual(yield* tagOf(l.append("only", 0, records)), "InvalidInput")
            assert.strictEqual(yield* tagOf(l.createTopic("new", { partitions: 1 })), "InvalidInput")
            assert.strictEqual(yield* tagOf(l.deleteTopic("only")), "InvalidInput")
            assert.strictEqual(yield* tagOf(l.deleteBefore("only", 0, 1)), "InvalidInput")
            assert.strictEqual(yield* tagOf(l.describe("none")), "TopicNotFound")
            const read = (topic: string, partition: number, from: number) =>
              tagOf(Stream.runDrain(l.read({ topic, partition, from })))
            assert.strictEqual(yield* read("none", 0, 0), "TopicNotFound")
            assert.strictEqual(yield* read("only", 1, 0), "PartitionNotFound")
            assert.strictEqual(yield* read("only", 0, 23), "OffsetOutOfRange")
            assert.strictEqual(yield* read("only", 0, -1), "InvalidInput")
          }).pipe(Effect.provide(log("only"), { local: true }))
        })
      )

      it.effect("stops where an object is broken, and never skips it", () =>
        Effect.gen(function* () {
          yield* fill("broken")
          yield* put(`${root}/broken/5.ndjson.gz`, gzipSync(numbers(22, 30)).subarray(0, -5))
          const { reason } = yield* reasonOf(
            Effect.flatMap(EventLog, (l) => l.describe("broken")),
            "broken"
          )
          assert.strictEqual(reason._tag, "StorageFailed")
          assert.include(reason.message, `${root}/broken/5.ndjson.gz`)
        })
      )

      it.effect("refuses an index of a newer format, or of another folder", () =>
        Effect.gen(function* () {
          yield* put(`${root}/_index/newer/000000000000.json`, '{"format":2,"other":1}')
          const of = (topic: string) =>
            Effect.map(
              reasonOf(
                Effect.flatMap(EventLog, (l) => l.describe(topic)),
                topic
              ),
              ({ reason }) => reason._tag
            )
          assert.strictEqual(yield* of("newer"), "NewerFormat")
          yield* put(`${root}/_index/foreign/000000000000.json`, '{"format":1,"id":"a","prefix":"elsewhere/"}')
          assert.strictEqual(yield* of("foreign"), "InvalidInput")
          yield* put(`${root}/_index/garbled/000000000000.json`, "{")
          assert.strictEqual(yield* of("garbled"), "StorageFailed")
        })
      )
    })
  })
}
