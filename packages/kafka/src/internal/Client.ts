/** The driver over a client library's connections. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Service } from "../Driver.ts"
import { KafkaError } from "../KafkaError.ts"
import { type KafkaOptions, type Settings, settings } from "../KafkaOptions.ts"
import * as Admin from "./Admin.ts"
import * as Cluster from "./Cluster.ts"
import * as Consumer from "./Consumer.ts"
import * as Member from "./Member.ts"
import * as Producer from "./Producer.ts"
import * as Transactional from "./Transactional.ts"
import type { Transport } from "./Transport.ts"

/** Connects, and fails at once when no broker answers. */
export const make = (
  options: KafkaOptions,
  transport: (settings: Settings) => Transport
): Effect.Effect<Service, KafkaError, Scope.Scope> =>
  Effect.gen(function* () {
    const complete = settings(options)
    if (complete instanceof KafkaError) return yield* complete
    const cluster = yield* Cluster.make(transport(complete), complete)
    return {
      name: cluster.transport.name,
      admin: yield* Admin.make(cluster),
      member: (memberOptions) => Member.make(cluster, memberOptions),
      consumer: (consumerOptions) => Consumer.make(cluster, consumerOptions),
      producer: (producerOptions) => Producer.make(cluster, producerOptions),
      transactional: (transactionalOptions) => Transactional.make(cluster, transactionalOptions)
    }
  })
