/**
 * Free ports for brokers, below the range that the system hands out to outgoing connections. A client that keeps connecting to a port of that
 * range while its broker is down may connect to itself and then holds the port, so that the broker can't come back.
 */
import * as Effect from "effect/Effect"
import { randomInt } from "node:crypto"
import { createServer } from "node:net"

const lowest = 15_000
const highest = 30_000

const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
  })

/** A port of 127.0.0.1 that nobody listens on now. */
export const free: Effect.Effect<number> = Effect.gen(function* () {
  for (;;) {
    const port = randomInt(lowest, highest)
    if (yield* isFree(port)) return port
  }
})
