/**
 * `@headrace/s3` beside Amazon's SDK alone, with kept-alive connections and the same checksums, on one server of this machine: objects of 16 MiB,
 * eight in flight, read and written. And columns of Parquet files read from that server beside the same files in a folder, by the same code.
 * Both sides compare every byte that they read; what each wrote is read back and compared; the columns' sums must be equal. A ratio is the
 * upper quartile of the rounds': what else runs on the machine only takes away.
 */
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import { ColumnReader, ColumnWriter, type Field } from "@headrace/parquet"
import { FolderObjectStore, type ObjectStore, type Range } from "@headrace/s3"
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Effect, Redacted } from "effect"
import * as S3 from "integration-suite/S3"
import { createHash } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { metric, type Result, Steps, upperQuartile } from "./harness.ts"

type Store = ObjectStore["Service"]

const size = 16 << 20
const inFlight = 8
const distinct = 8
const connections = 64
const bucket = "bench"

/** Bytes that no compression and no sparse file makes smaller, another each. */
const contentOf = (i: number): Buffer => {
  const block = createHash("sha512").update(`object ${i}`).digest()
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; at += block.length) {
    block.copy(bytes, at)
    bytes.writeUInt32LE(at, at)
  }
  return bytes
}

/** Reads and writes whole objects. */
interface Side {
  readonly get: (key: string) => Effect.Effect<Uint8Array, unknown>
  readonly put: (key: string, bytes: Uint8Array) => Effect.Effect<unknown, unknown>
}

const raw = (sdk: S3Client): Side => ({
  get: (key) =>
    Effect.tryPromise(async () => {
      const { Body } = await sdk.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
      return Body!.transformToByteArray()
    }),
  put: (key, Body) => Effect.tryPromise(() => sdk.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body })))
})

/** MB a second of so many calls. */
const rateOf = (count: number, call: (i: number) => Effect.Effect<void, unknown>) =>
  Effect.gen(function* () {
    const started = performance.now()
    yield* Effect.forEach(
      Array.from({ length: count }, (_, i) => i),
      call,
      { concurrency: inFlight, discard: true }
    )
    return (count * size) / 1e6 / ((performance.now() - started) / 1000)
  })

const rowsPerGroup = 100_000
const groups = 4
const wanted = ["category", "status", "total", "ts"]

/** Columns as orders have them. */
const schema: ReadonlyArray<Field.Field> = [
  { name: "order_id", type: { kind: "string" }, required: true },
  { name: "user_id", type: { kind: "string" }, required: true },
  { name: "category", type: { kind: "string" }, required: true },
  { name: "address", type: { kind: "string" }, required: true },
  { name: "status", type: { kind: "string" }, required: true },
  { name: "quantity", type: { kind: "int" }, required: true },
  { name: "total", type: { kind: "decimal", precision: 10, scale: 2 }, required: true },
  { name: "comment", type: { kind: "string" }, required: true },
  { name: "ts", type: { kind: "timestamptz" }, required: true }
]
const began = Date.UTC(2026, 2, 25)

/** A file of orders. */
const parquet = (seed: number) =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    const writer = yield* ColumnWriter.make({ schema, sink: (chunk) => void chunks.push(chunk) })
    let state = seed
    const draw = (below: number) => {
      state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
      return Math.floor((state / 2 ** 32) * below)
    }
    const column = <A>(make: (row: number) => A) => Array.from({ length: rowsPerGroup }, (_, row) => make(row))
    for (let group = 0; group < groups; group++) {
      const first = group * rowsPerGroup
      yield* writer.writeRowGroup(
        {
          order_id: column((row) => `order-${seed}-${first + row}`),
          user_id: column(() => `user-${draw(20_000)}`),
          category: column(() => `category-${draw(24)}`),
          address: column(() => `${draw(400)} ${draw(10_000).toString(36)} street, ${draw(90_000)}`),
          status: column(() => ["completed", "pending", "cancelled"][draw(3)]!),
          quantity: column(() => 1 + draw(5)),
          total: column(() => 100 + draw(100_000)),
          comment: column(() =>
            draw(2 ** 30)
              .toString(36)
              .repeat(1 + draw(4))
          ),
          ts: column((row) => began + (first + row) * 200 + draw(5_000))
        },
        rowsPerGroup
      )
    }
    yield* writer.finish()
    return Buffer.concat(chunks)
  })

/** Some columns of the files, four row groups at a time: how many values they have, and their sum. */
const readColumns = (store: Store, keys: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    let sum = 0
    let count = 0
    for (const key of keys) {
      const { size: byteLength } = (yield* store.head(key))!
      const read = (start: number, end: number) => store.getRange(key, start, end)
      const readMany = (ranges: ReadonlyArray<Range>) => store.getRanges(key, ranges)
      const file = yield* ColumnReader.open({ name: key, byteLength, read, readMany })
      yield* Effect.forEach(
        file.rowGroups.keys(),
        (group) =>
          Effect.map(ColumnReader.readRowGroup(file, group, wanted), (rows) => {
            for (const name of wanted) {
              const values = rows.columns[name]!
              for (let i = 0; i < rows.rowCount; i++) {
                const value = values[i]
                sum =
                  (sum +
                    (typeof value === "string" ? value.length * value.charCodeAt(value.length - 1) : Number(value))) %
                  2 ** 40
              }
              count += rows.rowCount
            }
          }),
        { concurrency: 4, discard: true }
      )
    }
    return { count, sum }
  })

