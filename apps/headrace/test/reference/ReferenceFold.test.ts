import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { type Decoded, type Description, type SourceRecord, fold, stateHash } from "./ReferenceFold.ts"

interface Row {
  readonly id: string
  readonly category: string | null
  readonly cents: number | null
  readonly status: string
  readonly ts: number
}

const minute = 60_000

/** A decoder for these tests: "!reason" doesn't decode, anything else is a row as JSON. */
const decode = (text: string): Decoded<Row> =>
  text.startsWith("!") ? { ok: false, reason: text.slice(1) } : { ok: true, row: JSON.parse(text) as Row }

const description: Description<Row> = {
  decode,
  where: (row) => row.status === "completed",
  eventTime: (row) => row.ts,
  outOfOrderness: 5_000,
  eventTimeAfterFilter: false,
  keys: [["category", (row) => row.category]],
  windowSize: minute,
  aggregates: [{ name: "orders", kind: "count" }],
  lateColumns: ["category", "cents"]
}

/** The JSON of a row: completed, in "toys", of 100 cents, unless it says otherwise. */
const order = (ts: number, rest: Partial<Row> = {}): string =>
  JSON.stringify({ id: "", category: "toys", cents: 100, status: "completed", ts, ...rest })

/** A partition's records, with offsets from `first`. */
const partition = (values: ReadonlyArray<string | null>, first = 0): ReadonlyArray<SourceRecord> =>
  values.map((value, i) => ({ offset: first + i, timestamp: 0, key: null, value }))

