import { assert, describe, it } from "@effect/vitest"
import { BatchBuilder, Kind } from "@headrace/core/Batch"
import type { Codec } from "@headrace/core/Codec"
import { reasonOf } from "@headrace/core/DeadLetter"
import * as JsonCodec from "@headrace/core/JsonCodec"
import * as TopicSchema from "@headrace/core/TopicSchema"
import { Effect, Schema } from "effect"
import { type Contents, type OrderRow, type Topic, random, topic } from "./Records.ts"
import { type Decoded, type Description, fold, stateHash } from "./ReferenceFold.ts"

const seeds = Array.from({ length: 150 }, (_, i) => i + 1)

const description = (t: Topic): Description<OrderRow> => ({
  decode: t.decode,
  where: (row) => row.status !== "cancelled",
  eventTime: (row) => row.ts,
  outOfOrderness: 5_000,
  eventTimeAfterFilter: false,
  keys: [
    ["category", (row) => row.category],
    ["region", (row) => row.region]
  ],
  windowSize: 60_000,
  aggregates: [
    { name: "orders", kind: "count" },
    { name: "revenue", kind: "sum", value: (row) => row.total },
    { name: "average", kind: "avg", value: (row) => row.total },
    { name: "users", kind: "countDistinct", value: (row) => row.user_id },
    { name: "last", kind: "max", value: (row) => row.user_id }
  ],
  lateColumns: ["order_id", "category", "region", "total"]
})

const codec = (nullRegions: boolean) =>
  JsonCodec.make(
    TopicSchema.make(
      Schema.Struct({
        order_id: Schema.String,
        user_id: Schema.String,
        category: Schema.String,
        region: nullRegions ? Schema.optionalKey(Schema.NullOr(Schema.String)) : Schema.String,
        total: TopicSchema.decimal(2),
        status: Schema.String,
        ts: TopicSchema.instant
      })
    )
  )

/** What the codec makes of one value. */
const decoded = Effect.fnUntraced(function* (json: Codec, value: string) {
  const builder = new BatchBuilder()
  builder.add(null, value, 0)
  const records = { ...builder.take(), topic: "t", partition: 0, base: 0, next: 1, offsets: Float64Array.of(0) }
  const names = json.schema.columns.map((column) => column.name)
  const batch = yield* json.decode(records, names)
  const kind = batch.kinds?.[0] ?? Kind.decoded
  if (kind === Kind.decoded)
    return { ok: true, row: Object.fromEntries(names.map((name) => [name, batch.columns[name]![0]])) }
  return { ok: false, reason: reasonOf(batch.poison.get(0)!) }
})

describe("Records", () => {
  it("makes the same topic of the same seed", () => {
    for (const seed of [1, 2, 3]) {
      assert.deepStrictEqual(topic(seed).partitions, topic(seed).partitions)
      assert.notDeepEqual(topic(seed).partitions, topic(seed + 1).partitions)
    }
    // The numbers themselves, so that a seed from a report means the same topic tomorrow.
    const r = random(1)
    assert.deepStrictEqual([r.bits(), r.bits(), r.below(100), r.between(5, 6)], [1580013426, 350525680, 82, 6])
  })

  it("keeps to its bounds", () => {
    for (const seed of seeds) {
      const { partitions } = topic(seed)
      assert.isTrue(partitions.length >= 1 && partitions.length <= 5)
      for (const records of partitions) {
        assert.isTrue(records.length <= 400)
        assert.isTrue(records.every((record, i) => record.offset === i && Number.isInteger(record.timestamp)))
        for (const { value } of records) if (value !== null) assert.strictEqual(Buffer.from(value).toString(), value)
      }
    }
    for (const records of topic(1, { maxRecords: 3 }).partitions) assert.isTrue(records.length <= 3)
  })

  it("has topics with and without each kind of content", () => {
    for (const nullRegions of [false, true]) {
      const all = seeds.map((seed) => topic(seed, { nullRegions }).contents)
      for (const name of Object.keys(all[0]!) as Array<keyof Contents>) {
        const has = all.filter((contents) => contents[name]).length
        if (name === "hasNullRegion" && !nullRegions) assert.strictEqual(has, 0)
        else assert.isTrue(has >= 10 && has <= seeds.length - 10, `${name}: ${has} of ${seeds.length}`)
      }
    }
  })

  it("has each kind of poison", () => {
    const reasons = new Map<string, number>()
    for (const seed of seeds) {
      const t = topic(seed)
      for (const { reason } of fold(description(t), t.partitions).dead)
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    }
    const columns = ["order_id", "user_id", "category", "region", "total", "status", "ts"]
    assert.sameMembers(Array.from(reasons.keys()), [
      "not-json",
      "out-of-range:total",
      "out-of-range:ts",
      ...columns.flatMap((name) => [`missing-field:${name}`, `wrong-type:${name}`])
    ])
  })

  it("knows of each topic what the reference fold finds", () => {
    for (const seed of seeds) {
      const t = topic(seed, { nullRegions: seed % 2 === 0 })
      const everything = { ...description(t), where: undefined }
      const { dead, late, positions } = fold(everything, t.partitions)
      assert.strictEqual(late.length > 0, t.contents.hasLate)
      assert.strictEqual(
        dead.some((d) => !d.reason.startsWith("null-key")),
        t.contents.hasPoison
      )
      assert.strictEqual(
        positions.some((p) => p.counts.filtered > 0),
        t.contents.hasTombstone
      )
      for (const { counts: c } of positions)
        assert.strictEqual(c.read, c.applied + c.filtered + c.late + c.deadLettered)
      assert.match(stateHash(fold(description(t), t.partitions)), /^[0-9a-f]{64}$/)
    }
  })

  it.effect("says of each value what the JSON codec says", () =>
    Effect.gen(function* () {
      for (const nullRegions of [false, true]) {
        const json = codec(nullRegions)
        for (const seed of seeds) {
          const t = topic(seed, { nullRegions, maxRecords: 60 })
          for (const { value } of t.partitions.flat()) {
            if (value === null) continue
            const expected: Decoded<OrderRow> = t.decode(value)
            assert.deepStrictEqual<unknown>(yield* decoded(json, value), expected, `seed ${seed}: ${value}`)
          }
        }
      }
    })
  )
})
