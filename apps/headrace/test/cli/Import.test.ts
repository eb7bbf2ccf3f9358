/** Files become records: exact values, keys and partitions as Kafka's clients have them, bad lines named. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { partitionOf } from "@headrace/core/Partitioner"
import * as ColumnWriter from "@headrace/parquet/ColumnWriter"
import { Effect } from "effect"
import * as H from "./Harness.ts"

interface Read {
  readonly partition: number
  readonly offset: number
  readonly timestamp: string
  readonly key: string | null
  readonly value: string
}

const project = Effect.gen(function* () {
  const data = yield* H.dataFolder
  return { data, folder: yield* H.revenueProject(data, 1) }
})

/** Imports a file and gives what is in the topic then. */
const imported = (folder: string, file: string, topic: string, ...flags: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const outcome = yield* H.cli(folder, "log", "import", file, "--topic", topic, ...flags)
    assert.strictEqual(outcome.code, 0, outcome.err)
    const { out } = yield* H.cli(folder, "log", "read", topic, "--limit", "100000")
    return out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Read)
  })

it.live("NDJSON is taken byte for byte, and goes where its key says", () =>
  Effect.gen(function* () {
    const { data, folder } = yield* project
    const file = join(data, "a.ndjson")
    const texts = Array.from(
      { length: 5_000 },
      (_, i) => `{ "k": "käse ${i % 7}", "n": 12345678901234567890.10, "t": "2024-01-0${1 + (i % 9)}T00:00:00Z" }`
    )
    writeFileSync(file, `\uFEFF${texts.join("\r\n")}\r\n\r\n`)
    const records = yield* imported(folder, file, "t", "--key", "k", "--timestamp", "t", "--partitions", "3")
    assert.strictEqual(records.length, 5_000)
    assert.deepStrictEqual(records.map((r) => r.value).toSorted(), texts.toSorted())
    for (const r of records) {
      assert.strictEqual(r.partition, partitionOf(new TextEncoder().encode(r.key!), 3))
      assert.strictEqual(Date.parse(r.timestamp), Date.parse((JSON.parse(r.value) as { readonly t: string }).t))
    }
    // Within a key the file's order stays.
    const inFile = texts.filter((t) => t.includes("käse 3"))
    assert.deepStrictEqual(
      records.filter((r) => r.key === "käse 3").map((r) => r.value),
      inFile
    )
    const plain = yield* imported(folder, file, "u", "--partitions", "2")
    assert.deepStrictEqual(
      [0, 1].map((p) => plain.filter((r) => r.partition === p && r.key === null).length),
      [2_500, 2_500]
    )
  }).pipe(Effect.scoped)
)

it.live("CSV cells become what the view declares, else what they look like", () =>
  Effect.gen(function* () {
    const { data, folder } = yield* project
    const file = join(data, "orders.csv")
    writeFileSync(
      file,
      `id,category,total,status,user,ts\n7,"a, ""b""",12.30,completed,,2024-01-01T00:00:00Z\n008,true,99999999999999.25,pending,"two\nlines",1700000000000\n`
    )
    const declared = yield* imported(folder, file, "orders", "--key", "id", "--partitions", "1")
    assert.deepStrictEqual(
      declared.map((r) => [r.key, r.value]),
      [
        [
          "7",
          `{"id":"7","category":"a, \\"b\\"","total":12.30,"status":"completed","user":"","ts":"2024-01-01T00:00:00Z"}`
        ],
        [
          "008",
          `{"id":"008","category":"true","total":99999999999999.25,"status":"pending","user":"two\\nlines","ts":1700000000000}`
        ]
      ]
    )
    const guessed = yield* imported(folder, file, "other", "--partitions", "1")
    assert.strictEqual(
      guessed[0]!.value,
      `{"id":7,"category":"a, \\"b\\"","total":12.30,"status":"completed","user":null,"ts":"2024-01-01T00:00:00Z"}`
    )
    assert.include(guessed[1]!.value, `"id":"008","category":true`)
    assert.strictEqual((yield* H.cli(folder, "run")).code, 0)
  }).pipe(Effect.scoped)
)

