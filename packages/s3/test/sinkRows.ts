/** Rows for the tests of the sink: each knows where it came from, so that what is written can be told from what should be. */
import { emptyColumn, Kind, type ColumnBatch } from "@headrace/core/Batch"
import type { Poison } from "@headrace/core/DeadLetter"
import * as TopicSchema from "@headrace/core/TopicSchema"
import { ObjectSink, ObjectStore } from "@headrace/s3"
import { Effect, Schema, Stream } from "effect"
import { gunzipSync, zstdDecompressSync } from "node:zlib"

export const schema = TopicSchema.make(
  Schema.Struct({
    id: Schema.String,
    region: Schema.NullOr(Schema.String),
    amount: TopicSchema.decimal(2),
    ts: TopicSchema.instant,
    coupon: Schema.optional(Schema.NullOr(Schema.String))
  })
)

export interface Row {
  readonly region: string | null
  readonly ts: number
  /** Of the second version of the schema: the row has a coupon. */
  readonly coupon?: string
  /** The codec couldn't read it, or it had no value. */
  readonly is?: "poison" | "tombstone"
}

/** The id of a row: its partition and offset. */
export const idOf = (partition: number, offset: number) => `${partition}/${offset}`

/** A batch that covers `[base, base + rows.length)`. */
export const batchOf = (partition: number, base: number, rows: ReadonlyArray<Row>): ColumnBatch => {
  const count = rows.length
  const column = (f: (row: Row, i: number) => unknown) => {
    const values = emptyColumn<unknown>(count)
    rows.forEach((row, i) => (values[i] = f(row, i)))
    return values
  }
  const kinds = Uint8Array.from(rows, ({ is }) =>
    is === "poison" ? Kind.poison : is === "tombstone" ? Kind.tombstone : Kind.decoded
  )
  const poison = new Map<number, Poison>()
  rows.forEach(({ is, ts }, i) => {
    if (is !== "poison") return
    const value = new TextEncoder().encode(`{"broken": "${idOf(partition, base + i)}`)
    poison.set(i, { code: "not-json", field: "", detail: "cut off", timestamp: ts, key: null, value, headers: [] })
  })
  return {
    topic: "orders",
    partition,
    base,
    next: base + count,
    count,
    offsets: Float64Array.from(rows, (_, i) => base + i),
    columns: {
      id: column((_, i) => idOf(partition, base + i)),
      region: column((row) => row.region),
      amount: Float64Array.from(rows, (_, i) => base + i),
      ts: Float64Array.from(rows, (row) => row.ts),
      ...(rows.some(({ coupon }) => coupon !== undefined) ? { coupon: column((row) => row.coupon ?? null) } : {})
    },
    kinds: kinds.some((kind) => kind !== Kind.decoded) ? kinds : undefined,
    poison
  }
}

/** A written row with the folder of its file. */
export interface Written {
  readonly id: string
  readonly folder: string
  readonly line: Readonly<Record<string, unknown>>
}

const plain = (key: string, bytes: Uint8Array): string =>
  (key.endsWith(".gz")
    ? gunzipSync(bytes)
    : key.endsWith(".zst")
      ? zstdDecompressSync(bytes)
      : Buffer.from(bytes)
  ).toString()

/** Rows of the committed NDJSON files, those of bad rows with the id of their coordinates. */
export const written = (location: ObjectSink.Location) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const out: Array<Written> = []
    for (const file of yield* Stream.runCollect(ObjectSink.files(location))) {
      const lines = plain(file.key, yield* store.get(file.key))
        .split("\n")
        .slice(0, -1)
      if (lines.length !== file.rows)
        throw new Error(`${file.key} has ${lines.length} rows, its commit says ${file.rows}`)
      for (const text of lines) {
        const line = JSON.parse(text) as Record<string, unknown>
        const id =
          file.kind === "bad" ? idOf(line["partition"] as number, line["offset"] as number) : String(line["id"])
        out.push({ id, folder: file.folder, line })
      }
    }
    return out
  })

/** Keys of the files that a reader who knows nothing of commits finds. */
export const listed = (prefix: string) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const keys = yield* Stream.runCollect(Stream.map(store.list(`${prefix}/`), ({ key }) => key))
    return keys.filter((key) => !/\/_headrace\/[^/]+\/(?!bad\/)/.test(key))
  })
