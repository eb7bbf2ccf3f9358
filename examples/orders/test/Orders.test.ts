import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { dayStart, forEachOrder, json, ndjson, orderId, userId, writeNdjson } from "../src/Orders.ts"

const text = (rows: number, seed?: number): string =>
  Array.from(ndjson({ rows, seed }), (piece) => Buffer.from(piece).toString("latin1")).join("")

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "headrace-orders-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

describe("Orders", () => {
  it("begins with the known bytes", () => {
    assert.strictEqual(
      text(5),
      `{"order_id":"ord-000000000","user_id":"user-037282","category":"jewelry","region":"us-west","total":381.46,"status":"completed","ts":1774396800000}
{"order_id":"ord-000000001","user_id":"user-031368","category":"garden","region":"us-west","total":160.59,"status":"completed","ts":1774414080000}
{"order_id":"ord-000000002","user_id":"user-021937","category":"automotive","region":"ap-east","total":96.47,"status":"completed","ts":1774431360000}
{"order_id":"ord-000000003","user_id":"user-004510","category":"games","region":"eu-south","total":148.10,"status":"completed","ts":1774448640000}
{"order_id":"ord-000000004","user_id":"user-044927","category":"grocery","region":"sa-east","total":148.89,"status":"completed","ts":1774465920000}
`
    )
  })

  it.effect("writes the golden 100,000 orders", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "orders.jsonl")
      yield* writeNdjson(path, { rows: 100_000 })
      const bytes = yield* Effect.promise(() => readFile(path))
      assert.strictEqual(bytes.length, 14_726_060)
      assert.strictEqual(
        createHash("sha256").update(bytes).digest("hex"),
        "7594adddcd9012049cfea3424059726c44d4f0ad8853ff6b469f197a0b27dcda"
      )
    })
  )

  it.effect("says which file it could not write", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "missing", "orders.jsonl")
      const error = yield* Effect.flip(writeNdjson(path, { rows: 1 }))
      assert.strictEqual(error._tag, "WriteFailed")
      assert.include(error.message, path)
    })
  )

  it("gives the fields that the JSON has", () => {
    const lines = text(2_000).split("\n")
    const seen: Array<number> = []
    forEachOrder({ rows: 2_000 }, (order) => {
      seen.push(order.index)
      assert.strictEqual(json(order), lines[order.index])
      assert.deepStrictEqual(JSON.parse(lines[order.index]!), {
        order_id: orderId(order.index),
        user_id: userId(order.user),
        category: order.category,
        region: order.region,
        total: order.cents / 100,
        status: order.status,
        ts: order.ts
      })
    })
    assert.deepStrictEqual(
      seen,
      Array.from({ length: 2_000 }, (_, i) => i)
    )
  })

  it("does not depend on the size of the pieces", () => {
    const whole = text(1_000)
    for (const size of [1, 200, 10_000]) {
      const pieces = Array.from(ndjson({ rows: 1_000 }, size))
      assert.isTrue(pieces.every((piece) => piece.at(-1) === 10))
      assert.strictEqual(Buffer.concat(pieces).toString("latin1"), whole)
    }
  })

  it("keeps to the day, whatever the seed", () => {
    assert.notStrictEqual(text(100, 1), text(100, 2))
    for (const seed of [0, 1, 2 ** 32 - 1])
      forEachOrder({ rows: 5_000, seed }, (order) => {
        assert.isTrue(order.ts >= dayStart && order.ts < dayStart + 86_400_000)
        assert.isTrue(order.cents >= 100 && order.cents < 50_100)
      })
  })

  it("has ids beyond nine digits, no rows, and no nonsense", () => {
    assert.strictEqual(orderId(12_345_678), "ord-012345678")
    assert.strictEqual(orderId(999_999_999), "ord-999999999")
    assert.strictEqual(orderId(1_000_000_000), "ord-1000000000")
    assert.strictEqual(userId(49_999), "user-049999")
    assert.strictEqual(text(0), "")
    assert.throws(() => text(-1), RangeError)
    assert.throws(() => text(1, 2 ** 32), RangeError)
  })
})
