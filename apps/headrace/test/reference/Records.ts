/**
 * Random topics for the determinism suite: everything that may stand in a log of orders, from a seed.
 *
 * The generator knows what it makes: {@link Topic.decode} says of each value which row it is or for what reason it is none, without
 * decoding anything. So a fault of the codec shows as a difference from the reference fold instead of being in both.
 *
 * The topic's schema, in this order: `order_id`, `user_id`, `category` text; `region` text (or null, with `nullRegions`); `total` a decimal
 * of scale 2; `status` text; `ts` an instant. A value has one flaw at most.
 */
import type { Decoded, SourceRecord } from "./ReferenceFold.ts"

/** A decoded value; a decimal is its scaled integer. (A type, so that its keys are known columns.) */
export type OrderRow = {
  readonly order_id: string
  readonly user_id: string
  readonly category: string
  readonly region: string | null
  readonly total: number
  readonly status: string
  readonly ts: number
}

export interface Options {
  /** Whether the schema lets `region` be null. If not, a null there is poison. Default false. */
  readonly nullRegions?: boolean | undefined
  /** Most records a partition. Default 400. */
  readonly maxRecords?: number | undefined
}

export interface Contents {
  /** With windows of 1 minute and 5 s out-of-orderness, declared before any filter, some record is late in its partition. */
  readonly hasLate: boolean
  /** Two rows of a partition have the same event time. */
  readonly hasTies: boolean
  readonly hasPoison: boolean
  readonly hasTombstone: boolean
  /** A record's key is null. */
  readonly hasNullKey: boolean
  /** A row's region is null. */
  readonly hasNullRegion: boolean
  /** Some partition has no records. */
  readonly emptyPartition: boolean
}

export interface Topic {
  readonly seed: number
  /** By partition, in offset order; offsets are 0, 1, 2 … */
  readonly partitions: ReadonlyArray<ReadonlyArray<SourceRecord>>
  /** What a value of this topic is; throws for any other text. */
  readonly decode: (valueText: string) => Decoded<OrderRow>
  readonly contents: Contents
}

/** A random number generator; the same seed gives the same numbers on every runtime. */
export interface Random {
  /** 32 random bits. */
  readonly bits: () => number
  /** An integer in `[0, n)`, `n` up to 2^21. */
  readonly below: (n: number) => number
  /** An integer in `[from, to]`. */
  readonly between: (from: number, to: number) => number
  /** True with the given probability. */
  readonly chance: (probability: number) => boolean
  readonly pick: <A>(items: ReadonlyArray<A>) => A
}

