/** Random UUIDs (version 4): identities, and so from the system and not of a seed, which two processes may share. */
import { randomUUID } from "node:crypto"
import * as Effect from "effect/Effect"

/** A UUID's text. */
export const make: Effect.Effect<string> = Effect.sync(() => randomUUID())

/** The 16 bytes of a UUID. */
export const bytes = (uuid: string): Uint8Array =>
  Uint8Array.from(uuid.replaceAll("-", "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
