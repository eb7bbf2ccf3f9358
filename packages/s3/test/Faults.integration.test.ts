/** What the driver does when the network or the server doesn't do its part. Each fault is made by a proxy in front of a real server. */
import { assert, it, layer } from "@effect/vitest"
import { ListMultipartUploadsCommand } from "@aws-sdk/client-s3"
import { ObjectStore, type ObjectStoreError } from "@headrace/s3"
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Context, Effect, Layer, Logger, Redacted, Stream } from "effect"
import * as FaultProxy from "integration-suite/FaultProxy"
import { access, bucket, sdk } from "integration-suite/S3Access"
import { versitygw } from "./servers.ts"

const text = (s: string) => new TextEncoder().encode(s)

class Rig extends Context.Service<
  Rig,
  {
    readonly proxy: FaultProxy.Proxy
    /** Past the proxy. */
    readonly direct: ObjectStore["Service"]
    readonly bucket: string
  }
>()("test/Rig") {}

const quick = { retries: 3, timeout: "2 seconds" } as const

const rig = Effect.gen(function* () {
  const proxy = yield* FaultProxy.start(versitygw)
  const name = yield* bucket(versitygw)
  const direct = yield* S3ObjectStore.make({ ...access(versitygw), bucket: name })
  return { proxy, direct, bucket: name }
})
const store = Layer.unwrap(
  Effect.map(Rig, (found) => S3ObjectStore.layer({ ...access(found.proxy.endpoint), bucket: found.bucket, ...quick }))
)
const everything = Layer.provideMerge(store, Layer.effect(Rig, rig))

/** The fault for the first so many requests of a method, then none. Gives back how many it has hit. */
const first = (proxy: FaultProxy.Proxy, times: number, method: string, fault: FaultProxy.Fault) => {
  let hits = 0
  proxy.faults = (request) => (request.method === method && hits < times ? (hits++, fault) : undefined)
  return () => hits
}

const reasonOf = <A, R>(effect: Effect.Effect<A, ObjectStoreError, R>) =>
  Effect.match(effect, { onFailure: (error) => error.reason, onSuccess: () => undefined })

