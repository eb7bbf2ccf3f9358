import { assert, describe, it, layer } from "@effect/vitest"
import { Commit, FileCatalog, type IcebergError, Metadata, Predicate, Scan, Schema, Table } from "@headrace/iceberg"
import { MemoryObjectStore, ObjectStore } from "@headrace/s3"
import { Effect, Result, Stream } from "effect"
import { appendEach, create, day, drivers, fields, file, paths } from "./fixtures.ts"

const reason = <A, R>(effect: Effect.Effect<A, IcebergError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)
const text = (s: string) => new TextEncoder().encode(s)

for (const [name, driver] of drivers) {
  layer(driver)(`Table on ${name}`, (it) => {
    it.effect("creates, appends, reloads and plans", () =>
      Effect.gen(function* () {
        const created = yield* create("basic")
        assert.deepStrictEqual(yield* Table.scan(created), [])
        const first = yield* Commit.append(created, {
          files: [file(0), file(1)],
          summary: { "archive.ranges": "0:0-20" },
          setProperties: (id) => ({ vector: `${id}` })
        })
        yield* appendEach(first, 2, 5)
        const table = yield* FileCatalog.load({ prefix: "basic" })
        assert.strictEqual(table.version, 5)
        assert.deepStrictEqual(yield* paths(table), ["f0", "f1", "f2", "f3", "f4"])
        const [snapshot] = table.metadata.snapshots!
        assert.deepStrictEqual(snapshot!.summary, {
          "archive.ranges": "0:0-20",
          operation: "append",
          "added-data-files": "2",
          "added-records": "20",
          "added-files-size": "2001",
          "changed-partition-count": "2",
          "total-data-files": "2",
          "total-records": "20",
          "total-files-size": "2001",
          "total-delete-files": "0",
          "total-position-deletes": "0",
          "total-equality-deletes": "0"
        })
        assert.strictEqual(Metadata.currentSnapshot(table.metadata)!.summary["total-records"], "50")
        assert.strictEqual(Metadata.property(table.metadata, "vector"), `${snapshot!["snapshot-id"]}`)
        assert.strictEqual(Metadata.property(table.metadata, "owner"), "test")
        assert.deepStrictEqual(yield* paths(table, { snapshotId: snapshot!["snapshot-id"] }), ["f0", "f1"])
        const [task] = yield* Table.scan(table)
        assert.deepInclude(task, {
          sequenceNumber: 1,
          fileSequenceNumber: 1,
          snapshotId: snapshot!["snapshot-id"],
          specId: 0
        })
        assert.strictEqual(task!.file.path, "s3://bucket/basic/data/f0.parquet")
        assert.strictEqual(yield* Table.keyOf(table, task!.file.path), "basic/data/f0.parquet")
        assert.deepStrictEqual(task!.file.partition, { __partition: 0, __arrived_day: 0 })
        const columns = yield* Table.fields(table)
        assert.deepStrictEqual(
          columns.map((column) => Scan.bounds(task!.file, column)),
          [
            { lower: "category-0", upper: "category-0-long." },
            {},
            { lower: 0, upper: 999 },
            { lower: 0, upper: 0 },
            { lower: 0, upper: 9 },
            {},
            {}
          ]
        )
        assert.deepStrictEqual(
          table.metadata.snapshots!.map((each) => each["sequence-number"]),
          [1, 2, 3, 4]
        )
        assert.strictEqual(table.metadata["metadata-log"]!.length, 4)
        assert.strictEqual(table.metadata["snapshot-log"]!.length, 4)
      })
    )

    it.effect("refuses a second table in the same place, and what isn't there", () =>
      Effect.gen(function* () {
        yield* create("twice")
        assert.strictEqual(yield* reason(create("twice")), "TableExists")
        assert.strictEqual(yield* reason(FileCatalog.load({ prefix: "nowhere" })), "TableNotFound")
        assert.strictEqual(
          yield* reason(FileCatalog.create({ prefix: "x", location: "relative", fields })),
          "InvalidInput"
        )
        assert.strictEqual(
          yield* reason(FileCatalog.create({ prefix: "x", location: "/x", fields: [fields[0]!, fields[0]!] })),
          "InvalidInput"
        )
        assert.strictEqual(
          yield* reason(
            FileCatalog.create({
              prefix: "x",
              location: "/x",
              fields,
              partitionBy: [{ column: "total", transform: "identity" }]
            })
          ),
          "InvalidInput"
        )
      })
    )

    it.effect("lets one of many creators win", () =>
      Effect.gen(function* () {
        const outcomes = yield* Effect.forEach(Array.from({ length: 16 }), () => Effect.result(create("creators")), {
          concurrency: "unbounded"
        })
        assert.strictEqual(outcomes.filter(Result.isSuccess).length, 1)
        assert.isTrue(outcomes.every((each) => Result.isSuccess(each) || each.failure.reason._tag === "TableExists"))
      })
    )

    it.effect("plans by partition and bounds", () =>
      Effect.gen(function* () {
        const table = yield* Commit.append(yield* appendEach(yield* create("plan"), 0, 20), {
          files: Array.from({ length: 20 }, (_, i) => file(20 + i))
        })
        const names = (numbers: ReadonlyArray<number>) => numbers.map((i) => `f${i}`)
        const all = Array.from({ length: 40 }, (_, i) => i)
        const planned = (predicate: Predicate.Predicate) => paths(table, { predicate })
        assert.deepStrictEqual(yield* planned(Predicate.eq("__partition", 3)), names(all.filter((i) => i % 4 === 3)))
        assert.deepStrictEqual(
          yield* planned(Predicate.isIn("__partition", [1, 7])),
          names(all.filter((i) => i % 4 === 1))
        )
        assert.deepStrictEqual(yield* planned(Predicate.gte("__arrived", 3 * day)), names(all.filter((i) => i >= 30)))
        assert.deepStrictEqual(
          yield* planned(Predicate.gt("__arrived", 3 * day - 1)),
          names(all.filter((i) => i >= 30))
        )
        assert.deepStrictEqual(yield* planned(Predicate.lt("__arrived", day)), names(all.filter((i) => i < 10)))
        assert.deepStrictEqual(yield* planned(Predicate.lte("__arrived", day)), names(all.filter((i) => i < 20)))
        assert.deepStrictEqual(
          yield* planned(Predicate.eq("__arrived_day", 2)),
          names(all.filter((i) => i >= 20 && i < 30))
        )
        assert.deepStrictEqual(
          yield* planned(Predicate.and(Predicate.gte("__offset", 95), Predicate.lt("__offset", 120))),
          names([9, 10, 11])
        )
        assert.deepStrictEqual(
          yield* planned(Predicate.or(Predicate.eq("ts", 5500), Predicate.eq("__offset", 0))),
          names([0, 5])
        )
        assert.deepStrictEqual(yield* planned(Predicate.eq("category", "category-7")), names([7]))
        assert.deepStrictEqual(yield* planned(Predicate.isNull("category")), names(all.filter((i) => i % 2 === 1)))
        assert.deepStrictEqual(yield* planned(Predicate.isNull("__offset")), [])
        assert.deepStrictEqual(yield* planned(Predicate.notNull("total")), [])
        assert.deepStrictEqual(yield* planned(Predicate.gt("total", 0)), [])
        assert.strictEqual(yield* reason(planned(Predicate.eq("nope", 1))), "InvalidInput")
        assert.strictEqual(yield* reason(planned(Predicate.lt("__offset", "5"))), "InvalidInput")
        assert.strictEqual(yield* reason(planned(Predicate.and(Predicate.isIn("category", [5])))), "InvalidInput")
        assert.strictEqual(yield* reason(Table.scan(table, { snapshotId: 12345 })), "InvalidInput")
      })
    )

    it.effect("merges manifests without changing the plan", () =>
      Effect.gen(function* () {
        const merged = yield* appendEach(yield* create("merged"), 0, 130)
        const single = yield* Commit.append(yield* create("single"), {
          files: Array.from({ length: 130 }, (_, i) => file(i))
        })
        const snapshot = Metadata.currentSnapshot(merged.metadata)!
        const manifests = yield* Table.manifests(merged, snapshot)
        assert.isAtMost(manifests.length, 51)
        assert.strictEqual(
          manifests.reduce((n, m) => n + m.addedFiles + m.existingFiles, 0),
          130
        )
        const tasks = yield* Table.scan(merged)
        assert.deepStrictEqual(
          tasks.map((task) => task.file.path.split("/").at(-1)),
          Array.from({ length: 130 }, (_, i) => `f${i}.parquet`)
        )
        assert.deepStrictEqual(
          tasks.map((task) => [task.sequenceNumber, task.snapshotId]),
          merged.metadata.snapshots!.map((each) => [each["sequence-number"], each["snapshot-id"]])
        )
        const files = (table: Table.Table) =>
          Effect.map(Table.scan(table, { predicate: Predicate.eq("__partition", 2) }), (some) =>
            some
              .map((task) => ({ ...task.file, path: task.file.path.split("/").at(-1)! }))
              .sort((a, b) => (a.path < b.path ? -1 : 1))
          )
        assert.deepStrictEqual(yield* files(merged), yield* files(single))
        const oldest = manifests.find((manifest) => manifest.existingFiles > 0)!
        assert.strictEqual(oldest.minSequenceNumber, 1)
        assert.strictEqual(merged.metadata["metadata-log"]!.length, Metadata.metadataLogLimit)
        assert.strictEqual(snapshot.summary["total-data-files"], "130")
        // Old snapshots still read.
        assert.strictEqual(
          (yield* Table.scan(merged, { snapshotId: merged.metadata.snapshots![30]!["snapshot-id"] })).length,
          31
        )
      })
    )

    it.effect("finds the newest version whatever the hint says", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const hint = "hint/metadata/version-hint.text"
        yield* appendEach(yield* create("hint"), 0, 20)
        for (const content of ["21", "1", "9", "20\n", "0", "-3", "not a number", "", "1e3", "9".repeat(40)]) {
          yield* store.put(hint, text(content))
          assert.strictEqual((yield* FileCatalog.load({ prefix: "hint" })).version, 21, content)
        }
        yield* store.delete(hint)
        assert.strictEqual((yield* FileCatalog.load({ prefix: "hint" })).version, 21)
        yield* store.put(hint, text("22"))
        assert.strictEqual(yield* reason(FileCatalog.load({ prefix: "hint" })), "MissingFile")
        yield* store.put("only-hint/metadata/version-hint.text", text("2"))
        assert.strictEqual(yield* reason(FileCatalog.load({ prefix: "only-hint" })), "MissingFile")
      })
    )

    it.effect("names what is missing or corrupt", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const table = yield* appendEach(yield* create("broken"), 0, 3)
        const snapshot = Metadata.currentSnapshot(table.metadata)!
        const [manifest] = yield* Table.manifests(table, snapshot)
        const check = (path: string, kind: string, effect: Effect.Effect<unknown, IcebergError, ObjectStore>) =>
          Effect.gen(function* () {
            const key = path.startsWith("s3://bucket/") ? path.slice("s3://bucket/".length) : path
            const bytes = yield* store.get(key)
            yield* store.delete(key)
            const missing = yield* Effect.flip(effect)
            assert.deepStrictEqual([missing.reason._tag, missing.message.includes(path)], ["MissingFile", true], kind)
            assert.include(missing.message, "restore it from a backup")
            for (const content of [
              new Uint8Array(),
              text("garbage"),
              bytes.slice(0, -20),
              bytes.slice(0, bytes.length / 2)
            ]) {
              yield* store.put(key, content)
              const corrupt = yield* Effect.flip(effect)
              assert.deepStrictEqual([corrupt.reason._tag, corrupt.message.includes(path)], ["Corrupt", true], kind)
              assert.include(corrupt.message, "restore it from a backup")
            }
            const flipped = bytes.slice()
            flipped[bytes.length - 1]! ^= 255
            yield* store.put(key, flipped)
            assert.strictEqual(yield* reason(effect), "Corrupt")
            yield* store.put(key, bytes)
            yield* effect
          })
        yield* check(manifest!.path, "manifest", Table.scan(table))
        yield* check(snapshot["manifest-list"], "manifest list", Table.scan(table))
        yield* check("broken/metadata/v4.metadata.json", "metadata", FileCatalog.load({ prefix: "broken" }))
        // Cut between blocks, a manifest is a valid Avro file without its entries.
        const key = manifest!.path.slice("s3://bucket/".length)
        const whole = Buffer.from(yield* store.get(key))
        yield* store.put(key, whole.subarray(0, whole.indexOf(whole.subarray(-16)) + 16))
        assert.strictEqual(yield* reason(Table.scan(table)), "Corrupt")
        yield* store.put(key, whole)
        // A commit on a broken base fails as a scan does, and leaves nothing.
        const before = (yield* Stream.runCollect(store.list("broken/"))).length
        yield* store.delete(snapshot["manifest-list"].slice("s3://bucket/".length))
        assert.strictEqual(yield* reason(Commit.append(table, { files: [file(9)] })), "MissingFile")
        assert.strictEqual((yield* Stream.runCollect(store.list("broken/"))).length, before - 1)
      })
    )
  })
}

