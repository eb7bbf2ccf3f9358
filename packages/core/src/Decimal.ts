/**
 * Exact decimals as scaled integers: 12.34 with scale 2 is the integer 1234.
 *
 * In columns a decimal is a safe-integer `number`; sums that leave the safe integers go on as `bigint`. No arithmetic on fractions is ever
 * done in floating point.
 */

/** The largest scale: 10^15 still leaves one digit before the point within the safe integers. */
export const maxScale = 15

const powers = Array.from({ length: 23 }, (_, i) => 10 ** i)

/** 10^scale, exact. */
export const power = (scale: number): number => powers[scale]!

const pattern = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

/** Whether a text is a decimal, plain or with an exponent. */
export const isText = (text: string): boolean => pattern.test(text)

/** The scaled integer of a decimal's text (plain or with an exponent), or `undefined` when it isn't one or can't be held exactly. */
export const fromText = (text: string, scale: number): number | undefined => {
  const match = pattern.exec(text)
  if (match === null) return undefined
  const fraction = match[3] ?? ""
  const exponent = Number(match[4] ?? 0)
  let digits = (match[2]! + fraction).replace(/^0+(?=\d)/, "")
  let shift = scale + exponent - fraction.length
  while (shift < 0 && digits.endsWith("0") && digits !== "0") {
    digits = digits.slice(0, -1)
    shift++
  }
  if (digits === "0") return 0
  if (shift < 0 || digits.length + shift > 16) return undefined
  const scaled = Number(digits + "0".repeat(shift))
  return Number.isSafeInteger(scaled) ? (match[1] === "-" ? -scaled : scaled) : undefined
}

/**
 * The scaled integer of a number, taken for the shortest decimal that reads as it, or `undefined` when that has more than `scale` places or
 * can't be held. Of a number that was read from a text of at most 15 significant digits that is the text.
 *
 * Two decimals of at most 15 digits never share a double, so below 10^15 the division back decides exactly.
 */
export const fromDouble = (value: number, scale: number): number | undefined => {
  const p = powers[scale]!
  const scaled = Math.round(value * p)
  if (Math.abs(scaled) < 1e15) return scaled / p === value ? scaled + 0 : undefined
  return fromText(String(value), scale)
}

/** The text of a scaled integer with exactly `scale` places. */
export const format = (scaled: number | bigint, scale: number): string => {
  const negative = scaled < 0
  const digits = String(scaled)
    .replace("-", "")
    .padStart(scale + 1, "0")
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
  return negative ? `-${text}` : text
}

/** `sum / count` as a scaled integer with `places` places, rounded half away from zero (HALF_UP); `sum` has `scale` places. */
export const average = (sum: bigint, count: bigint, scale: number, places: number): bigint => {
  const up = places >= scale ? 10n ** BigInt(places - scale) : 1n
  const down = places >= scale ? 1n : 10n ** BigInt(scale - places)
  const numerator = (sum < 0n ? -sum : sum) * up
  const denominator = count * down
  const rounded = (2n * numerator + denominator) / (2n * denominator)
  return sum < 0n ? -rounded : rounded
}