const measure = (endpoint: string, folder: string, reduced: boolean) =>
  Effect.gen(function* () {
    const [rounds, objects, files] = reduced ? [3, 16, 2] : [9, 48, 6]
    const { accessKeyId, region, secretAccessKey } = S3
    const sdk = new S3Client({
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
      requestHandler: { httpAgent: { keepAlive: true, maxSockets: connections } }
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => sdk.destroy()))
    yield* Effect.promise(() => sdk.send(new CreateBucketCommand({ Bucket: bucket })))
    const store = yield* S3ObjectStore.make({
      bucket,
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey: Redacted.make(secretAccessKey) }
    })
    const local = yield* FolderObjectStore.make({ path: folder })
    const contents = Array.from({ length: distinct }, (_, i) => contentOf(i))
    const whole = raw(sdk)
    for (const [i, bytes] of contents.entries()) yield* whole.put(`read/${i}`, bytes)
    const keys = Array.from({ length: files }, (_, i) => `parquet/${i}`)
    for (const [i, key] of keys.entries()) {
      const bytes = yield* parquet(i + 1)
      yield* store.put(key, bytes)
      yield* local.put(key, bytes)
    }

    let checked = true
    const equal = (bytes: Uint8Array, i: number) => {
      if (!contents[i % distinct]!.equals(bytes)) checked = false
    }
    const get = (side: Side) =>
      rateOf(objects, (i) => Effect.map(side.get(`read/${i % distinct}`), (bytes) => equal(bytes, i)))
    const put = (side: Side) =>
      Effect.gen(function* () {
        const rate = yield* rateOf(objects, (i) =>
          Effect.asVoid(side.put(`written/${i % distinct}`, contents[i % distinct]!))
        )
        for (const i of contents.keys()) {
          equal(yield* whole.get(`written/${i}`), i)
          yield* store.delete(`written/${i}`)
        }
        return rate
      })
    const sums = new Set<string>()
    const ranged = (from: Store) =>
      Effect.gen(function* () {
        const started = performance.now()
        const { count, sum } = yield* readColumns(from, keys)
        if (!Number.isFinite(sum)) checked = false
        sums.add(`${count} values, ${sum}`)
        return count / 1e6 / ((performance.now() - started) / 1000)
      })

    const jobs = [
      ["get", get(store), get(whole)],
      ["put", put(store), put(whole)],
      ["ranged", ranged(store), ranged(local)]
    ] as const
    const rates: Record<string, Array<number>> = {}
    const steps = new Steps(rounds + 1)
    for (let turn = 0; turn <= rounds; turn++) {
      const shown: Array<string> = []
      for (const [name, ours, theirs] of jobs) {
        const pair = [
          [name, ours],
          [`${name}_theirs`, theirs]
        ] as const
        for (const [title, side] of turn % 2 === 0 ? pair : pair.toReversed()) {
          const rate = yield* side
          shown.push(`${title} ${rate.toFixed(name === "ranged" ? 1 : 0)}`)
          if (turn > 0) (rates[title] ??= []).push(rate)
        }
      }
      steps.done(`${turn === 0 ? "not counted" : `round ${turn}`}, MB/s, M values/s: ${shown.join(", ")}`)
    }
    const ratio = (name: string) => upperQuartile(rates[name]!, rates[`${name}_theirs`]!)
    return {
      bench: "s3",
      rounds,
      metrics: {
        get_mb_per_s: metric(rates["get"]!, "MB/s"),
        get_raw_mb_per_s: metric(rates["get_theirs"]!, "MB/s"),
        put_mb_per_s: metric(rates["put"]!, "MB/s"),
        put_raw_mb_per_s: metric(rates["put_theirs"]!, "MB/s"),
        ranged_m_values_per_s: metric(rates["ranged"]!, "M values/s"),
        ranged_folder_m_values_per_s: metric(rates["ranged_theirs"]!, "M values/s")
      },
      ratios: { get_raw: ratio("get"), put_raw: ratio("put"), ranged_folder: ratio("ranged") },
      rss_mb: process.resourceUsage().maxRSS / 1024,
      checked: checked && sums.size === 1,
      fingerprints: { columns: [...sums].join(" | ") }
    } satisfies Result
  })

const main = (reduced: boolean): Promise<Result> =>
  Effect.gen(function* () {
    const { endpoint } = yield* S3.start("versitygw", "process")
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "headrace-bench-"))),
      (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
    )
    return yield* measure(endpoint, folder, reduced)
  }).pipe(Effect.scoped, Effect.runPromise)

export const run = async (reduced: boolean): Promise<Result> => {
  // Ended by exiting, this process takes the server with it.
  const stop = () => process.exit(130)
  process.once("SIGINT", stop).once("SIGTERM", stop)
  try {
    return await main(reduced)
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop)
  }
}