describe("Metadata", () => {
  const load = (json: string) =>
    Effect.gen(function* () {
      const store = yield* ObjectStore
      yield* store.put("t/metadata/v1.metadata.json", text(json))
      return yield* FileCatalog.load({ prefix: "t" })
    }).pipe(Effect.catchTag("ObjectStoreError", Effect.die))
  const base = (more: string) =>
    `{"format-version":2,"table-uuid":"u","location":"/t","last-sequence-number":0,"last-updated-ms":0,"last-column-id":1,` +
    `"current-schema-id":0,"schemas":[{"type":"struct","schema-id":0,"fields":[{"id":1,"name":"a","required":true,"type":"long","doc":"kept"}]}],` +
    `"default-spec-id":0,"partition-specs":[{"spec-id":0,"fields":[]}],"last-partition-id":999,"default-sort-order-id":0,"sort-orders":[{"order-id":0,"fields":[]}]${more}}`
  const it2 = it.effect

  it2("keeps unknown members, and other writers' snapshot ids exactly", () =>
    Effect.gen(function* () {
      const id = "9223372036854775807"
      const snapshot = `{"snapshot-id":${id},"sequence-number":0,"timestamp-ms":5,"manifest-list":"/t/metadata/l.avro","summary":{"operation":"append"},"x":1.5}`
      const table = yield* load(
        base(
          `,"current-snapshot-id":${id},"snapshots":[${snapshot}],"refs":{"main":{"snapshot-id":${id},"type":"branch","max-ref-age-ms":7}},"future":{"big":12345678901234567890}`
        )
      )
      assert.strictEqual(Metadata.currentId(table.metadata), 9223372036854775807n)
      const printed = new TextDecoder().decode(Metadata.print(table.metadata))
      assert.strictEqual(printed.split(id).length, 4)
      assert.include(printed, "12345678901234567890")
      assert.include(printed, "kept")
      assert.deepStrictEqual(Result.getOrThrow(Metadata.parse(Metadata.print(table.metadata), "x")), table.metadata)
      const next = Metadata.withSnapshot(
        table.metadata,
        { ...Metadata.currentSnapshot(table.metadata)!, "snapshot-id": 7, "parent-snapshot-id": 9223372036854775807n },
        {},
        "/t/metadata/v1.metadata.json"
      )
      const again = new TextDecoder().decode(Metadata.print(next))
      assert.include(again, `"parent-snapshot-id": ${id}`)
      assert.include(again, `"max-ref-age-ms": 7`)
    }).pipe(Effect.provide(MemoryObjectStore.layer))
  )

  it2("takes −1, null and absence as no snapshot, and appends to such a table", () =>
    Effect.gen(function* () {
      for (const none of [
        `,"current-snapshot-id":-1`,
        `,"current-snapshot-id":null,"snapshots":null,"refs":null,"properties":null`,
        ""
      ]) {
        const table = yield* load(base(none))
        assert.isUndefined(Metadata.currentSnapshot(table.metadata))
        const next = yield* Commit.append(table, { files: [{ ...file(0), partition: {} }] })
        assert.strictEqual((yield* Table.scan(next)).length, 1)
        assert.isFalse("parent-snapshot-id" in next.metadata.snapshots![0]!)
        const store = yield* ObjectStore
        yield* Stream.runForEach(store.list(""), ({ key }) => store.delete(key))
      }
    }).pipe(Effect.provide(MemoryObjectStore.layer))
  )

  it2("refuses other formats by name, and what can't be right", () =>
    Effect.gen(function* () {
      for (const version of [1, 3]) {
        const error = yield* Effect.flip(load(base("").replace(`"format-version":2`, `"format-version":${version}`)))
        assert.strictEqual(error.reason._tag, "UnsupportedFormat")
        assert.include(error.message, `format version ${version}`)
      }
      for (const json of [
        "",
        "{",
        "[]",
        "{}",
        base(`,"current-snapshot-id":5`),
        base("").replace(`"schema-id":0`, `"schema-id":1`),
        base("").replace(`"last-updated-ms":0`, `"last-updated-ms":"x"`)
      ])
        assert.strictEqual(yield* reason(load(json)), "Corrupt", json)
    }).pipe(Effect.provide(MemoryObjectStore.layer))
  )
})

