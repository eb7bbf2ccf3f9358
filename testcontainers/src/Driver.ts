/**
 * A way to run one broker: what {@link Kafka.make} builds on. The broker keeps its data between `down` and `up`; the scope that the driver was
 * made in ends both.
 */
import type * as Effect from "effect/Effect"
import type { BrokerError } from "./BrokerError.ts"
import type { Ports } from "./KafkaSettings.ts"

export interface Driver {
  /** What runs, for people: an image's name, or the version and where the jars are. */
  readonly what: string
  /** Starts the broker on these ports. It isn't down, but not ready either, when this returns. */
  readonly up: (ports: Ports) => Effect.Effect<void, BrokerError>
  /** Sends the signal and returns when the broker has ended. Nothing to do when it is down. */
  readonly down: (signal: "SIGTERM" | "SIGKILL") => Effect.Effect<void, BrokerError>
  /** Freezes the broker: connections stay open, nothing answers. */
  readonly pause: Effect.Effect<void, BrokerError>
  /** Lets a frozen broker go on. */
  readonly resume: Effect.Effect<void, BrokerError>
  /** Whether the broker runs. */
  readonly isUp: Effect.Effect<boolean, BrokerError>
  /** The end of its log. */
  readonly log: Effect.Effect<string, BrokerError>
}