layer(everything, { timeout: "60 seconds", excludeTestServices: true })("S3 under faults", (it) => {
  const passing: ReadonlyArray<readonly [string, FaultProxy.Fault]> = [
    ["a late answer", { kind: "latency", ms: 300 }],
    ["a reset at once", { kind: "reset" }],
    ["a reset within the body", { kind: "cutResponse", after: 70_000 }],
    ["a body cut off at its start", { kind: "cutResponse", after: 0 }],
    ["a body cut off by one byte", { kind: "cutResponse", after: 299_999 }],
    ["503 SlowDown", { kind: "slowDown" }],
    ["500", { kind: "answer", status: 500, body: "" }],
    ["no answer", { kind: "stall" }],
    ["a lost response", { kind: "loseResponse" }]
  ]
  for (const [name, fault] of passing) {
    it.effect(`reads whole after ${name}`, () =>
      Effect.gen(function* () {
        const { direct, proxy } = yield* Rig
        const store = yield* ObjectStore
        const bytes = new Uint8Array(300_000).map((_, i) => i * 13)
        yield* direct.put("read/a", bytes)
        const hits = first(proxy, 2, "GET", fault)
        assert.deepStrictEqual(yield* store.get("read/a"), bytes)
        assert.strictEqual(hits(), fault.kind === "latency" ? 1 : 2)
        first(proxy, 1, "GET", fault)
        assert.deepStrictEqual(yield* store.getRange("read/a", 100, 299_999), bytes.slice(100, 299_999))
        first(proxy, 1, "GET", fault)
        assert.strictEqual((yield* Stream.runCollect(store.list("read/"))).length, 1)
        first(proxy, 1, "HEAD", fault)
        assert.strictEqual((yield* store.head("read/a"))?.size, bytes.length)
      })
    )
  }

  it.effect("says that a store is unavailable or throttles when it stays so", () =>
    Effect.gen(function* () {
      const { proxy } = yield* Rig
      const store = yield* ObjectStore
      for (const [fault, reason] of [
        [{ kind: "reset" }, "Unavailable"],
        [{ kind: "cutResponse", after: 1 }, "Unavailable"],
        [{ kind: "slowDown" }, "Throttled"]
      ] as const) {
        const hits = first(proxy, 1000, "GET", fault)
        const found = yield* reasonOf(store.get("read/a"))
        assert.strictEqual(found?._tag, reason)
        assert.include(found?.message, "read/a")
        // Deno sends a request again by itself when a connection that it had kept is reset.
        if (process.versions["deno"] === undefined) assert.strictEqual(hits(), 1 + quick.retries)
        else assert.isAtMost(hits(), 2 * (1 + quick.retries))
      }
    })
  )

  const writes: ReadonlyArray<readonly [string, FaultProxy.Fault]> = [
    ...passing.filter(([, { kind }]) => kind !== "cutResponse" && kind !== "latency"),
    ["a reset within the request", { kind: "cutRequest", after: 1000 }]
  ]
  for (const [name, fault] of writes) {
    it.effect(`writes, deletes and uploads whole after ${name}`, () =>
      Effect.gen(function* () {
        const { direct, proxy } = yield* Rig
        const store = yield* ObjectStore
        const bytes = new Uint8Array(200_000).map((_, i) => i * 11)
        first(proxy, 2, "PUT", fault)
        yield* store.put("write/a", bytes)
        assert.deepStrictEqual(yield* direct.get("write/a"), bytes)
        if (fault.kind !== "cutRequest") {
          first(proxy, 2, "DELETE", fault)
          yield* store.delete("write/a")
          yield* direct.put("write/b", bytes)
          first(proxy, 1, "POST", fault)
          yield* store.deleteMany(["write/a", "write/b"])
          assert.deepStrictEqual(yield* Stream.runCollect(direct.list("write/")), [])
        }
        // Parts, and the requests that begin and end the upload.
        for (const method of ["PUT", "POST"]) {
          let seen = 0
          proxy.faults = (request) => (request.method === method && seen++ % 2 === 0 ? fault : undefined)
          const chunk = new Uint8Array(1 << 20)
          const written = yield* store.putStream(
            "write/large",
            Stream.range(0, 19).pipe(
              Stream.rechunk(1),
              Stream.map((i) => chunk.fill(i))
            )
          )
          assert.strictEqual(written.size, 20 << 20)
          const read = yield* direct.get("write/large")
          for (let i = 0; i < 20; i++) {
            assert.strictEqual(read[i << 20], i)
            assert.strictEqual(read[((i + 1) << 20) - 1], i)
          }
          yield* direct.delete("write/large")
        }
      })
    )
  }

  it.effect("knows that it has created the object whose response was lost", () =>
    Effect.gen(function* () {
      const { direct, proxy } = yield* Rig
      const store = yield* ObjectStore
      const hits = first(proxy, 1, "PUT", { kind: "loseResponse" })
      assert.strictEqual(yield* store.putIfAbsent("lost/a", text("mine")), "created")
      assert.strictEqual(hits(), 1)
      assert.deepStrictEqual(yield* direct.get("lost/a"), text("mine"))
      // Every response to a write is lost.
      first(proxy, 1000, "PUT", { kind: "loseResponse" })
      assert.strictEqual(yield* store.putIfAbsent("lost/b", text("mine")), "created")
      // Another's object, even of equal bytes, isn't taken for one's own.
      assert.strictEqual(yield* store.putIfAbsent("lost/a", text("mine")), "exists")
      assert.strictEqual(yield* direct.putIfAbsent("lost/c", text("mine")), "created")
      assert.strictEqual(yield* store.putIfAbsent("lost/c", text("mine")), "exists")
      const { etag } = (yield* direct.head("lost/a"))!
      assert.strictEqual(yield* store.putIfMatch("lost/a", text("next"), etag!), "replaced")
      assert.deepStrictEqual(yield* direct.get("lost/a"), text("next"))
    })
  )

  it.effect("isn't fooled by what sends a request again on its own", () =>
    Effect.gen(function* () {
      const { direct, proxy } = yield* Rig
      const store = yield* ObjectStore
      const hits = first(proxy, 2, "PUT", { kind: "twice" })
      assert.strictEqual(yield* store.putIfAbsent("twice/a", text("mine")), "created")
      const { etag } = (yield* direct.head("twice/a"))!
      assert.strictEqual(yield* store.putIfMatch("twice/a", text("next"), etag!), "replaced")
      assert.strictEqual(hits(), 2)
      assert.deepStrictEqual(yield* direct.get("twice/a"), text("next"))
      assert.strictEqual(yield* store.putIfMatch("twice/a", text("last"), etag!), "changed")
      assert.strictEqual(yield* store.putIfAbsent("twice/a", text("mine")), "exists")
      // What others wrote, by whatever means, is there.
      yield* direct.put("twice/b", text("someone's"))
      assert.strictEqual(yield* store.putIfAbsent("twice/b", text("mine")), "exists")
    })
  )

  it.effect("tries a creation again that didn't take effect", () =>
    Effect.gen(function* () {
      const { direct, proxy } = yield* Rig
      const store = yield* ObjectStore
      for (const [key, fault] of [
        ["again/a", { kind: "reset" }],
        ["again/b", { kind: "slowDown" }],
        ["again/c", { kind: "cutRequest", after: 2 }]
      ] as const) {
        first(proxy, 2, "PUT", fault)
        assert.strictEqual(yield* store.putIfAbsent(key, text("mine")), "created")
        assert.deepStrictEqual(yield* direct.get(key), text("mine"))
        const { etag } = (yield* direct.head(key))!
        first(proxy, 2, "PUT", fault)
        assert.strictEqual(yield* store.putIfMatch(key, text("next"), etag!), "replaced")
      }
    })
  )

  it.effect("says unknown when nothing tells", () =>
    Effect.gen(function* () {
      const { direct, proxy } = yield* Rig
      const store = yield* ObjectStore
      const unknown = function* (effect: Effect.Effect<unknown, ObjectStoreError>, key: string) {
        const reason = yield* reasonOf(effect)
        assert.strictEqual(reason?._tag, "Unknown")
        assert.include(reason?.message, key)
      }
      // No head tells.
      proxy.faults = ({ method }) =>
        method === "PUT" ? { kind: "loseResponse" } : method === "HEAD" ? { kind: "reset" } : undefined
      yield* unknown(store.putIfAbsent("unknown/a", text("mine")), "unknown/a")
      assert.deepStrictEqual(yield* direct.get("unknown/a"), text("mine"))
      // The tries are used up, and one may still be on its way.
      proxy.faults = ({ method }) => (method === "PUT" ? { kind: "reset" } : undefined)
      yield* unknown(store.putIfAbsent("unknown/b", text("mine")), "unknown/b")
      const { etag } = (yield* direct.head("unknown/a"))!
      yield* unknown(store.putIfMatch("unknown/a", text("next"), etag!), "unknown/a")
      // Who wrote what is there doesn't tell whether ours was there before.
      yield* direct.put("unknown/c", text("someone's"))
      proxy.faults = ({ method }) => (method === "PUT" ? { kind: "loseResponse" } : undefined)
      yield* unknown(store.putIfAbsent("unknown/c", text("mine")), "unknown/c")
      assert.deepStrictEqual(yield* direct.get("unknown/c"), text("someone's"))
      // Throttled throughout is no open question.
      proxy.faults = ({ method }) => (method === "PUT" ? { kind: "slowDown" } : undefined)
      assert.strictEqual((yield* reasonOf(store.putIfAbsent("unknown/d", text("mine"))))?._tag, "Throttled")
    })
  )

  it.effect("notices an object that changes while several ranges of it are read", () =>
    Effect.gen(function* () {
      const { direct, proxy } = yield* Rig
      const store = yield* ObjectStore
      const size = 4 << 20
      yield* direct.put("change/a", new Uint8Array(size).fill(1))
      const changer = S3ObjectStore.make({ ...access(versitygw), bucket: (yield* Rig).bucket })
      const other = yield* changer
      let seen = 0
      let changed: Promise<void> | undefined
      proxy.faults = ({ method }) => {
        if (method !== "GET" || seen++ > 0) return undefined
        changed = Effect.runPromise(other.put("change/a", new Uint8Array(size).fill(2)))
        return { kind: "latency", ms: 500 }
      }
      const ranges = [
        { start: 0, end: 10 },
        { start: size - 10, end: size }
      ]
      const read = yield* Effect.result(store.getRanges("change/a", ranges))
      yield* Effect.promise(async () => changed)
      if (read._tag === "Success") assert.strictEqual(new Set(read.success.flatMap((part) => [...part])).size, 1)
      else assert.strictEqual(read.failure.reason._tag, "Changed")
      const { etag } = (yield* direct.head("change/a"))!
      yield* direct.put("change/a", new Uint8Array(size).fill(3))
      assert.strictEqual((yield* reasonOf(store.getRanges("change/a", ranges, { etag })))?._tag, "Changed")
      yield* direct.delete("change/a")
      assert.strictEqual((yield* reasonOf(store.getRanges("change/a", ranges, { etag })))?._tag, "NotFound")
    })
  )

  it.effect("leaves no parts of an upload that is given up or fails", () =>
    Effect.gen(function* () {
      const { bucket: name, direct, proxy } = yield* Rig
      const store = yield* ObjectStore
      proxy.faults = () => undefined
      const aborted: Array<string> = []
      proxy.faults = ({ method, url }) => {
        if (method === "DELETE" && url.includes("uploadId")) aborted.push(url)
        return undefined
      }
      yield* Effect.scoped(
        Effect.gen(function* () {
          const writer = yield* store.openWrite("given-up/a")
          yield* writer.write(new Uint8Array(20 << 20))
        })
      )
      assert.strictEqual(aborted.length, 1)
      // A part that fails for good fails the upload, which is aborted too.
      proxy.faults = ({ method, url }) => {
        if (method === "DELETE" && url.includes("uploadId")) aborted.push(url)
        return url.includes("partNumber=2") ? { kind: "reset" } : undefined
      }
      const failed = yield* reasonOf(store.putStream("given-up/b", Stream.make(new Uint8Array(40 << 20))))
      assert.strictEqual(failed?._tag, "Unavailable")
      assert.strictEqual(aborted.length, 2)
      assert.deepStrictEqual(yield* Stream.runCollect(direct.list("given-up/")), [])
      assert.strictEqual(yield* uploads(name, "given-up/"), 0)
    })
  )
})

