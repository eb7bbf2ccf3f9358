/** The object store in memory: the reference driver, for tests and examples. It is lost with the process. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { putStream } from "./internal/putStream.ts"
import { checkKey, checkPrefix, checkRange, compareKeys } from "./Key.ts"
import { ObjectStore, type Service } from "./ObjectStore.ts"
import { Changed, Io, NotFound, ObjectStoreError } from "./ObjectStoreError.ts"

const pageSize = 1000

/** A new, empty store. */
export const make: Effect.Effect<Service> = Effect.sync(() => {
  const objects = new Map<string, { readonly bytes: Uint8Array; readonly version: number }>()
  let versions = 0
  const store = (key: string, bytes: Uint8Array) => {
    objects.set(key, { bytes, version: ++versions })
  }
  const find = (key: string) =>
    Effect.suspend(() => {
      const object = objects.get(key)
      return object === undefined
        ? Effect.fail(new ObjectStoreError({ reason: new NotFound({ key }) }))
        : Effect.succeed(object.bytes)
    })
  const headOf = (key: string) => {
    const object = objects.get(key)
    return object === undefined ? undefined : { size: object.bytes.length, etag: `"${object.version}"` }
  }
  const openWrite: Service["openWrite"] = (key) =>
    Effect.map(checkKey(key), () => {
      let chunks: Array<Uint8Array> | undefined = []
      const closed = () =>
        new ObjectStoreError({
          reason: new Io({ key, operation: "write", cause: new Error("the upload is finished") })
        })
      return {
        write: (bytes) =>
          Effect.suspend(() => {
            if (chunks === undefined) return Effect.fail(closed())
            chunks.push(new Uint8Array(bytes))
            return Effect.void
          }),
        finish: Effect.suspend(() => {
          if (chunks === undefined) return Effect.fail(closed())
          const whole = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
          let at = 0
          for (const chunk of chunks) {
            whole.set(chunk, at)
            at += chunk.length
          }
          chunks = undefined
          store(key, whole)
          return Effect.succeed(headOf(key)!)
        })
      }
    })
  return {
    get: (key) =>
      Effect.andThen(
        checkKey(key),
        Effect.map(find(key), (bytes) => bytes.slice())
      ),
    getRange: (key, start, end) =>
      checkKey(key).pipe(
        Effect.andThen(checkRange(key, start, end)),
        Effect.andThen(Effect.map(find(key), (bytes) => bytes.slice(start, end)))
      ),
    head: (key) =>
      Effect.andThen(
        checkKey(key),
        Effect.sync(() => headOf(key))
      ),
    put: (key, bytes) => Effect.map(checkKey(key), () => store(key, new Uint8Array(bytes))),
    putIfAbsent: (key, bytes) =>
      Effect.map(checkKey(key), () => {
        if (objects.has(key)) return "exists"
        store(key, new Uint8Array(bytes))
        return "created"
      }),
    getRanges: (key, ranges, options) =>
      Effect.andThen(
        checkKey(key),
        Effect.gen(function* () {
          for (const { end, start } of ranges) yield* checkRange(key, start, end)
          const bytes = yield* find(key)
          const expected = options?.etag
          if (expected !== undefined && headOf(key)?.etag !== expected)
            return yield* new ObjectStoreError({ reason: new Changed({ key, expected }) })
          return ranges.map(({ end, start }) => bytes.slice(start, end))
        })
      ),
    putIfMatch: (key, bytes, etag) =>
      Effect.map(checkKey(key), () => {
        if (headOf(key)?.etag !== etag) return "changed"
        store(key, new Uint8Array(bytes))
        return "replaced"
      }),
    openWrite,
    putStream: putStream(openWrite),
    list: (prefix) =>
      Stream.unwrap(
        Effect.map(checkPrefix(prefix), () => {
          const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys)
          return Stream.fromArray(keys).pipe(
            Stream.rechunk(pageSize),
            Stream.filter((key) => objects.has(key)),
            Stream.map((key) => ({ key, size: objects.get(key)!.bytes.length }))
          )
        })
      ),
    folders: (prefix) =>
      Stream.unwrap(
        Effect.map(checkPrefix(prefix), () => {
          const found = new Set<string>()
          for (const key of objects.keys()) {
            const slash = key.indexOf("/", prefix.length)
            if (slash >= 0 && key.startsWith(prefix)) found.add(key.slice(0, slash + 1))
          }
          return Stream.fromArray([...found].sort(compareKeys))
        })
      ),
    deleteMany: (keys) =>
      Effect.gen(function* () {
        for (const key of keys) yield* checkKey(key)
        for (const key of keys) objects.delete(key)
      }),
    delete: (key) =>
      Effect.map(checkKey(key), () => {
        objects.delete(key)
      })
  }
})

/** A store of its own for each time that the layer is built. */
export const layer: Layer.Layer<ObjectStore> = Layer.effect(ObjectStore, make)
