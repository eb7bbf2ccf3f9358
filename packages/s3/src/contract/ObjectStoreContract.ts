/**
 * What every object store driver must do. Run it with `suite("Folder", FolderObjectStore.layer({ path }))` in a test file; the layer starts
 * empty, and every test uses keys of its own. Needs `@effect/vitest`.
 */
import { assert, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { compareKeys } from "../Key.ts"
import { ObjectStore } from "../ObjectStore.ts"
import { Io, ObjectStoreError, type Reason } from "../ObjectStoreError.ts"

const text = (s: string) => new TextEncoder().encode(s)

/** The reason's tag of a failed effect, or `undefined` when it succeeded. */
const reasonOf = <A, R>(
  effect: Effect.Effect<A, ObjectStoreError, R>
): Effect.Effect<Reason["_tag"] | undefined, never, R> =>
  Effect.match(effect, { onFailure: (error) => error.reason._tag, onSuccess: () => undefined })

const keys = (prefix: string) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    return (yield* Stream.runCollect(store.list(prefix))).map((object) => object.key)
  })

export interface Options {
  /** Whether the driver promises `putIfMatch`; one that doesn't must refuse it with `Unsupported`. Default true. */
  readonly conditionalMatch?: boolean
  /** Whether the storage lists by the bytes of UTF-8; a driver of one that doesn't must refuse a listing that is out of order. Default true. */
  readonly byteOrder?: boolean
}

