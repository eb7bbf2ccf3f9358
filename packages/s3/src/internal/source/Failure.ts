/** Why an object can't be read on, before it is known at which line. `store` failures are never taken for data. */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { ObjectStoreError } from "../../ObjectStoreError.ts"

export class Failure extends Data.TaggedError("Failure")<{
  readonly kind: "broken" | "schema" | "changed" | "store"
  readonly detail: string
  readonly cause?: ObjectStoreError
}> {}

/** The next of a sequence, or `undefined` after its last. */
export type Next<A, E = Failure> = Effect.Effect<A | undefined, E>