it.live("Parquet rows become JSON with exact decimals, row group by row group", () =>
  Effect.gen(function* () {
    const { data, folder } = yield* project
    const file = join(data, "rows.parquet")
    const chunks: Array<Uint8Array> = []
    const writer = yield* ColumnWriter.make({
      schema: [
        { name: "id", type: { kind: "long" }, required: true },
        { name: "price", type: { kind: "decimal", precision: 18, scale: 2 }, required: false },
        { name: "at", type: { kind: "timestamptz" }, required: true },
        { name: "day", type: { kind: "date" }, required: true },
        { name: "name", type: { kind: "string" }, required: false },
        { name: "x", type: { kind: "double" }, required: true }
      ],
      sink: (chunk) => void chunks.push(chunk)
    })
    const group = (base: number, x = 0.1) => ({
      id: Float64Array.of(base, base + 1),
      price: [1234567890123456, null],
      at: Float64Array.of(1_700_000_000_000, 1_700_000_000_001),
      day: Float64Array.of(0, 19_723),
      name: ["é", null],
      x: Float64Array.of(x, 2)
    })
    yield* writer.writeRowGroup(group(1), 2)
    yield* writer.writeRowGroup(group(3), 2)
    yield* writer.finish()
    writeFileSync(file, Buffer.concat(chunks))
    const records = yield* imported(folder, file, "rows", "--key", "name", "--timestamp", "at", "--partitions", "1")
    assert.deepStrictEqual(
      records.map((r) => r.value),
      [1, 3].flatMap((id) => [
        `{"id":${id},"price":12345678901234.56,"at":1700000000000,"day":"1970-01-01","name":"é","x":0.1}`,
        `{"id":${id + 1},"price":null,"at":1700000000001,"day":"2024-01-01","name":null,"x":2}`
      ])
    )
    assert.deepStrictEqual(
      records.map((r) => r.key),
      ["é", null, "é", null]
    )
    const none = yield* H.cli(folder, "log", "import", file, "--topic", "rows", "--key", "nme")
    assert.strictEqual(none.code, 1)
    assert.include(none.err, "it has id, price, at, day, name, x")
    writeFileSync(file, Buffer.concat(chunks).subarray(0, 200))
    const cut = yield* H.cli(folder, "log", "import", file, "--topic", "rows")
    assert.deepStrictEqual([cut.code, cut.err.includes("rows.parquet")], [1, true])
  }).pipe(Effect.scoped)
)

it.live("a bad line stops the import with its number, and the records before its batch are there", () =>
  Effect.gen(function* () {
    const { data, folder } = yield* project
    const good = Array.from({ length: 10_000 }, (_, i) => `{"k":"${i}"}`)
    const cases: ReadonlyArray<readonly [string, string, string]> = [
      ["ndjson", `${good.join("\n")}\n{"k":`, "line 10001: it isn't JSON"],
      ["ndjson", `${good.join("\n")}\n[1]\n`, "line 10001: it isn't a JSON object"],
      ["ndjson", `${good.join("\n")}\n{"j":1}\n`, `line 10001: it has no "k"`],
      ["ndjson", `${good.join("\n")}\n{"k":9007199254740993}\n`, `line 10001: its "k" can't be a key`],
      ["csv", `k,l\n${good.map((_, i) => `${i},1`).join("\n")}\n1,2,3\n`, "line 10002: Invalid Record Length"],
      ["csv", `l,m\n1,2\n`, `line 1: there is no column "k"; there are l, m`]
    ]
    for (const [i, [format, text, message]] of cases.entries()) {
      const file = join(data, `bad${i}.${format}`)
      writeFileSync(file, text)
      const outcome = yield* H.cli(folder, "log", "import", file, "--topic", `bad${i}`, "--key", "k", "--json")
      assert.strictEqual(outcome.code, 1)
      const { error } = outcome.json<{ readonly error: { readonly tag: string; readonly message: string } }>()
      assert.strictEqual(error.tag, "BadLine")
      assert.include(error.message, `"${file}" ${message}`)
      const appended = Number(/The (\d+) records/.exec(error.message)?.[1] ?? 0)
      const { topics } = (yield* H.cli(folder, "log", "topics", "--json")).json<{
        readonly topics: ReadonlyArray<{
          readonly name: string
          readonly partitions: ReadonlyArray<{ readonly end: number }>
        }>
      }>()
      const topic = topics.find((t) => t.name === `bad${i}`)
      assert.strictEqual(
        (topic?.partitions ?? []).reduce((n, p) => n + p.end, 0),
        appended
      )
      assert.strictEqual(appended, i === 5 ? 0 : 8_192)
    }
    const binary = join(data, "b.ndjson")
    writeFileSync(binary, Buffer.of(123, 34, 255, 34, 125, 10))
    assert.include(
      (yield* H.cli(folder, "log", "import", binary, "--topic", "b")).err,
      "line 1: it isn't UTF-8. Nothing was appended"
    )
    assert.include((yield* H.cli(folder, "log", "import", join(data, "b.txt"), "--topic", "b")).err, "--format")
    assert.include((yield* H.cli(folder, "log", "import", join(data, "no.csv"), "--topic", "b")).err, "ENOENT")
    assert.include(
      (yield* H.cli(folder, "log", "import", join(data, "bad0.ndjson"), "--topic", "bad1", "--partitions", "9")).err,
      "has 4 partitions, not 9"
    )
  }).pipe(Effect.scoped)
)
