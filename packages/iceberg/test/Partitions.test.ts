/** Tables partitioned by every transform: no file that a predicate needs is left out, and others are. */
import { assert, describe, it } from "@effect/vitest"
import { type ColumnType, Commit, FileCatalog, PartitionSpec, Predicate, Scan, Table } from "@headrace/iceberg"
import { MemoryObjectStore } from "@headrace/s3"
import { Effect } from "effect"

const hour = 3_600_000
const instants = Array.from({ length: 12 }, (_, i) => Date.UTC(1969, 10 + i * 3, 28 + i, 22 + i) + i)
const days = instants.map((at) => Math.floor(at / (24 * hour)))
const numbers = [-101, -100, -11, -10, -1, 0, 1, 9, 10, 99, 100, 12_345]
const texts = ["", "a", "ab", "abc", "abcd", "abd", "b", "é", "éé", "éééé", "😀😀😀😀", "zz"]

type By = PartitionSpec.PartitionBy["transform"]
const cases: ReadonlyArray<readonly [By, ColumnType, ReadonlyArray<number | string>, prunes: boolean]> = [
  ...(["identity", "year", "month", "day", "hour"] as const).map(
    (transform) => [transform, { kind: "timestamptz" }, instants, true] as const
  ),
  ...(["year", "month", "day"] as const).map((transform) => [transform, { kind: "date" }, days, true] as const),
  ["truncate[10]", { kind: "long" }, numbers, true],
  ["truncate[3]", { kind: "string" }, texts, true],
  ["bucket[4]", { kind: "string" }, texts, false],
  ["bucket[4]", { kind: "timestamptz" }, instants, false]
]

describe("Partitions", () => {
  for (const [transform, type, values, prunes] of cases) {
    it.effect(`${transform} of a ${type.kind}`, () =>
      Effect.gen(function* () {
        let table = yield* FileCatalog.create({
          prefix: "t",
          location: "s3://bucket/t",
          fields: [{ name: "c", type, required: false }],
          partitionBy: [{ column: "c", transform }]
        })
        const [field] = [...Scan.layout(table.metadata).specs.values()][0]!.fields
        const summary = { fileSize: 10, rowCount: 1, splitOffsets: [4], columns: [] }
        const files = [...values, null].map((value, i) => ({
          key: `data/${i}.parquet`,
          partition: { [field!.name]: PartitionSpec.apply(field!, type, value) },
          summary
        }))
        for (const file of files) table = yield* Commit.append(table, { files: [file] })
        table = yield* FileCatalog.load(table)
        let left = 0
        for (const value of values) {
          for (const compare of [Predicate.eq, Predicate.gte, Predicate.lt]) {
            const found = new Set(
              (yield* Table.scan(table, { predicate: compare("c", value) })).map((task) => task.file.path)
            )
            values.forEach((other, i) => {
              const order = other === value ? 0 : other < value ? -1 : 1
              const matches = compare === Predicate.eq ? order === 0 : compare === Predicate.lt ? order < 0 : order >= 0
              const has = found.has(`s3://bucket/t/data/${i}.parquet`)
              assert.isTrue(has || !matches, `${transform}: ${other} for ${compare.name} ${value}`)
              left += has ? 0 : 1
            })
          }
        }
        assert.strictEqual(left > values.length, prunes)
      }).pipe(Effect.provide(MemoryObjectStore.layer))
    )
  }
})
