/** For tests that have a clock of their own, over a store that takes time: its calls run on the real clock, and it is known when they ended. */
import { ObjectStore } from "@headrace/s3"
import { Clock, Context, Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"

export class Traffic extends Context.Service<Traffic, { readonly idle: Effect.Effect<void> }>()("test/Traffic") {}

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
const pause = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 2)))

/** The store with its calls on the real clock. */
export const layer = <E>(store: Layer.Layer<ObjectStore, E>): Layer.Layer<ObjectStore | Traffic, E> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const inner = yield* ObjectStore
      const clock = yield* TestClock.withLive(Effect.service(Clock.Clock))
      let underWay = 0
      const call = <A, E2, R>(effect: Effect.Effect<A, E2, R>): Effect.Effect<A, E2, R> =>
        Effect.suspend(() => {
          underWay++
          return Effect.ensuring(
            Effect.provideService(effect, Clock.Clock, clock),
            Effect.sync(() => void underWay--)
          )
        })
      const all = <A, E2>(stream: Stream.Stream<A, E2>) =>
        Stream.unwrap(Effect.map(call(Stream.runCollect(stream)), Stream.fromIterable))
      const idle = Effect.gen(function* () {
        // What was just woken begins its calls within a few turns.
        for (let quiet = 0; quiet < 3; quiet++) {
          yield* turn
          if (underWay === 0) continue
          for (let rest = 0; rest < 5; rest = underWay === 0 ? rest + 1 : 0) yield* pause
          quiet = 0
        }
      })
      return Context.make(
        ObjectStore,
        ObjectStore.of({
          get: (key) => call(inner.get(key)),
          getRange: (key, start, end) => call(inner.getRange(key, start, end)),
          getRanges: (key, ranges, options) => call(inner.getRanges(key, ranges, options)),
          head: (key) => call(inner.head(key)),
          put: (key, bytes) => call(inner.put(key, bytes)),
          putIfAbsent: (key, bytes) => call(inner.putIfAbsent(key, bytes)),
          putIfMatch: (key, bytes, etag) => call(inner.putIfMatch(key, bytes, etag)),
          openWrite: (key) =>
            Effect.map(call(inner.openWrite(key)), ({ finish, write }) => ({
              finish: call(finish),
              write: (bytes) => call(write(bytes))
            })),
          putStream: (key, bytes) => call(inner.putStream(key, bytes)),
          list: (prefix) => all(inner.list(prefix)),
          folders: (prefix) => all(inner.folders(prefix)),
          delete: (key) => call(inner.delete(key)),
          deleteMany: (keys) => call(inner.deleteMany(keys))
        })
      ).pipe(Context.add(Traffic, { idle }))
    })
  ).pipe(Layer.provide(store))

/** Lets so much time pass on the test's clock, and then what it woke come to its end. */
export const pass = (duration: Parameters<typeof TestClock.adjust>[0]) =>
  Effect.andThen(
    TestClock.adjust(duration),
    Traffic.use(({ idle }) => idle)
  )