describe("Schema", () => {
  it("assigns ids level by level and reads itself back", () => {
    const assigned = Result.getOrThrow(Schema.fromFields(fields))
    assert.deepStrictEqual(
      assigned.fields.map((field) => field.fieldId),
      [1, 2, 3, 4, 5, 6, 7]
    )
    const headers = assigned.fields[5]!.type
    assert.isTrue(headers.kind === "list" && headers.elementId === 8)
    assert.strictEqual(assigned.lastColumnId, 10)
    assert.deepStrictEqual(Result.getOrThrow(Schema.toFields(assigned.schema)), assigned.fields)
    const kept = Result.getOrThrow(Schema.fromFields([{ ...fields[0]!, fieldId: 2 }, fields[1]!, fields[2]!]))
    assert.deepStrictEqual(
      kept.fields.map((field) => field.fieldId),
      [2, 1, 3]
    )
    assert.isTrue(
      Result.isFailure(
        Schema.fromFields([
          { ...fields[0]!, fieldId: 2 },
          { ...fields[1]!, fieldId: 2 }
        ])
      )
    )
    const uuid = {
      type: "struct" as const,
      "schema-id": 0,
      fields: [{ id: 1, name: "u", required: true, type: "uuid" }]
    }
    const refused = Schema.toFields(uuid)
    assert.isTrue(Result.isFailure(refused) && refused.failure.message.includes(`"u"`))
  })
})
