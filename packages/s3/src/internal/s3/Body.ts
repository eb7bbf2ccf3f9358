/** Reads a response's body whole, into one buffer of the announced length. A body that ends early, or doesn't go on, is a failure. */
import * as Effect from "effect/Effect"
import type { Readable } from "node:stream"
import { cut, type Failure, fromCause, timedOut } from "./Failure.ts"

/** The bytes of `body`, which must be `length`; without a length, all that come until the response's regular end. */
export const collect = (
  body: Readable,
  length: number | undefined,
  seconds: number
): Effect.Effect<Uint8Array, Failure> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    const whole = length === undefined ? undefined : new Uint8Array(length)
    let filled = 0
    const read = Effect.callback<Uint8Array, Failure>((resume) => {
      const fail = (failure: Failure) => {
        body.destroy()
        resume(Effect.fail(failure))
      }
      body.on("data", (chunk: Uint8Array) => {
        if (whole === undefined) chunks.push(chunk)
        else if (filled + chunk.length > whole.length)
          return fail(cut(`the body is longer than the ${length} bytes that were announced`))
        else whole.set(chunk, filled)
        filled += chunk.length
      })
      body.once("end", () => {
        if (whole !== undefined && filled < whole.length)
          return fail(cut(`the body ended after ${filled} of ${length} bytes`))
        resume(Effect.succeed(whole ?? joined(chunks, filled)))
      })
      // Listened to until the end: a connection may be reset after the failure that was reported.
      body.on("error", (cause) => resume(Effect.fail(fromCause(cause))))
      body.once("close", () =>
        resume(Effect.fail(cut(`the connection closed after ${filled} of ${length ?? "unknown"} bytes`)))
      )
      return Effect.sync(() => body.destroy())
    })
    const stalled = Effect.gen(function* () {
      for (let before = -1; before < filled;) {
        before = filled
        yield* Effect.sleep(seconds * 1000)
      }
      return yield* timedOut(`more of the body (${filled} of ${length ?? "unknown"} bytes came)`, seconds)
    })
    return Effect.raceFirst(read, stalled)
  })

const joined = (chunks: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const out = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}
