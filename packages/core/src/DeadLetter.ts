/**
 * Dead letters: records that a view could not use. A poison record is data, not a failure: it is kept with its coordinates and reason,
 * counted, and never stops the stream.
 */
import type { Header } from "./Batch.ts"

/** Why a record could not be used. A closed list: it goes into the state hash, so it never depends on a runtime's error texts. */
export type PoisonCode =
  /** The value isn't JSON, or isn't an object. */
  | "not-json"
  /** A row that its file's format doesn't allow: another number of cells than the header has, a line that is too long, a file that is cut short. */
  | "malformed"
  /** A declared field is absent. */
  | "missing-field"
  /** A field has another type than declared. */
  | "wrong-type"
  /** A text that no store holds (a lone surrogate, U+0000), or a number that can't be held exactly: an integer of 2⁵³ or more, a decimal with more places or digits than declared, an instant outside the years 1 to 9999. */
  | "out-of-range"
  /** A field fails a check of its schema. */
  | "check-failed"
  /** A key of the view is null. */
  | "null-key"
  /** An expression of the view threw, or gave a value that its aggregate can't hold exactly. */
  | "expression-failed"

/** What is known of a record that could not be used. `field` names the field or the expression; `detail` is for people and not hashed. */
export interface Poison {
  readonly code: PoisonCode
  readonly field: string
  readonly detail: string
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: ReadonlyArray<Header>
}

/** A poison record with its coordinates. */
export interface DeadLetter extends Poison {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** The canonical reason text: `code` or `code:field`. */
export const reasonOf = (poison: Pick<Poison, "code" | "field">): string =>
  poison.field === "" ? poison.code : `${poison.code}:${poison.field}`
