/** Time that passes: not the wall clock's, which somebody may set back or forward while a request waits. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Milliseconds since a moment that stays the same in this process. */
export const millis: Effect.Effect<number> = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))
