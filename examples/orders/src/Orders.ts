/**
 * The orders of the golden results: a day of them, made from a seed, the same bytes on every runtime.
 *
 * Order `i` of `rows` is placed at `i / rows` of the day; its `ts` is that, except that 2 % are up to 4 s earlier (out of order) and 0.1 %
 * are 30 s to 5 min earlier (late), but never before the day. Money is whole cents, so nothing here depends on floating-point fractions.
 *
 * One {@link Order} object is filled again for each order: copy what you keep.
 */
import { writeFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The seed of the golden results. */
export const goldenSeed = 20260325

/** Midnight before the first order, 2026-03-25 UTC, in epoch milliseconds. */
export const dayStart = Date.UTC(2026, 2, 25)

const dayLength = 86_400_000

export const categories = [
  "books",
  "electronics",
  "toys",
  "garden",
  "grocery",
  "fashion",
  "shoes",
  "beauty",
  "sports",
  "outdoor",
  "music",
  "movies",
  "games",
  "office",
  "pets",
  "baby",
  "health",
  "automotive",
  "jewelry",
  "furniture"
] as const

export const regions = [
  "us-east",
  "us-west",
  "eu-north",
  "eu-west",
  "eu-south",
  "ap-south",
  "ap-east",
  "sa-east"
] as const

export type Status = "completed" | "cancelled" | "pending"

export interface Order {
  /** Position in arrival order, from 0. */
  readonly index: number
  /** The user's number; {@link userId} is its text. */
  readonly user: number
  readonly category: (typeof categories)[number]
  readonly region: (typeof regions)[number]
  /** The total in cents. */
  readonly cents: number
  readonly status: Status
  /** Event time in epoch milliseconds. */
  readonly ts: number
}

export interface Options {
  readonly rows: number
  /** An unsigned 32-bit number. Default {@link goldenSeed}. */
  readonly seed?: number | undefined
}

const users = 50_000

/** Shares of the 32-bit random numbers: a number below the bound is drawn with the given probability. */
const below = (probability: number): number => probability * 2 ** 32
const isLate = below(0.001)
const isOutOfOrder = below(0.021)
const isCompleted = below(0.8)
const isCancelled = below(0.9)

/** Walks over the orders: {@link next} fills {@link order} with the next one, or says that there is none. */
export class Cursor {
  readonly order: Order
  readonly #fill: { -readonly [K in keyof Order]: Order[K] }
  readonly #rows: number
  #state: number
  #next = 0

  constructor(options: Options) {
    const seed = options.seed ?? goldenSeed
    if (!Number.isSafeInteger(options.rows) || options.rows < 0)
      throw new RangeError(`expected a number of rows from 0, got ${options.rows}`)
    if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32)
      throw new RangeError(`expected a seed from 0 to 2^32 - 1, got ${seed}`)
    this.#rows = options.rows
    this.#state = seed | 0
    this.#fill = { index: -1, user: 0, category: "books", region: "us-east", cents: 0, status: "pending", ts: 0 }
    this.order = this.#fill
  }

  next(): boolean {
    const index = this.#next
    if (index === this.#rows) return false
    this.#next = index + 1
    // All draws are made for every order, in this sequence: it is what makes the bytes.
    const punctuality = this.#draw()
    const little = 1 + this.#upTo(4_000)
    const much = 30_000 + this.#upTo(270_001)
    const outcome = this.#draw()
    const category = this.#upTo(categories.length)
    const region = this.#upTo(regions.length)
    const user = this.#upTo(users)
    const cents = 100 + this.#upTo(50_000)

    const delay = punctuality < isLate ? much : punctuality < isOutOfOrder ? little : 0
    const fill = this.#fill
    fill.index = index
    fill.user = user
    fill.category = categories[category]!
    fill.region = regions[region]!
    fill.cents = cents
    fill.status = outcome < isCompleted ? "completed" : outcome < isCancelled ? "cancelled" : "pending"
    fill.ts = dayStart + Math.max(0, Math.floor((index * dayLength) / this.#rows) - delay)
    return true
  }

  /** The next random number below `n`; exact, since the product has at most 51 bits. */
  #upTo(n: number): number {
    return Math.floor((this.#draw() * n) / 4294967296)
  }

  /** The next 32 random bits (mulberry32). */
  #draw(): number {
    const s = (this.#state + 0x6d2b79f5) | 0
    this.#state = s
    const m = Math.imul(s ^ (s >>> 15), s | 1)
    const x = m ^ (m + Math.imul(m ^ (m >>> 7), m | 61))
    return (x ^ (x >>> 14)) >>> 0
  }
}

/** Calls `body` with each order; the object is the same one each time. */
export const forEachOrder = (options: Options, body: (order: Order) => void): void => {
  const cursor = new Cursor(options)
  while (cursor.next()) body(cursor.order)
}

const digits = (count: number): ReadonlyArray<string> =>
  Array.from({ length: 10 ** count }, (_, i) => String(i).padStart(count, "0"))
const twoDigits = digits(2)
const threeDigits = digits(3)
const thousand = (n: number): string => threeDigits[n % 1000]!

/** `ord-` and nine digits, or more when they are needed. */
export const orderId = (index: number): string =>
  index < 1e9
    ? "ord-" + thousand(Math.floor(index / 1e6)) + thousand(Math.floor(index / 1e3)) + thousand(index)
    : `ord-${index}`

/** `user-` and six digits. */
export const userId = (user: number): string => "user-" + thousand(Math.floor(user / 1000)) + thousand(user)

/** The order as JSON, without a line feed. ASCII. */
export const json = (order: Order): string =>
  '{"order_id":"' +
  orderId(order.index) +
  '","user_id":"' +
  userId(order.user) +
  '","category":"' +
  order.category +
  '","region":"' +
  order.region +
  '","total":' +
  Math.floor(order.cents / 100) +
  "." +
  twoDigits[order.cents % 100]! +
  ',"status":"' +
  order.status +
  '","ts":' +
  order.ts +
  "}"

/** All orders as JSON lines, in pieces of whole lines of about `size` bytes. */
export function* ndjson(options: Options, size = 1 << 18): Generator<Uint8Array, void> {
  const cursor = new Cursor(options)
  let text = ""
  while (cursor.next()) {
    text += json(cursor.order) + "\n"
    if (text.length >= size) {
      yield Buffer.from(text, "latin1")
      text = ""
    }
  }
  if (text !== "") yield Buffer.from(text, "latin1")
}

export class WriteFailed extends Schema.TaggedError<WriteFailed>()("WriteFailed", {
  path: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `the orders could not be written to "${this.path}": ${String(this.cause)}`
  }
}

/** Writes all orders as JSON lines to a file, which is replaced. Interruption leaves part of it. */
export const writeNdjson = (path: string, options: Options): Effect.Effect<void, WriteFailed> =>
  Effect.tryPromise({
    try: (signal) => writeFile(path, ndjson(options), { signal }),
    catch: (cause) => new WriteFailed({ path, cause })
  })