/** Registers the suite for a driver. */
export const suite = <E>(
  name: string,
  driver: Layer.Layer<ObjectStore, E>,
  { byteOrder = true, conditionalMatch = true }: Options = {}
): void =>
  layer(driver, { timeout: "60 seconds", excludeTestServices: true })(`ObjectStore contract: ${name}`, (it) => {
    it.effect("reads back what was put, and replaces it whole", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        yield* store.put("put/a", text("first, and longer"))
        assert.deepStrictEqual(yield* store.get("put/a"), text("first, and longer"))
        const before = yield* store.head("put/a")
        yield* store.put("put/a", text("second"))
        assert.deepStrictEqual(yield* store.get("put/a"), text("second"))
        const after = yield* store.head("put/a")
        assert.strictEqual(after?.size, 6)
        if (before?.etag !== undefined) assert.notStrictEqual(after?.etag, before.etag)
        yield* store.put("put/empty", new Uint8Array())
        assert.deepStrictEqual(yield* store.get("put/empty"), new Uint8Array())
        assert.strictEqual((yield* store.head("put/empty"))?.size, 0)
      })
    )

    it.effect("keeps its own copy of the bytes", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const bytes = text("abc")
        yield* store.put("copy/a", bytes)
        bytes[0] = 0
        const read = yield* store.get("copy/a")
        read[1] = 0
        assert.deepStrictEqual(yield* store.get("copy/a"), text("abc"))
        // A Buffer's slice is a view.
        const pooled = Buffer.from("xyz")
        yield* store.put("copy/b", pooled)
        const writer = yield* store.openWrite("copy/c")
        yield* writer.write(pooled)
        pooled[0] = 0
        yield* writer.finish
        assert.deepStrictEqual(yield* store.get("copy/b"), text("xyz"))
        assert.deepStrictEqual(yield* store.get("copy/c"), text("xyz"))
      }).pipe(Effect.scoped)
    )

    it.effect("answers NotFound for what is missing, and head undefined", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        assert.strictEqual(yield* reasonOf(store.get("missing/a")), "NotFound")
        assert.strictEqual(yield* reasonOf(store.getRange("missing/a", 0, 1)), "NotFound")
        assert.strictEqual(yield* reasonOf(store.getRange("missing/a", 0, 0)), "NotFound")
        assert.strictEqual(yield* store.head("missing/a"), undefined)
        yield* store.put("missing/folder/a", text("x"))
        assert.strictEqual(yield* reasonOf(store.get("missing/folder")), "NotFound")
        assert.strictEqual(yield* reasonOf(store.getRange("missing/folder", 0, 1)), "NotFound")
        assert.strictEqual(yield* store.head("missing/folder"), undefined)
        assert.strictEqual(yield* reasonOf(store.get("missing/folder/a/below")), "NotFound")
        assert.strictEqual(yield* store.head("missing/folder/a/below"), undefined)
        const error = yield* Effect.flip(store.get("missing/a"))
        assert.include(error.message, "missing/a")
      })
    )

    it.effect("reads ranges, cut at the object's end", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        yield* store.put("range/a", text("0123456789"))
        const range = (start: number, end: number) =>
          Effect.map(store.getRange("range/a", start, end), (bytes) => new TextDecoder().decode(bytes))
        assert.strictEqual(yield* range(0, 10), "0123456789")
        assert.strictEqual(yield* range(3, 5), "34")
        assert.strictEqual(yield* range(9, 10), "9")
        assert.strictEqual(yield* range(7, 1000), "789")
        assert.strictEqual(yield* range(4, 4), "")
        assert.strictEqual(yield* range(10, 10), "")
        assert.strictEqual(yield* range(10, 12), "")
        assert.strictEqual(yield* range(100, 200), "")
        for (const [start, end] of [
          [-1, 2],
          [5, 4],
          [0.5, 2],
          [0, Number.NaN]
        ] as const)
          assert.strictEqual(yield* reasonOf(store.getRange("range/a", start, end)), "InvalidRange")
      })
    )

    it.effect("creates if absent, and leaves an existing object alone", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        assert.strictEqual(yield* store.putIfAbsent("absent/a", text("one")), "created")
        assert.strictEqual(yield* store.putIfAbsent("absent/a", text("two")), "exists")
        assert.deepStrictEqual(yield* store.get("absent/a"), text("one"))
        yield* store.delete("absent/a")
        assert.strictEqual(yield* store.putIfAbsent("absent/a", text("three")), "created")
        assert.deepStrictEqual(yield* store.get("absent/a"), text("three"))
      })
    )

    it.effect("lets exactly one of 64 concurrent creators win", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        for (const round of [0, 1, 2]) {
          const key = `race/${round}/winner`
          const outcomes = yield* Effect.forEach(
            Array.from({ length: 64 }, (_, i) => i),
            (i) => Effect.map(store.putIfAbsent(key, text(`creator ${i}`)), (outcome) => ({ i, outcome })),
            { concurrency: "unbounded" }
          )
          const winners = outcomes.filter(({ outcome }) => outcome === "created")
          assert.strictEqual(winners.length, 1)
          assert.deepStrictEqual(yield* store.get(key), text(`creator ${winners[0]!.i}`))
        }
        assert.deepStrictEqual(yield* keys("race/"), ["race/0/winner", "race/1/winner", "race/2/winner"])
      })
    )

    it.effect("creates large objects if absent, too", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const size = 3 << 20
        const outcomes = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, i) => i),
          (i) =>
            Effect.map(store.putIfAbsent("large/race", new Uint8Array(size).fill(i)), (outcome) => ({ i, outcome })),
          { concurrency: "unbounded" }
        )
        const winners = outcomes.filter(({ outcome }) => outcome === "created")
        assert.strictEqual(winners.length, 1)
        const bytes = yield* store.get("large/race")
        assert.strictEqual(bytes.length, size)
        assert.isTrue(bytes.every((byte) => byte === winners[0]!.i))
        assert.strictEqual(yield* store.putIfAbsent("large/race", new Uint8Array(size)), "exists")
      })
    )

    if (conditionalMatch) {
      it.effect("replaces what still has its etag, and nothing else", () =>
        Effect.gen(function* () {
          const store = yield* ObjectStore
          yield* store.put("match/a", text("one"))
          const first = (yield* store.head("match/a"))!.etag!
          assert.strictEqual(yield* store.putIfMatch("match/a", text("two"), first), "replaced")
          assert.strictEqual(yield* store.putIfMatch("match/a", text("three"), first), "changed")
          assert.deepStrictEqual(yield* store.get("match/a"), text("two"))
          const second = (yield* store.head("match/a"))!.etag!
          yield* store.delete("match/a")
          assert.strictEqual(yield* store.putIfMatch("match/a", text("four"), second), "changed")
          assert.strictEqual(yield* store.head("match/a"), undefined)
          assert.strictEqual(yield* store.putIfMatch("match/never", text("five"), second), "changed")
          assert.strictEqual(yield* reasonOf(store.putIfMatch("match//", text("six"), second)), "InvalidKey")
        })
      )

      it.effect("lets exactly one of 64 concurrent replacers win", () =>
        Effect.gen(function* () {
          const store = yield* ObjectStore
          for (const round of [0, 1, 2]) {
            const key = `match-race/${round}`
            yield* store.put(key, text("base"))
            const { etag } = (yield* store.head(key))!
            const outcomes = yield* Effect.forEach(
              Array.from({ length: 64 }, (_, i) => i),
              (i) => Effect.map(store.putIfMatch(key, text(`replacer ${i}`), etag!), (outcome) => ({ i, outcome })),
              { concurrency: "unbounded" }
            )
            const winners = outcomes.filter(({ outcome }) => outcome === "replaced")
            assert.strictEqual(winners.length, 1)
            assert.deepStrictEqual(yield* store.get(key), text(`replacer ${winners[0]!.i}`))
          }
        })
      )

      it.effect("counts to 60 by compare and replace", () =>
        Effect.gen(function* () {
          const store = yield* ObjectStore
          yield* store.put("count/a", text("0"))
          const increment: Effect.Effect<void, ObjectStoreError> = Effect.gen(function* () {
            const { etag, size } = (yield* store.head("count/a"))!
            const read = yield* Effect.result(store.getRanges("count/a", [{ start: 0, end: size }], { etag }))
            if (read._tag === "Success") {
              const next = Number(new TextDecoder().decode(read.success[0]!)) + 1
              if ((yield* store.putIfMatch("count/a", text(`${next}`), etag!)) === "replaced") return
            } else assert.strictEqual(read.failure.reason._tag, "Changed")
            yield* increment
          })
          yield* Effect.forEach(
            Array.from({ length: 4 }),
            () => Effect.forEach(Array.from({ length: 15 }), () => increment, { discard: true }),
            { concurrency: "unbounded", discard: true }
          )
          assert.deepStrictEqual(yield* store.get("count/a"), text("60"))
        })
      )
    } else {
      it.effect("refuses to compare and replace, and changes nothing", () =>
        Effect.gen(function* () {
          const store = yield* ObjectStore
          yield* store.put("match/a", text("one"))
          const { etag } = (yield* store.head("match/a"))!
          assert.strictEqual(yield* reasonOf(store.putIfMatch("match/a", text("two"), etag ?? "")), "Unsupported")
          assert.deepStrictEqual(yield* store.get("match/a"), text("one"))
        })
      )
    }

    it.effect("reads many ranges of one content", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const size = 3_000_000
        const bytes = new Uint8Array(size).map((_, i) => (i * 7) ^ (i >> 8))
        yield* store.put("ranges/a", bytes)
        const ranges = [
          { start: 2_000_000, end: 2_000_100 },
          { start: 0, end: 10 },
          { start: 5, end: 20 },
          { start: 1_000, end: 1_000 },
          { start: 20, end: 25 },
          { start: 1_000_000, end: 1_300_000 },
          { start: size - 3, end: size + 50 },
          { start: size + 10, end: size + 20 },
          { start: 0, end: 10 }
        ]
        const read = yield* store.getRanges("ranges/a", ranges)
        for (const [i, { end, start }] of ranges.entries())
          assert.deepStrictEqual(read[i], bytes.slice(start, end), `${start} to ${end}`)
        assert.strictEqual(read.length, ranges.length)
        assert.deepStrictEqual(yield* store.getRanges("ranges/a", []), [])
        assert.deepStrictEqual(yield* store.getRanges("ranges/a", [{ start: size, end: size + 1 }]), [new Uint8Array()])

        const { etag } = (yield* store.head("ranges/a"))!
        const one = [{ start: 0, end: 4 }]
        assert.deepStrictEqual(yield* store.getRanges("ranges/a", one, { etag }), [bytes.slice(0, 4)])
        yield* store.put("ranges/a", text("another"))
        const error = yield* Effect.flip(store.getRanges("ranges/a", one, { etag }))
        assert.strictEqual(error.reason._tag, "Changed")
        assert.include(error.message, "ranges/a")
        yield* store.delete("ranges/a")
        assert.strictEqual(yield* reasonOf(store.getRanges("ranges/a", one, { etag })), "NotFound")
        assert.strictEqual(yield* reasonOf(store.getRanges("ranges/a", [])), "NotFound")
        assert.strictEqual(yield* reasonOf(store.getRanges("ranges/a", [{ start: 3, end: 2 }])), "InvalidRange")
        assert.strictEqual(yield* reasonOf(store.getRanges("ranges//a", one)), "InvalidKey")
      })
    )

    it.effect("lists the folders below a prefix", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const folders = (prefix: string) => Stream.runCollect(store.folders(prefix))
        for (const key of [
          "folders/b/x",
          "folders/a/x/y",
          "folders/a/z",
          "folders/a-b/x",
          "folders/ä+ %/x",
          "folders/file"
        ])
          yield* store.put(key, text("x"))
        assert.deepStrictEqual(yield* folders("folders/"), [
          "folders/a-b/",
          "folders/a/",
          "folders/b/",
          "folders/ä+ %/"
        ])
        assert.deepStrictEqual(yield* folders("folders/a"), ["folders/a-b/", "folders/a/"])
        assert.deepStrictEqual(yield* folders("folders/a/"), ["folders/a/x/"])
        assert.deepStrictEqual(yield* folders("folders/b/"), [])
        assert.deepStrictEqual(yield* folders("folders/none/"), [])
        assert.include(yield* folders(""), "folders/")
        yield* store.delete("folders/b/x")
        assert.notInclude(yield* folders("folders/"), "folders/b/")
        assert.strictEqual(yield* reasonOf(Stream.runDrain(store.folders("a//"))), "InvalidKey")
      })
    )

    it.effect("deletes many objects", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const all = Array.from({ length: 1102 }, (_, i) => `many/${i % 3} +%&<é/${i}`)
        yield* Effect.forEach(all, (key) => store.put(key, text("x")), { concurrency: 16, discard: true })
        yield* store.put("many/kept", text("x"))
        yield* store.deleteMany([...all, all[0]!, "many/never/was"])
        assert.deepStrictEqual(yield* keys("many/"), ["many/kept"])
        yield* store.deleteMany([])
        assert.strictEqual(yield* reasonOf(store.deleteMany(["many/kept", "many//"])), "InvalidKey")
        assert.deepStrictEqual(yield* keys("many/"), ["many/kept"])
      })
    )

    it.effect("lists by string prefix, in key order, with sizes", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const all = [
          "list/a",
          "list/a-b",
          "list/a.b",
          "list/ab/c",
          "list/ab/d/e",
          "list/ab0",
          "list/b/x",
          "list/é",
          "list/ﬀ",
          ...(byteOrder ? ["list/😀"] : [])
        ]
        for (const key of [...all].reverse()) yield* store.put(key, text(key))
        const listed = yield* Stream.runCollect(store.list("list/"))
        assert.deepStrictEqual(
          listed,
          all.map((key) => ({ key, size: text(key).length }))
        )
        assert.deepStrictEqual(
          yield* keys("list/a"),
          all.filter((key) => key.startsWith("list/a"))
        )
        assert.deepStrictEqual(yield* keys("list/ab"), ["list/ab/c", "list/ab/d/e", "list/ab0"])
        assert.deepStrictEqual(yield* keys("list/ab/"), ["list/ab/c", "list/ab/d/e"])
        assert.deepStrictEqual(yield* keys("list/ab/d/e"), ["list/ab/d/e"])
        assert.deepStrictEqual(yield* keys("list/zzz/"), [])
        assert.deepStrictEqual(yield* keys("lis"), all)
        assert.includeMembers(yield* keys(""), all)
        if (byteOrder) return
        yield* store.put("order/ﬀ", text("x"))
        yield* store.put("order/😀", text("x"))
        assert.strictEqual(yield* reasonOf(Stream.runDrain(store.list("order/"))), "Unsupported")
      })
    )

    it.effect("lists more than a page", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const all = Array.from({ length: 1203 }, (_, i) => `pages/${i % 7}/${i}`).sort(compareKeys)
        yield* Effect.forEach(all, (key) => store.put(key, text("x")), { concurrency: 16, discard: true })
        assert.deepStrictEqual(yield* keys("pages/"), all)
        assert.deepStrictEqual((yield* Stream.runCollect(Stream.take(store.list("pages/"), 3))).length, 3)
      })
    )

    it.effect("takes keys with spaces, pluses, percents and any script", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const all = [
          "odd/a b",
          "odd/a+b",
          "odd/a%20b",
          "odd/a=b&c?d#e",
          "odd/Łódź/日本語",
          "odd/\u00e9",
          "odd/...",
          "odd/.hidden"
        ]
        for (const key of all) yield* store.put(key, text(key))
        for (const key of all) assert.deepStrictEqual(yield* store.get(key), text(key))
        assert.deepStrictEqual(yield* keys("odd/"), [...all].sort(compareKeys))
      })
    )

    it.effect("refuses what is no key", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const bad = [
          "",
          "/a",
          "a/",
          "a//b",
          "..",
          "a/../b",
          "./a",
          "a\0b",
          "a\\b",
          "\ud800",
          "x".repeat(1025),
          "a/.headrace-tmp-1"
        ]
        for (const key of bad) {
          assert.strictEqual(yield* reasonOf(store.put(key, text("x"))), "InvalidKey", key)
          assert.strictEqual(yield* reasonOf(store.putIfAbsent(key, text("x"))), "InvalidKey", key)
          assert.strictEqual(yield* reasonOf(store.get(key)), "InvalidKey", key)
          assert.strictEqual(yield* reasonOf(store.getRange(key, 0, 1)), "InvalidKey", key)
          assert.strictEqual(yield* reasonOf(store.head(key)), "InvalidKey", key)
          assert.strictEqual(yield* reasonOf(store.delete(key)), "InvalidKey", key)
          assert.strictEqual(yield* reasonOf(store.putStream(key, Stream.make(text("x")))), "InvalidKey", key)
        }
        for (const prefix of ["/", "../", "a//", "a/../b"])
          assert.strictEqual(yield* reasonOf(Stream.runDrain(store.list(prefix))), "InvalidKey", prefix)
      })
    )

    it.effect("deletes, and deletes again", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        yield* store.put("delete/a/b", text("x"))
        yield* store.delete("delete/a")
        yield* store.delete("delete/a/b")
        yield* store.delete("delete/a/b")
        yield* store.delete("delete/never/was")
        assert.strictEqual(yield* store.head("delete/a/b"), undefined)
        assert.deepStrictEqual(yield* keys("delete/"), [])
      })
    )

    it.effect("uploads a large object by stream, invisible until it is whole", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const chunk = new Uint8Array(256 * 1024)
        const count = 80
        yield* store.put("stream/large", text("old"))
        const visible: Array<number> = []
        const stream = Stream.range(0, count - 1).pipe(
          Stream.rechunk(1),
          Stream.mapEffect((i) =>
            Effect.gen(function* () {
              visible.push((yield* store.head("stream/large"))!.size)
              assert.deepStrictEqual(yield* keys("stream/"), ["stream/large"])
              return chunk.fill(i)
            })
          )
        )
        const written = yield* store.putStream("stream/large", stream)
        assert.strictEqual(written.size, count * chunk.length)
        assert.deepStrictEqual(new Set(visible), new Set([3]))
        assert.strictEqual((yield* store.head("stream/large"))?.size, written.size)
        const bytes = yield* store.get("stream/large")
        for (let i = 0; i < count; i++) {
          assert.strictEqual(bytes[i * chunk.length], i)
          assert.strictEqual(bytes[(i + 1) * chunk.length - 1], i)
        }
        assert.strictEqual((yield* store.putStream("stream/none", Stream.empty)).size, 0)
      })
    )

    it.effect("leaves nothing of an upload that fails or is given up", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        yield* store.put("given-up/a", text("old"))
        const broken = Stream.concat(
          Stream.make(text("new")),
          Stream.fail(new ObjectStoreError({ reason: new Io({ key: "source", operation: "read", cause: "broken" }) }))
        )
        assert.strictEqual(yield* reasonOf(store.putStream("given-up/a", broken)), "Io")
        assert.strictEqual(yield* reasonOf(store.putStream("given-up/b", broken)), "Io")
        yield* Effect.scoped(Effect.flatMap(store.openWrite("given-up/c"), (writer) => writer.write(text("x"))))
        const stuck = store.putStream("given-up/d", Stream.concat(Stream.make(text("x")), Stream.never))
        yield* Effect.timeoutOption(stuck, "20 millis")
        assert.deepStrictEqual(yield* keys("given-up/"), ["given-up/a"])
        assert.deepStrictEqual(yield* store.get("given-up/a"), text("old"))
      })
    )

    it.effect("refuses writes after the end of an upload", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const exit = yield* Effect.exit(
          Effect.scoped(
            Effect.gen(function* () {
              const writer = yield* store.openWrite("finished/a")
              yield* writer.write(text("a"))
              yield* writer.finish
              yield* writer.write(text("b"))
            })
          )
        )
        assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.some(Cause.isFailReason))
        assert.deepStrictEqual(yield* store.get("finished/a"), text("a"))
      })
    )
  })