export const random = (seed: number): Random => {
  let state = seed | 0
  /** splitmix32. */
  const bits = (): number => {
    state = (state + 0x9e3779b9) | 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
  const below = (n: number): number => Math.floor((bits() * n) / 2 ** 32)
  return {
    bits,
    below,
    between: (from, to) => from + below(to - from + 1),
    chance: (probability) => bits() < probability * 2 ** 32,
    pick: (items) => {
      const item = items[below(items.length)]
      if (item === undefined) throw new RangeError("nothing to pick from")
      return item
    }
  }
}

/** Texts that are easily mixed up, cut, or put in another order. All are well-formed Unicode without U+0000. */
const texts = [
  "books",
  "Books",
  "books ",
  "",
  "9",
  "10",
  "null",
  "książki",
  "кни́ги",
  "電子",
  "é",
  "e\u0301",
  "～",
  "\ufb01",
  "😀",
  "😁",
  "👩‍👩‍👧",
  "\u202eabc",
  "\ufeff",
  "\u2028",
  'say "hi"',
  "back\\slash",
  "a,b",
  "tab\tnewline\n",
  "it's; drop",
  "\u0001"
]

const columns = ["order_id", "user_id", "category", "region", "total", "status", "ts"] as const
type ColumnName = (typeof columns)[number]

/** The JSON of a row's fields, or `undefined` where a field is missing. */
type Fields = Readonly<Record<ColumnName, string | undefined>>

const objectOf = (fields: Fields, more = ""): string => {
  const members = columns.filter((name) => fields[name] !== undefined).map((name) => `"${name}":${fields[name]}`)
  return `{${members.join(",")}${more}}`
}

/** A scaled decimal as JSON, in one of the ways in which it may be written. */
const decimalText = (scaled: number, r: Random): string => {
  const sign = scaled < 0 ? "-" : ""
  const digits = String(Math.abs(scaled)).padStart(3, "0")
  const plain = `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`
  if (r.chance(0.9)) return plain
  return r.pick([
    `${plain}000`,
    // 17 digits or more, but no more places than two that count.
    `${plain}000000000000000`,
    `"${plain}"`,
    `${scaled}e-2`,
    plain.replace(/\.?0+$/, "")
  ])
}

/** An instant as JSON: nearly always a number, else an ISO text. */
const instantText = (t: number, r: Random): string =>
  r.chance(0.97) ? String(t) : JSON.stringify(new Date(t).toISOString())

const notJson = [
  "",
  " ",
  "{",
  '{"order_id":"x"',
  "{'order_id':'x'}",
  "not json",
  "NaN",
  "\ufeff{}",
  "{} {}",
  "undefined",
  "01"
]
const notObject = ["[]", "null", "true", "0", "-1.5e3", '"text"', '[{"order_id":"x"}]']

/** A value with one flaw, and the reason for which it doesn't decode. */
const poison = (
  fields: Fields,
  nullRegions: boolean,
  r: Random
): { readonly text: string; readonly reason: string } => {
  const flaw = (name: ColumnName, code: string, value: string | undefined) => ({
    text: objectOf({ ...fields, [name]: value }),
    reason: `${code}:${name}`
  })
  const textColumn = () => r.pick(["order_id", "user_id", "category", "region", "status"] as const)
  switch (r.below(10)) {
    case 0:
      return { text: r.pick(notJson), reason: "not-json" }
    case 1:
      return { text: r.pick(notObject), reason: "not-json" }
    case 2:
      return flaw(r.pick(columns.filter((name) => !(nullRegions && name === "region"))), "missing-field", undefined)
    case 3:
      return flaw(textColumn(), "wrong-type", r.pick(["1", "true", "[]", '{"a":"b"}', "12.5"]))
    case 4:
      return flaw(r.pick(columns.filter((name) => !(nullRegions && name === "region"))), "wrong-type", "null")
    case 5:
      return flaw("total", "wrong-type", r.pick(["false", "[1]", "{}", '""', '"12,50"', '"twelve"', '"1.2.3"']))
    case 6:
      return flaw("ts", "wrong-type", r.pick(["true", "[]", '"yesterday"', '""', '"25.03.2026"']))
    case 7:
      // Before the year 1, after 9999, not whole milliseconds, or no instant that a double could hold.
      return flaw(
        "ts",
        "out-of-range",
        r.pick(["-62135596800001", "253402300800000", "1774396800000.5", "9007199254740993", "1e20", "-1e400"])
      )
    case 8:
      // Integers from 2^53 on; the last one is safe itself, but not with its two places.
      return flaw(
        "total",
        "out-of-range",
        r.pick(["9007199254740992", "9007199254740993", "-18014398509481985", "1e30", "1e400", "90071992547409.92"])
      )
    default:
      // A third place that counts, or 17 digits and more.
      return flaw(
        "total",
        "out-of-range",
        r.pick([
          "0.001",
          "12.345",
          "-7.125",
          '"12.345"',
          "123456789012345.67",
          "0.12345678901234567",
          "1.0000000000000001"
        ])
      )
  }
}

/** Where event times begin: mostly on a day of 2026, sometimes so that they go from before 1970 to after it. */
const beginnings = [1_774_396_800_000, 1_774_396_800_000, 1_774_396_800_000, -90_000] as const

/** A random topic of 1 to 5 partitions. */
export const topic = (seed: number, options: Options = {}): Topic => {
  const nullRegions = options.nullRegions ?? false
  const maxRecords = options.maxRecords ?? 400
  const r = random(seed)
  const known = new Map<string, Decoded<OrderRow>>()

  // How wild this topic is, so that there are calm ones too.
  const categories = Array.from({ length: r.between(1, 6) }, () => r.pick(texts))
  const shareOf = (most: number): number => (r.chance(0.25) ? 0 : (r.below(1000) / 1000) * most)
  const poisonShare = shareOf(0.15)
  const tombstoneShare = shareOf(0.1)
  const nullKeyShare = shareOf(0.2)
  const nullRegionShare = nullRegions ? shareOf(0.1) : 0
  const tieShare = shareOf(0.3)
  const outOfOrderShare = shareOf(0.3)
  const lateShare = shareOf(0.1)
  const beginning = r.pick(beginnings)
  const step = r.pick([1, 100, 2_000, 20_000])
  /** Event times on a window's edge and around it. */
  const edgeShare = shareOf(0.1)

  let orders = 0
  const eventTime = (now: number): number => {
    if (r.chance(lateShare)) return now - r.between(30_000, 300_000)
    if (r.chance(outOfOrderShare)) return now - r.between(1, 6_000)
    if (r.chance(edgeShare)) return Math.floor(now / 60_000) * 60_000 + r.pick([-1, 0, 1, 4_998, 4_999, 5_000])
    return now
  }
  const total = (): number => {
    if (r.chance(0.004)) return r.pick([9007199254740991, -9007199254740991, 1234567890123456, 999999999999999])
    if (r.chance(0.05)) return r.pick([0, 1, -1, 100, 10])
    return r.between(r.chance(0.1) ? -50_000 : 100, 50_000)
  }

  const partitions = Array.from({ length: r.between(1, 5) }, (): ReadonlyArray<SourceRecord> => {
    const records: Array<SourceRecord> = []
    const count = r.chance(0.15) ? 0 : r.between(r.chance(0.2) ? 0 : 1, maxRecords)
    let now = beginning + r.below(60_000)
    let last = now
    for (let offset = 0; offset < count; offset++) {
      now += r.below(step * 2)
      const ts = r.chance(tieShare) ? last : eventTime(now)
      last = ts
      const id = `ord-${String(orders++).padStart(6, "0")}`
      const key = r.chance(nullKeyShare) ? null : id
      if (r.chance(tombstoneShare)) {
        records.push({ offset, timestamp: ts, key, value: null })
        continue
      }
      const row: OrderRow = {
        order_id: id,
        user_id: r.chance(0.1) ? r.pick(texts) : `user-${r.below(20)}`,
        category: r.pick(categories),
        region: r.chance(nullRegionShare) ? null : r.pick(["us-east", "eu-west", "ap-south", "～", "😀"]),
        total: total(),
        status: r.pick(["completed", "completed", "completed", "cancelled", "pending"]),
        ts
      }
      const fields: Fields = {
        order_id: JSON.stringify(row.order_id),
        user_id: JSON.stringify(row.user_id),
        category: JSON.stringify(row.category),
        // A nullable field may be absent instead of null.
        region: row.region === null && r.chance(0.5) ? undefined : JSON.stringify(row.region),
        total: decimalText(row.total, r),
        status: JSON.stringify(row.status),
        ts: instantText(row.ts, r)
      }
      if (r.chance(poisonShare)) {
        const { text, reason } = poison(fields, nullRegions, r)
        known.set(text, { ok: false, reason })
        records.push({ offset, timestamp: ts, key, value: text })
      } else {
        // Fields that the schema doesn't have are ignored, whatever is in them.
        const more = r.chance(0.05) ? r.pick([',"note":null', ',"extra":{"total":1.2345678901234567,"ts":true}']) : ""
        const text = objectOf(fields, more)
        known.set(text, { ok: true, row })
        records.push({ offset, timestamp: ts, key, value: text })
      }
    }
    return records
  })

  const decode = (text: string): Decoded<OrderRow> => {
    const decoded = known.get(text)
    if (decoded === undefined) throw new RangeError(`topic ${seed} has no value ${JSON.stringify(text)}`)
    return decoded
  }
  return { seed, partitions, decode, contents: contentsOf(partitions, decode) }
}

const contentsOf = (
  partitions: ReadonlyArray<ReadonlyArray<SourceRecord>>,
  decode: (valueText: string) => Decoded<OrderRow>
): Contents => {
  const records = partitions.flat()
  const values = partitions.map((p) => p.flatMap(({ value }) => (value === null ? [] : [decode(value)])))
  const rows = values.map((p) => p.flatMap((decoded) => (decoded.ok ? [decoded.row] : [])))
  const lateIn = (p: ReadonlyArray<OrderRow>): boolean => {
    let largest = Number.NEGATIVE_INFINITY
    for (const { ts } of p) {
      if (largest - 5_000 >= Math.floor(ts / 60_000) * 60_000 + 59_999) return true
      largest = Math.max(largest, ts)
    }
    return false
  }
  return {
    hasLate: rows.some(lateIn),
    hasTies: rows.some((p) => new Set(p.map((row) => row.ts)).size < p.length),
    hasPoison: values.flat().some((decoded) => !decoded.ok),
    hasTombstone: records.some((record) => record.value === null),
    hasNullKey: records.some((record) => record.key === null),
    hasNullRegion: rows.flat().some((row) => row.region === null),
    emptyPartition: partitions.some((p) => p.length === 0)
  }
}
