import { assert, describe, it } from "@effect/vitest"
import { ObjectStore, StoreLocation } from "@headrace/s3"
import { Effect } from "effect"
import { folder } from "./folderStore.ts"

describe("StoreLocation", () => {
  it("tells buckets and prefixes", () => {
    assert.deepStrictEqual(StoreLocation.bucketOf("s3://b"), { bucket: "b", prefix: undefined })
    assert.deepStrictEqual(StoreLocation.bucketOf("s3://b/"), { bucket: "b", prefix: undefined })
    assert.deepStrictEqual(StoreLocation.bucketOf("s3://b/of orders/łódź+//"), {
      bucket: "b",
      prefix: "of orders/łódź+"
    })
    assert.isUndefined(StoreLocation.bucketOf("s3:///a"))
    assert.isUndefined(StoreLocation.bucketOf("folder/s3://b"))
    assert.throws(() => StoreLocation.layer("s3:///a"), /names no bucket/)
  })

  it.effect("opens a folder by its path", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const bytes = new TextEncoder().encode("here")
      const store = StoreLocation.layer(path)
      yield* Effect.provide(
        ObjectStore.use((s) => s.put("a b/c", bytes)),
        store
      )
      const again = ObjectStore.use((s) => s.get("a b/c"))
      assert.deepStrictEqual(yield* Effect.provide(again, store, { local: true }), bytes)
    })
  )
})