/** Uploads under way for keys that begin with the prefix. (Those whose first response was lost stay until a rule of the bucket ends them.) */
const uploads = (Bucket: string, Prefix: string) =>
  Effect.promise(async () => {
    const client = sdk(versitygw)
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix }))
    client.destroy()
    return Uploads.length
  })

it.live("refuses at once, by name, what can't work", () =>
  Effect.gen(function* () {
    const options = access(versitygw)
    const secret = "not-the-right-one"
    const failed = (changed: Partial<S3ObjectStore.Options>) =>
      Effect.flip(Effect.scoped(S3ObjectStore.make({ ...options, bucket: "nowhere", retries: 1, ...changed })))
    const none = yield* failed({})
    assert.strictEqual(none.reason._tag, "BucketNotFound")
    assert.include(none.message, `"nowhere" at ${versitygw}`)
    const name = yield* bucket(versitygw)
    for (const credentials of [
      { accessKeyId: "headrace", secretAccessKey: Redacted.make(secret) },
      { accessKeyId: "nobody", secretAccessKey: Redacted.make(secret) }
    ]) {
      const error = yield* failed({ bucket: name, credentials })
      assert.strictEqual(error.reason._tag, "CredentialsRejected")
      assert.include(error.message, name)
      for (const shown of [error.message, JSON.stringify(error), String(error), error.stack ?? ""])
        assert.notInclude(shown, secret)
    }
    const nobody = yield* failed({ bucket: name, endpoint: "http://127.0.0.1:9" })
    assert.strictEqual(nobody.reason._tag, "Unavailable")
    assert.strictEqual((yield* failed({ bucket: name, prefix: "a//b" })).reason._tag, "InvalidKey")

    // Credentials that expire, and a bucket that goes, while the store is in use.
    const proxy = yield* FaultProxy.start(versitygw)
    const store = yield* S3ObjectStore.make({ ...access(proxy.endpoint), bucket: name, retries: 1 })
    const body = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>it is</Message></Error>`
    for (const [status, code, reason] of [
      [400, "ExpiredToken", "CredentialsRejected"],
      [403, "AccessDenied", "PermissionDenied"],
      [404, "NoSuchBucket", "BucketNotFound"],
      [507, "InsufficientStorage", "NoSpace"]
    ] as const) {
      proxy.faults = () => ({ kind: "answer", status, body: body(code) })
      const calls = [
        store.get("a"),
        store.put("a", text("x")),
        store.putIfAbsent("a", text("x")),
        store.delete("a"),
        Stream.runDrain(store.list("a")),
        // A head's answer has no body: a 404 can't be told from a missing object, and 507 isn't asked again.
        ...(status === 400 || status === 403 ? [store.head("a")] : [])
      ]
      for (const call of calls) assert.strictEqual((yield* reasonOf<unknown, never>(call))?._tag, reason, code)
    }
  }).pipe(Effect.provide(Logger.layer([])))
)