describe("ReferenceFold", () => {
  it("counts a record of each fate once", () => {
    const result = fold(description, [
      partition(
        [
          order(10_000),
          null,
          "!not-json",
          order(70_000, { status: "pending" }),
          order(59_999),
          order(61_000, { category: null }),
          order(62_000)
        ],
        40
      )
    ])
    assert.deepStrictEqual(result, {
      rows: [
        ["toys", 0, 1],
        ["toys", minute, 1]
      ],
      late: [
        { partition: 0, offset: 44, eventTime: 59_999, windowStart: 0, columns: '{"category":"toys","cents":100}' }
      ],
      dead: [
        { partition: 0, offset: 42, reason: "not-json" },
        { partition: 0, offset: 45, reason: "null-key:category" }
      ],
      positions: [
        {
          partition: 0,
          next: 47,
          maxEventTime: 70_000,
          counts: { read: 7, applied: 2, filtered: 2, late: 1, deadLettered: 2 }
        }
      ]
    })
  })

  it("calls a record late from the millisecond on that its window's end - 1 is reached", () => {
    // The watermark is 5,000 ms behind: 64,999 reaches 59,999, the last millisecond of the first window.
    const fate = (before: number) => fold(description, [partition([order(before), order(0)])]).late.length
    assert.strictEqual(fate(64_998), 0)
    assert.strictEqual(fate(64_999), 1)
    // A record is never late by its own event time, and the first of a partition by none.
    const alone = { ...description, outOfOrderness: 0 }
    assert.strictEqual(fold(alone, [partition([order(59_999)])]).late.length, 0)
    assert.strictEqual(fold(alone, [partition([order(59_999), order(59_999)])]).late.length, 1)
  })

  it("aligns windows to the epoch, before 1970 too", () => {
    const result = fold(description, [partition([order(-1), order(-minute), order(0)])])
    assert.deepStrictEqual(result.rows, [
      ["toys", -minute, 2],
      ["toys", 0, 1]
    ])
  })

  it("moves the watermark with the records that got as far as the event time's declaration", () => {
    const records = [partition([order(200_000, { status: "pending" }), order(0)])]
    const first = fold(description, records)
    assert.strictEqual(first.late.length, 1)
    assert.strictEqual(first.positions[0]!.maxEventTime, 200_000)
    const after = fold({ ...description, eventTimeAfterFilter: true }, records)
    assert.strictEqual(after.late.length, 0)
    assert.strictEqual(after.positions[0]!.maxEventTime, 0)
  })

  it("moves no watermark by tombstones and poison, but by records whose key is null", () => {
    assert.strictEqual(fold(description, [partition([null, "!wrong-type:ts", order(0)])]).positions[0]!.maxEventTime, 0)
    const nullKey = fold(description, [partition([order(200_000, { category: null }), order(0)])])
    assert.strictEqual(nullKey.late.length, 1)
    assert.strictEqual(nullKey.dead.length, 1)
  })

  it("filters before it judges lateness, and judges lateness before keys", () => {
    const { dead, late, positions } = fold(description, [
      partition([order(200_000), order(0, { status: "pending" }), order(0, { category: null })])
    ])
    assert.deepStrictEqual(
      late.map((l) => [l.offset, l.columns]),
      [[2, '{"category":null,"cents":100}']]
    )
    assert.deepStrictEqual(dead, [])
    assert.strictEqual(positions[0]!.counts.filtered, 1)
  })

  it("judges each partition by itself and merges what they applied", () => {
    const together = fold(description, [partition([order(200_000), order(0)])])
    assert.strictEqual(together.late.length, 1)
    const apart = fold(description, [partition([order(200_000)]), partition([]), partition([order(0), order(200_001)])])
    assert.deepStrictEqual(apart.late, [])
    assert.deepStrictEqual(apart.rows, [
      ["toys", 0, 1],
      ["toys", 180_000, 2]
    ])
    assert.deepStrictEqual(
      apart.positions.map((p) => [p.partition, p.next, p.maxEventTime]),
      [
        [0, 1, 200_000],
        [1, 0, Number.NEGATIVE_INFINITY],
        [2, 2, 200_001]
      ]
    )
  })

  it("has no late records without windows, and keeps watermarks all the same", () => {
    const result = fold({ ...description, windowSize: undefined }, [partition([order(200_000), order(0)])])
    assert.deepStrictEqual(result.rows, [["toys", 2]])
    assert.strictEqual(result.positions[0]!.maxEventTime, 200_000)
    assert.strictEqual(result.positions[0]!.counts.late, 0)
  })

  it("aggregates as SQL does: nulls are skipped, nothing gives null", () => {
    const all: Description<Row> = {
      ...description,
      where: undefined,
      windowSize: undefined,
      aggregates: [
        { name: "n", kind: "count" },
        { name: "sum", kind: "sum", value: (row) => row.cents },
        { name: "min", kind: "min", value: (row) => row.cents },
        { name: "max", kind: "max", value: (row) => row.cents },
        { name: "avg", kind: "avg", value: (row) => row.cents },
        { name: "distinct", kind: "countDistinct", value: (row) => row.cents },
        { name: "first", kind: "min", value: (row) => row.id },
        { name: "last", kind: "max", value: (row) => row.id }
      ]
    }
    const result = fold(all, [
      partition([
        order(0, { cents: 9, id: "b" }),
        order(0, { cents: null, id: "a" }),
        order(0, { category: "books", cents: null, id: "z" })
      ]),
      partition([order(0, { cents: -10, id: "😀" }), order(0, { cents: 10, id: "～" }), order(0, { cents: 9, id: "" })])
    ])
    assert.deepStrictEqual(result.rows, [
      ["books", 1, null, null, null, null, 0, 0, "z", "z"],
      ["toys", 5, 18, -10, 10, 18, 4, 3, "", "😀"]
    ])
  })

  it("sums exactly beyond the safe integers", () => {
    const sums: Description<Row> = {
      ...description,
      windowSize: undefined,
      aggregates: [{ name: "sum", kind: "sum", value: (row) => row.cents }]
    }
    const total = (cents: ReadonlyArray<number>) =>
      fold(sums, [partition(cents.map((c) => order(0, { cents: c })))]).rows[0]![1]
    const most = Number.MAX_SAFE_INTEGER
    assert.strictEqual(total([most]), most)
    assert.strictEqual(total([most, 1]), 2n ** 53n)
    assert.strictEqual(total([most, 2, most]), 2n ** 54n)
    assert.strictEqual(total([most, most, -most, -most]), 0)
    assert.strictEqual(total([-most, -2]), -(2n ** 53n) - 1n)
    assert.throws(() => total([0.5]), TypeError)
  })

  it('orders rows by keys, text by code point, then by window, and tells 1 from "1"', () => {
    const keyed: Description<Row> = {
      ...description,
      outOfOrderness: 1e9,
      keys: [
        ["cents", (row) => row.cents],
        ["category", (row) => row.category]
      ]
    }
    const { rows } = fold(keyed, [
      partition([
        order(minute, { cents: 10, category: "a" }),
        order(0, { cents: 10, category: "a" }),
        order(0, { cents: 9, category: "😀" }),
        order(0, { cents: 9, category: "～" }),
        order(0, { cents: 9, category: "9" }),
        order(0, { cents: 9, category: "Z" })
      ])
    ])
    assert.deepStrictEqual(rows, [
      [9, "9", 0, 1],
      [9, "Z", 0, 1],
      [9, "～", 0, 1],
      [9, "😀", 0, 1],
      [10, "a", 0, 1],
      [10, "a", minute, 1]
    ])
  })

  it("hashes to the sum of its rows' SHA-256 modulo 2^256", () => {
    const result = fold({ ...description, aggregates: [{ name: "avg", kind: "avg", value: (row) => row.cents }] }, [
      partition([order(0), order(200_000, { cents: null }), order(1), "!missing-field:ts"]),
      partition([])
    ])
    const texts = [
      "s8:position;i0;i4;i200000;i4;i2;i0;i1;i1;",
      "s8:position;i1;i0;n;i0;i0;i0;i0;i0;",
      "s3:row;s4:toys;i0;i100;i1;",
      "s3:row;s4:toys;i180000;n;i0;",
      's4:late;i0;i2;i1;i0;s31:{"category":"toys","cents":100};',
      "s4:dead;i0;i3;s16:missing-field:ts;"
    ]
    const expected = texts
      .map((text) => BigInt(`0x${createHash("sha256").update(text).digest("hex")}`))
      .reduce((a, b) => (a + b) % 2n ** 256n)
    assert.strictEqual(stateHash(result), expected.toString(16).padStart(64, "0"))
    assert.notStrictEqual(stateHash(result), stateHash({ ...result, rows: result.rows.slice(1) }))
  })
})
