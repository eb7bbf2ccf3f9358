/** What the archive's table property says, and when it isn't believed. */
import { assert, describe, it } from "@effect/vitest"
import { Coverage } from "@headrace/archive"
import { Metadata } from "@headrace/iceberg"
import { Effect, Result } from "effect"
import { FileCatalog } from "@headrace/iceberg"
import * as f from "./fixtures.ts"

/** The metadata of an archive with two commits of ours. */
const archived = Effect.gen(function* () {
  yield* f.topic(15)
  yield* f.archive()
  const { metadata } = yield* FileCatalog.load({ prefix: "orders" })
  return metadata
}).pipe(Effect.provide(f.memory))

const refusal = (metadata: Metadata.TableMetadata): string => {
  const read = Coverage.read(metadata)
  assert.isTrue(Result.isFailure(read), "it was believed")
  return Result.isFailure(read) ? read.failure : ""
}

/** The table after a commit of somebody else. */
const after = (metadata: Metadata.TableMetadata, id: number, operation: string) =>
  Metadata.withSnapshot(
    metadata,
    {
      ...Metadata.currentSnapshot(metadata)!,
      "snapshot-id": id,
      "parent-snapshot-id": Metadata.currentId(metadata)!,
      summary: { operation }
    },
    {},
    "before"
  )

const withProperty = (metadata: Metadata.TableMetadata, change: object) => {
  const text = Metadata.property(metadata, Coverage.property)!
  const properties = { [Coverage.property]: JSON.stringify({ ...(JSON.parse(text) as object), ...change }) }
  return { ...metadata, properties }
}

describe("Coverage", () => {
  it.effect("is read from the commit that it belongs to", () =>
    Effect.gen(function* () {
      const coverage = Result.getOrThrow(Coverage.read(yield* archived))
      assert.strictEqual(coverage.topic, "orders")
      assert.strictEqual(coverage.records, 15)
      assert.deepStrictEqual(coverage.ranges, new Map([[0, { begin: 0, end: 15 }]]))
    })
  )

  it.effect("holds after files were only rewritten, also when the older snapshots are expired", () =>
    Effect.gen(function* () {
      const metadata = yield* archived
      const rewritten = after(after(metadata, 1, "replace"), 2, "replace")
      assert.deepStrictEqual(Coverage.read(rewritten), Coverage.read(metadata))
      const own = Metadata.currentId(metadata)
      const expired = {
        ...rewritten,
        snapshots: rewritten.snapshots!.filter((s) => [1, 2].includes(Number(s["snapshot-id"])))
      }
      assert.notInclude(
        expired.snapshots.map((s) => s["snapshot-id"]),
        own!
      )
      assert.deepStrictEqual(Coverage.read(expired), Coverage.read(metadata))
    })
  )

  it.effect("isn't believed after another writer's commit", () =>
    Effect.gen(function* () {
      const metadata = yield* archived
      const own = Metadata.currentId(metadata)
      for (const operation of ["append", "delete", "overwrite"]) {
        const foreign = after(metadata, 7, operation)
        const expected = `snapshot 7 was committed by another writer (${operation}), so the offsets that it holds aren't known: roll it back to snapshot ${own}`
        assert.strictEqual(refusal(foreign), expected)
        assert.strictEqual(refusal(after(foreign, 8, "replace")), expected)
      }
    })
  )

  it.effect("isn't believed after a rollback", () =>
    Effect.gen(function* () {
      const metadata = yield* archived
      const [first, second] = metadata.snapshots!.map((s) => s["snapshot-id"])
      assert.strictEqual(
        refusal({ ...metadata, "current-snapshot-id": first! }),
        `it was rolled back from snapshot ${second} to ${first}, so the offsets that it holds aren't known: set its current snapshot to ${second} again`
      )
      assert.match(refusal({ ...metadata, "current-snapshot-id": -1 }), /rolled back from snapshot \d+ to none/)
      // A commit on top of the rollback is another writer's.
      const beside = after({ ...metadata, "current-snapshot-id": first! }, 9, "replace")
      assert.match(refusal(beside), new RegExp(`snapshot ${first} was committed by another writer`))
    })
  )

  it.effect("is refused by name when a newer version wrote it, whatever else is in it", () =>
    Effect.gen(function* () {
      const metadata = yield* archived
      assert.strictEqual(
        refusal(withProperty(metadata, { format: 2, partitions: "elsewhere" })),
        "it was written by a newer version (format 2, this one reads 1): upgrade Headrace"
      )
    })
  )

  it.effect("is refused when it is missing or damaged", () =>
    Effect.gen(function* () {
      const metadata = yield* archived
      assert.match(
        refusal({ ...metadata, properties: {} }),
        /no property "headrace.archive": it isn't an archive of Headrace/
      )
      assert.match(
        refusal(withProperty(metadata, { partitions: [{ partition: 0 }] })),
        /"headrace.archive" can't be read: .*begin/s
      )
      assert.match(refusal({ ...metadata, properties: { [Coverage.property]: "{" } }), /can't be read/)
    })
  )
})
