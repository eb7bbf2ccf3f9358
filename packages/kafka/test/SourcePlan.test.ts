import { assert, describe, it } from "@effect/vitest"
import { BatchBuilder, type RecordBatch } from "@headrace/core/Batch"
import { Effect, Schema } from "effect"
import { sizeOf, SourcePlan } from "../src/internal/SourcePlan.ts"

const batchOf = (partition: number, base: number, count: number, bytes: number): RecordBatch => {
  const builder = new BatchBuilder(count, bytes * count)
  for (let i = 0; i < count; i++) builder.add(null, new Uint8Array(bytes), i)
  return {
    ...builder.take(),
    topic: "t",
    partition,
    base,
    next: base + count,
    offsets: Float64Array.from({ length: count }, (_, i) => base + i)
  }
}

const placeOf = (partition: number) => ({ topic: "t", topicId: "id", partition })

const integer = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("a source's plan", () => {
  it.effect.prop(
    "reads every partition to its end, each offset once, and never asks for more while it is full",
    {
      ends: Schema.NonEmptyArray(integer(0, 200)).check(Schema.isMaxLength(4)),
      steps: Schema.Array(
        Schema.Struct({ take: integer(0, 3), records: integer(1, 60), bytes: integer(1, 2_000) })
      ).check(Schema.isMinLength(1))
    },
    ({ ends, steps }) =>
      Effect.sync(() => {
        const limits = { partitionBytes: 50_000, totalBytes: 80_000 }
        const plan = new SourcePlan(limits)
        for (let partition = 0; partition < ends.length; partition++) plan.add(placeOf(partition), 0, ends[partition])
        const waiting: Array<RecordBatch> = []
        const read = ends.map((): Array<number> => [])
        const take = () => {
          const batch = waiting.shift()
          if (batch === undefined) return
          plan.taken(batch)
          read[batch.partition]!.push(...batch.offsets)
        }
        for (let round = 0; !plan.done; round++) {
          assert.isBelow(round, 10_000)
          const { bytes, records, take: count } = steps[round % steps.length]!
          const held = new Map<number, number>()
          for (const batch of waiting) held.set(batch.partition, (held.get(batch.partition) ?? 0) + sizeOf(batch))
          const total = [...held.values()].reduce((sum, size) => sum + size, 0)
          assert.strictEqual(plan.waiting, total)
          const positions = plan.positions()
          if (total >= limits.totalBytes) assert.deepStrictEqual(positions, [])
          for (const { partition } of positions) assert.isBelow(held.get(partition) ?? 0, limits.partitionBytes)
          for (const { offset, partition } of positions) {
            const own = plan.fetched(batchOf(partition, offset, records, bytes))
            if (own !== undefined) waiting.push(own)
          }
          // Without room somebody must take.
          for (let i = 0; i < (positions.length === 0 ? 1 : count); i++) take()
        }
        while (waiting.length > 0) take()
        assert.strictEqual(plan.waiting, 0)
        assert.deepStrictEqual(
          read,
          ends.map((end) => Array.from({ length: end }, (_, i) => i))
        )
      }),
    { arbitrary: { runs: 100 } }
  )

  it("takes a fetch that covers offsets without records, and none that doesn't follow", () => {
    const plan = new SourcePlan({ partitionBytes: 1_000, totalBytes: 1_000 })
    plan.add(placeOf(0), 5)
    assert.strictEqual(plan.fetched({ ...batchOf(0, 5, 0, 1), next: 9 })?.next, 9)
    assert.isUndefined(plan.fetched(batchOf(0, 5, 3, 1)), "an answer to an earlier question")
    assert.isUndefined(plan.fetched(batchOf(0, 9, 0, 1)), "nothing new")
    assert.isUndefined(plan.fetched(batchOf(1, 0, 3, 1)), "another partition")
    assert.strictEqual(plan.positions()[0]?.offset, 9)
  })

  it("forgets what waits of a partition that goes", () => {
    const plan = new SourcePlan({ partitionBytes: 1_000, totalBytes: 1_000 })
    for (const partition of [0, 1]) plan.add(placeOf(partition), 0)
    plan.fetched(batchOf(0, 0, 2, 1_000))
    assert.deepStrictEqual(plan.positions(), [], "full")
    plan.remove(placeOf(0))
    assert.strictEqual(plan.waiting, 0)
    assert.deepStrictEqual(
      plan.positions().map(({ partition }) => partition),
      [1]
    )
    assert.isUndefined(plan.fetched(batchOf(0, 2, 2, 1)), "the answer to a question of before")
  })

  it("reads one batch ahead where that is wanted, so that a slow reader gets larger ones", () => {
    const plan = new SourcePlan({ partitionBytes: 10_000, totalBytes: 10_000, oneAhead: true })
    for (const partition of [0, 1]) plan.add(placeOf(partition), 0)
    const own = plan.fetched(batchOf(0, 0, 1, 1))!
    const partitions = () => plan.positions().map(({ partition }) => partition)
    assert.deepStrictEqual(partitions(), [1])
    plan.taken(own)
    assert.deepStrictEqual(partitions().sort(), [0, 1])
  })

  it("lets partitions take turns at the front", () => {
    const plan = new SourcePlan({ partitionBytes: 1_000, totalBytes: 10_000 })
    for (const partition of [0, 1, 2]) plan.add(placeOf(partition), 0)
    const firsts = Array.from({ length: 6 }, () => plan.positions()[0]!.partition)
    assert.deepStrictEqual(new Set(firsts.slice(0, 3)), new Set([0, 1, 2]))
  })
})
