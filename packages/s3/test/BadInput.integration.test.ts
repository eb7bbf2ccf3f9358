/** What can be wrong with a bucket, its keys and one's credentials while rows are read and written: each is an error by name, and can be gone on from. */
import { DeleteBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3"
import { assert, it } from "@effect/vitest"
import { ObjectSink, ObjectSource, ObjectStore } from "@headrace/s3"
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Effect, Schema, Stream } from "effect"
import * as FaultProxy from "integration-suite/FaultProxy"
import { access, bucket, sdk } from "integration-suite/S3Access"
import { versitygw } from "./servers.ts"
import { batchOf, schema, written } from "./sinkRows.ts"

const text = (s: string) => new TextEncoder().encode(s)
const row = Schema.Struct({ n: Schema.Int })
const lines = (from: number, until: number) =>
  text(Array.from({ length: until - from }, (_, i) => `{"n":${from + i}}\n`).join(""))

/** A bucket, and a store on it behind a proxy. */
const rig = Effect.gen(function* () {
  const proxy = yield* FaultProxy.start(versitygw)
  const name = yield* bucket(versitygw)
  const store = yield* S3ObjectStore.make({ ...access(proxy.endpoint), bucket: name, retries: 1 })
  return { name, proxy, store }
})
const refusal = (status: number, code: string): FaultProxy.Fault => ({
  kind: "answer",
  status,
  body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>it is</Message></Error>`
})

/** Rows that came, the checkpoint behind them, and the error that ended them. `first` runs after the first batch. */
const drain = (options: ObjectSource.Options, first: Effect.Effect<void> = Effect.void) =>
  Effect.gen(function* () {
    const rows: Array<number> = []
    let resume: ObjectSource.Checkpoint | undefined
    const end = yield* ObjectSource.columns({ schema: row, ...options }).pipe(
      Stream.runForEach((batch) => {
        const before = rows.length
        rows.push(...Array.from(batch.batch.columns["n"] as ArrayLike<number>))
        resume = batch.resume
        return before === 0 ? first : Effect.void
      }),
      Effect.result
    )
    return { rows, resume, error: end._tag === "Failure" ? end.failure : undefined }
  })
const numbers = (until: number) => Array.from({ length: until }, (_, i) => i)

it.live("stops by name when credentials expire while it reads, and goes on with new ones", () =>
  Effect.gen(function* () {
    const { proxy, store } = yield* rig
    const read = (options: Partial<ObjectSource.Options>, first?: Effect.Effect<void>) =>
      Effect.provideService(
        drain({ prefix: "in/", maxRows: 10, rangeBytes: 64, badRows: "keep", ...options }, first),
        ObjectStore,
        store
      )
    for (const i of [0, 1]) yield* store.put(`in/a b+${i} łódź.ndjson`, lines(i * 40, i * 40 + 40))
    for (const [status, code, detail] of [
      [400, "ExpiredToken", "credentials"],
      [403, "AccessDenied", "permission"]
    ] as const) {
      const stopped = yield* read(
        {},
        Effect.sync(() => void (proxy.faults = () => refusal(status, code)))
      )
      assert.strictEqual(stopped.error?.reason._tag, "StoreFailed")
      assert.include(stopped.error?.message, "in/a b+0 łódź.ndjson")
      assert.include(stopped.error?.message, detail)
      proxy.faults = () => undefined
      const rest = yield* read({ from: stopped.resume })
      assert.isUndefined(rest.error)
      assert.deepStrictEqual([...stopped.rows, ...rest.rows], numbers(80))
    }
  })
)

it.live("stops by name when the bucket goes away under a reader that follows it", () =>
  Effect.gen(function* () {
    const { name, store } = yield* rig
    yield* store.put("in/1.ndjson", lines(0, 3))
    const remove = Effect.gen(function* () {
      yield* Effect.orDie(store.delete("in/1.ndjson"))
      const client = sdk(versitygw)
      yield* Effect.promise(() => client.send(new DeleteBucketCommand({ Bucket: name })))
      client.destroy()
    })
    const options = { prefix: "in/", follow: { interval: "20 millis" } } as const
    const { error, rows } = yield* Effect.provideService(drain(options, remove), ObjectStore, store)
    assert.deepStrictEqual(rows, numbers(3))
    assert.strictEqual(error?.reason._tag, "StoreFailed")
    assert.include(error?.message, `no bucket "${name}"`)
  })
)

it.live("passes over signs of folders, and stops by name at a key that no store of ours could hold", () =>
  Effect.gen(function* () {
    const { name, proxy, store } = yield* rig
    yield* store.put("in/a/1.ndjson", lines(0, 3))
    const client = sdk(versitygw)
    yield* Effect.promise(() =>
      client.send(new PutObjectCommand({ Bucket: name, Key: "in/b/", Body: new Uint8Array(0) }))
    )
    client.destroy()
    const read = Effect.provideService(drain({ prefix: "in/" }), ObjectStore, store)
    const { error, rows } = yield* read
    assert.deepStrictEqual([error, rows], [undefined, numbers(3)])
    const entry = (key: string) => `<Contents><Key>${key}</Key><Size>9</Size></Contents>`
    proxy.faults = ({ method, url }) =>
      method === "GET" && url.includes("list-type=2")
        ? {
            kind: "answer",
            status: 200,
            body: `<ListBucketResult><IsTruncated>false</IsTruncated>${entry("in/a//2.ndjson")}${entry("in/a/1.ndjson")}</ListBucketResult>`
          }
        : undefined
    const stopped = yield* read
    assert.strictEqual(stopped.error?.reason._tag, "StoreFailed")
    assert.include(stopped.error?.message, `"in/a//2.ndjson" is no valid key`)
  })
)

it.live("fails a sink by name when credentials expire before its commit, and its heir writes every row once", () =>
  Effect.gen(function* () {
    const { proxy, store } = yield* rig
    const options: ObjectSink.Options = { name: "orders", prefix: "lake", schema, format: { kind: "ndjson" } }
    const rows = numbers(50).map((ts) => ({ region: "eu", ts }))
    const run = ObjectSink.run(options, (start) => {
      const from = start.get(0)?.next ?? 0
      return Stream.make({ batch: batchOf(0, from, rows.slice(from)) })
    }).pipe(Effect.provideService(ObjectStore, store))
    let commits = 0
    proxy.faults = ({ method, url }) =>
      method === "PUT" && url.includes("/commits/") && ++commits === 2 ? refusal(400, "ExpiredToken") : undefined
    const { reason } = yield* Effect.flip(run)
    assert.strictEqual(reason._tag, "StoreFailed")
    assert.include(reason.message, "credentials")
    const { partitions } = yield* run
    assert.deepInclude(partitions.get(0), { next: 50, written: 50 })
    const found = yield* Effect.provideService(written(options), ObjectStore, store)
    assert.strictEqual(new Set(found.map(({ id }) => id)).size, 50)
    assert.strictEqual(found.length, 50)
  })
)
