/**
 * The driver on `@platformatic/kafka`, an optional peer dependency: its connections carry Headrace's own protocol layer. Of its consumer,
 * producer and admin clients nothing is used.
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KafkaDriver } from "../Driver.ts"
import type { KafkaError } from "../KafkaError.ts"
import * as KafkaOptions from "../KafkaOptions.ts"
import * as Client from "../internal/Client.ts"
import { transport } from "../internal/platformaticTransport.ts"

/** The driver for a cluster. Fails at once when no broker answers. */
export const layer = (options: KafkaOptions.KafkaOptions): Layer.Layer<KafkaDriver, KafkaError> =>
  Layer.effect(KafkaDriver, Client.make(options, transport))

/** As {@link layer}, with the options of `KafkaOptions.config`. */
export const layerConfig: Layer.Layer<KafkaDriver, KafkaError | Config.ConfigError> = Layer.unwrap(
  Effect.map(KafkaOptions.config, layer)
)
