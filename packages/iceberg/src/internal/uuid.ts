/** Random UUIDs (version 4) from the `Random` service. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** A UUID's text. */
export const make: Effect.Effect<string> = Effect.map(
  Effect.forEach(Array.from({ length: 8 }), () => Random.nextIntBetween(0, 0xffff)),
  (words) => {
    const versioned = words.map((word, i) =>
      i === 3 ? (word & 0x0fff) | 0x4000 : i === 4 ? (word & 0x3fff) | 0x8000 : word
    )
    const hex = versioned.map((word) => word.toString(16).padStart(4, "0")).join("")
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
  }
)

/** The 16 bytes of a UUID. */
export const bytes = (uuid: string): Uint8Array =>
  Uint8Array.from(uuid.replaceAll("-", "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
