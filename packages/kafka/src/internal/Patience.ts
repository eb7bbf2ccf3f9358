/** Reading goes on when brokers are back: what fails and may pass is tried again for minutes, and said so. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { KafkaError } from "../KafkaError.ts"
import * as Elapsed from "./Elapsed.ts"

const firstPause = 100
const longestPause = 1_000

/** Runs an effect again while what fails may pass, for at most `millis`. */
export const patiently = <A, R = never>(
  what: string,
  millis: number,
  effect: Effect.Effect<A, KafkaError, R>
): Effect.Effect<A, KafkaError, R> =>
  Effect.gen(function* () {
    const start = yield* Elapsed.millis
    for (let pause = firstPause; ; pause = Math.min(2 * pause, longestPause)) {
      const result = yield* Effect.result(effect)
      if (Result.isSuccess(result)) return result.success
      const error = result.failure
      if (!error.retryable || (yield* Elapsed.millis) - start + pause > millis) return yield* error
      yield* Effect.logWarning(`${what} can't be read now, trying again: ${error.message}`)
      yield* Effect.sleep(pause)
    }
  })
