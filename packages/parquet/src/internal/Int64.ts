/**
 * 64-bit integers as numbers, without a `bigint` per value: through the two 32-bit halves.
 */

const two32 = 4294967296

/** The values as numbers; the index of the first that isn't a safe integer, or -1. */
export const toNumbers = (values: BigInt64Array, out: Float64Array, at: number): number => {
  const halves = new Int32Array(values.buffer, values.byteOffset, 2 * values.length)
  let unsafe = -1
  for (let i = 0; i < values.length; i++) {
    const high = halves[2 * i + 1]!
    // 2^53 has a high half of 2^21.
    if (high >= 2097152 || high < -2097152) unsafe = i
    out[at + i] = high * two32 + (halves[2 * i]! >>> 0)
  }
  return unsafe
}

/** Instants in units of `1 / perMilli` milliseconds as milliseconds; what is finer is rounded down. */
export const toMillis = (values: BigInt64Array, perMilli: number, out: Float64Array, at: number): void => {
  const halves = new Int32Array(values.buffer, values.byteOffset, 2 * values.length)
  for (let i = 0; i < values.length; i++) {
    const high = halves[2 * i + 1]!
    const low = halves[2 * i]! >>> 0
    // Divided half by half, with the remainder of the upper carried down, so that nothing is rounded before the end.
    const upper = Math.floor(high / perMilli)
    const rest = (high - upper * perMilli) * two32 + low
    out[at + i] = upper * two32 + Math.floor(rest / perMilli)
  }
}
