/** Row groups that are larger than a batch: they come in several, whatever is in them. */
import { assert, describe, it } from "@effect/vitest"
import { Archive, type Archiver } from "@headrace/archive"
import { Batch, JsonCodec, TopicSchema } from "@headrace/core"
import { EventLog } from "@headrace/core/EventLog"
import { Effect, Schema, Stream } from "effect"
import * as f from "./fixtures.ts"

const count = 20_000

/** Orders of which none, or every seventh and ninth, isn't decoded; those around the 8,192nd are among them. */
const sent = (clean: boolean): ReadonlyArray<f.Sent> =>
  clean
    ? Array.from({ length: count }, (_, i) => ({
        key: `k${i}`,
        value: JSON.stringify({ id: i, total: i, note: i % 3 === 0 ? null : `n${i % 50}` }),
        timestamp: i
      }))
    : f.orders(0, count)

const flat = (batches: ReadonlyArray<Batch.ColumnBatch>) =>
  batches.flatMap((b) =>
    Array.from({ length: b.count }, (_, i) => {
      const kind = b.kinds?.[i] ?? Batch.Kind.decoded
      const values = kind === Batch.Kind.decoded ? f.columns.map((name) => b.columns[name]![i]) : []
      return { offset: b.offsets[i], kind, values, poison: b.poison.get(i) }
    })
  )

/** A codec of the same columns whose schema has another fingerprint: its reads decode the bytes again. */
const another = JsonCodec.make(
  TopicSchema.make(
    Schema.Struct({
      id: Schema.Int,
      total: TopicSchema.decimal(2),
      note: Schema.NullOr(Schema.String),
      more: Schema.optional(Schema.String)
    })
  )
)

const check = Effect.fnUntraced(function* (clean: boolean, codec: Archiver.Options["codec"]) {
  const log = yield* EventLog
  const archive = yield* Archive.Archive
  yield* log.createTopic("orders", { partitions: 1 })
  yield* f.append(0, sent(clean))
  yield* f.archive({ fileRows: count, rowGroupRows: count })
  const expected = yield* log.read({ topic: "orders", partition: 0, from: 0, until: count }).pipe(
    Stream.mapEffect((batch) => codec.decode(batch, f.columns)),
    Stream.runCollect,
    Effect.map(flat)
  )
  for (const [from, until] of [
    [0, count],
    [8_190, 8_195],
    [3, 17_000]
  ] as const) {
    const batches = yield* Stream.runCollect(
      archive.read(codec, { topic: "orders", partition: 0, from, until, columns: f.columns })
    )
    let at: number = from
    for (const { base, next } of batches) {
      assert.strictEqual(base, at)
      at = next
    }
    assert.strictEqual(at, until)
    if (from === 0) assert.isAbove(batches.length, 1, "the row group comes in several batches")
    assert.deepStrictEqual(flat(batches), expected.slice(from, until))
  }
})

describe("ArchiveTable.read, large row groups", () => {
  it.live("decoded records", () => check(true, f.codec).pipe(Effect.provide(f.memory)), 60_000)
  it.live("poison and tombstones among them", () => check(false, f.codec).pipe(Effect.provide(f.memory)), 60_000)
  it.live("archived under another schema", () => check(false, another).pipe(Effect.provide(f.memory)), 60_000)
})
