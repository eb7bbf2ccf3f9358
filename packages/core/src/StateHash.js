/**
 * The canonical state hash: the sum modulo 2²⁵⁶ of SHA-256 over canonical rows.
 *
 * It doesn't depend on the order of rows, so any store can compute it in one pass. Two versions with equal hashes hold the same view rows,
 * late records, dead letters, counts, next offsets and watermarks. (The sum of hashes of a *set* of rows; every row carries its own
 * coordinates, so no two rows are the same.)
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
/** Adds up the SHA-256 of rows modulo 2²⁵⁶. */
export class Accumulator {
  #lanes = new Float64Array(8)
  #rows = 0
  /** Adds one row: a list of values, the first of which names the kind of row. */
  add(row) {
    const digest = createHash("sha256").update(canonical(row)).digest()
    const view = new DataView(digest.buffer, digest.byteOffset, 32)
    for (let i = 0; i < 8; i++) this.#lanes[i] += view.getUint32(4 * i)
    // A lane holds up to 2^20 more 32-bit values exactly before its carry must move on.
    if (++this.#rows % 1048576 === 0) this.#carry()
  }
  /** 64 hexadecimal digits. */
  get hex() {
    this.#carry()
    return Array.from(this.#lanes, (lane) => lane.toString(16).padStart(8, "0")).join("")
  }
  #carry() {
    let carry = 0
    for (let i = 7; i >= 0; i--) {
      const lane = this.#lanes[i] + carry
      carry = Math.floor(lane / 4294967296)
      this.#lanes[i] = lane - carry * 4294967296
    }
  }
}
/** The canonical text of a row: each value tagged with its type, so that 1, "1" and true differ and no separator can be forged. */
export const canonical = (row) => {
  let text = ""
  for (const value of row) {
    if (value === null) text += "n;"
    else if (typeof value === "string") text += `s${value.length}:${value};`
    else if (typeof value === "boolean") text += value ? "t;" : "f;"
    else text += `i${value === 0 ? 0 : value};`
  }
  return text
}
/** The state hash of a version, 64 hexadecimal digits. */
export const ofVersion = (store, view, version) =>
  Effect.gen(function* () {
    const sum = new Accumulator()
    const info = yield* store.version(view, version)
    for (const p of info.positions) {
      const c = p.counts
      const watermark = Number.isFinite(p.maxEventTime) ? p.maxEventTime : null
      sum.add(["position", p.partition, p.next, watermark, c.read, c.applied, c.filtered, c.late, c.deadLettered])
    }
    yield* Stream.runForEachArray(store.rows(view, version), (rows) =>
      Effect.sync(() => {
        for (const row of rows) sum.add(["row", ...row])
      })
    )
    yield* Stream.runForEachArray(store.late(view, version), (rows) =>
      Effect.sync(() => {
        for (const r of rows) sum.add(["late", r.partition, r.offset, r.eventTime, r.windowStart, r.columns])
      })
    )
    yield* Stream.runForEachArray(store.dead(view, version), (rows) =>
      Effect.sync(() => {
        for (const r of rows) sum.add(["dead", r.partition, r.offset, r.reason])
      })
    )
    return sum.hex
  })
