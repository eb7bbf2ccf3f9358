/**
 * What the protocol needs of a client library: connections that are authenticated, and that carry a request's bytes there and its response's
 * bytes back. Framing, correlation of responses, TLS and SASL are the library's.
 */
import type * as Effect from "effect/Effect"
import type { KafkaError } from "../KafkaError.ts"
import type { Address } from "../KafkaOptions.ts"

interface Request {
  readonly apiKey: number
  readonly apiVersion: number
  /** What follows the client id in the request's header, and the message; in pieces. */
  readonly body: ReadonlyArray<Uint8Array>
}

export interface Connection {
  /**
   * Sends the request and gives what follows the correlation id in its response. Requests go out in the order of the calls. Fails with
   * `BrokerUnavailable` when the connection breaks, whether or not the request was received. An interruption forgets the response.
   */
  readonly send: (request: Request) => Effect.Effect<Uint8Array, KafkaError>
  readonly isOpen: () => boolean
  /** Closes at once: requests under way fail. */
  readonly close: Effect.Effect<void>
}

export interface Transport {
  /** The client library's name. */
  readonly name: string
  /** Fails with `BrokerUnavailable`, or with `AuthenticationFailed` when asking again is of no use. */
  readonly connect: (address: Address) => Effect.Effect<Connection, KafkaError>
}
