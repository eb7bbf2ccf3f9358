/** The sink while the network and the server don't do their part, and two of it at once. Each row is in one committed file, whatever happens. */
import { assert, it } from "@effect/vitest"
import { ObjectSink, ObjectSinkError, ObjectStore } from "@headrace/s3"
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Context, Effect, Exit, Fiber, Layer, Stream } from "effect"
import * as FaultProxy from "integration-suite/FaultProxy"
import { access, bucket } from "integration-suite/S3Access"
import { versitygw } from "./servers.ts"
import { batchOf, idOf, listed, schema, written } from "./sinkRows.ts"

/** A store behind a proxy, and the same past it. */
class Rig extends Context.Service<
  Rig,
  { readonly proxy: FaultProxy.Proxy; readonly direct: Layer.Layer<ObjectStore> }
>()("test/Rig") {}

const rig = Effect.gen(function* () {
  const proxy = yield* FaultProxy.start(versitygw)
  const name = yield* bucket(versitygw)
  const direct = Layer.orDie(S3ObjectStore.layer({ ...access(versitygw), bucket: name }))
  const faulty = S3ObjectStore.layer({ ...access(proxy.endpoint), bucket: name, retries: 4, timeout: "5 seconds" })
  return Layer.merge(Layer.succeed(Rig, { proxy, direct }), faulty)
})
const test = (title: string, body: () => Effect.Effect<void, unknown, Rig | ObjectStore>) =>
  it.live(title, () => Effect.provide(body(), Layer.unwrap(rig)))

const options: ObjectSink.Options = {
  name: "orders",
  prefix: "lake",
  schema,
  format: { kind: "ndjson" },
  path: "region={region}",
  roll: { rows: 10, age: "1 hour" }
}
const regions = ["eu", "us west", "a+b", "łódź"]
const rows = Array.from({ length: 120 }, (_, i) => ({ region: regions[i % 4]!, ts: i }))
const everything = rows.map((_, i) => idOf(0, i)).sort()
/** Batches of ten rows from an offset on. */
const batches = (from: number, until = rows.length) => {
  const out: Array<ObjectSink.Input> = []
  for (let at = from; at < until; at += 10)
    out.push({ batch: batchOf(0, at, rows.slice(at, Math.min(until, at + 10))) })
  return out
}
const run = ObjectSink.run(options, (start) => Stream.fromIterable(batches(start.get(0)?.next ?? 0)))
const isCommit = ({ method, url }: FaultProxy.Seen) => method === "PUT" && url.includes("/commits/")

/** By the server itself: each row once; who lists folders finds the committed files and no others. */
const holds = Effect.gen(function* () {
  const { direct } = yield* Rig
  yield* Effect.gen(function* () {
    assert.deepStrictEqual((yield* written(options)).map(({ id }) => id).sort(), everything)
    const files = yield* Stream.runCollect(ObjectSink.files(options))
    assert.deepStrictEqual((yield* listed("lake")).sort(), files.map(({ key }) => key).sort())
    const { partitions } = yield* ObjectSink.committed(options)
    assert.deepInclude(partitions.get(0), { next: rows.length, read: rows.length, written: rows.length })
  }).pipe(Effect.provide(direct))
})

test("tells its own commit when every answer to one is lost", () =>
  Effect.gen(function* () {
    const { direct, proxy } = yield* Rig
    let lost = 0
    proxy.faults = (request) => (isCommit(request) ? (lost++, { kind: "loseResponse" }) : undefined)
    yield* run
    assert.isAbove(lost, 2)
    // Each commit took effect at once: none was made twice, and none by another.
    const { commit } = yield* Effect.provide(ObjectSink.committed(options), direct)
    yield* holds
    const store = yield* ObjectStore
    const commits = yield* Stream.runCollect(store.list("lake/_headrace/orders/commits/"))
    assert.strictEqual(commits.length, commit)
  }))

test("reads its commit back when nothing of the answer tells", () =>
  Effect.gen(function* () {
    const { proxy } = yield* Rig
    let [lost, heads] = [0, 0]
    proxy.faults = (request) => {
      if (isCommit(request)) return (lost++, { kind: "loseResponse" })
      if (request.method === "HEAD" && request.url.includes("/commits/")) return (heads++, { kind: "reset" })
      return undefined
    }
    yield* run
    assert.isAbove(lost, 2)
    assert.isAbove(heads, 2)
    yield* holds
  }))

const faults: ReadonlyArray<readonly [string, FaultProxy.Fault]> = [
  ["resets", { kind: "reset" }],
  ["resets within what is sent", { kind: "cutRequest", after: 20 }],
  ["answers that break off", { kind: "cutResponse", after: 10 }],
  ["lost answers", { kind: "loseResponse" }],
  ["requests that come twice", { kind: "twice" }],
  ["503 SlowDown", { kind: "slowDown" }],
  ["500", { kind: "answer", status: 500, body: "" }]
]
for (const [name, fault] of faults)
  test(`goes on through ${name}`, () =>
    Effect.gen(function* () {
      const { proxy } = yield* Rig
      let [seen, hits] = [0, 0]
      proxy.faults = () => (++seen % 3 === 0 ? (hits++, fault) : undefined)
      yield* run
      proxy.faults = () => undefined
      assert.isAbove(hits, 8)
      yield* holds
    }))

test("fails by name when the server stays away, and its heir goes on", () =>
  Effect.gen(function* () {
    const { proxy } = yield* Rig
    let commits = 0
    proxy.faults = (request) => (isCommit(request) && ++commits > 3 ? { kind: "slowDown" } : undefined)
    const { reason } = yield* Effect.flip(run)
    assert.strictEqual(reason._tag, "StoreFailed")
    assert.include(reason.message, "orders")
    proxy.faults = () => undefined
    yield* run
    yield* holds
  }))

test("fences a writer whose commit was on its way when another took over", () =>
  Effect.gen(function* () {
    const { direct, proxy } = yield* Rig
    const commits = { seen: 0 }
    // The opening passes; the first commit of rows waits, with its files there already.
    proxy.faults = (request) => (isCommit(request) && ++commits.seen === 2 ? { kind: "latency", ms: 1500 } : undefined)
    const zombie = yield* Effect.forkChild(Effect.flip(run))
    while (commits.seen < 2) yield* Effect.sleep("10 millis")
    // All its files are there, so the heir makes that commit for it, and goes on.
    yield* Effect.provide(run, direct)
    const { reason } = yield* Fiber.join(zombie)
    assert.strictEqual(reason._tag, "Fenced")
    yield* holds
    assert.deepStrictEqual(yield* Effect.provide(ObjectSink.collect(options), direct), [])
  }))

test("of writers that take turns only the newest commits", () =>
  Effect.gen(function* () {
    const { direct } = yield* Rig
    const write = (until: number) =>
      Effect.gen(function* () {
        const sink = yield* ObjectSink.make(options)
        const from = sink.start.get(0)?.next ?? 0
        for (const input of batches(from, until)) yield* sink.write(input)
        return sink
      })
    yield* Effect.gen(function* () {
      const first = yield* write(45)
      const second = yield* Effect.provide(write(80), direct)
      const third = yield* write(rows.length)
      for (const old of [first, second]) {
        const end = yield* Effect.exit(old.flush)
        assert.isTrue(Exit.isFailure(end))
        const error = yield* Effect.flip(old.flush)
        assert.instanceOf(error, ObjectSinkError)
        assert.strictEqual(error.reason._tag, "Fenced")
      }
      yield* third.flush
    }).pipe(Effect.scoped)
    yield* holds
  }))
