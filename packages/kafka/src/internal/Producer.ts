/** An idempotent producer outside of transactions. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Producer, ProducerOptions } from "../Driver.ts"
import type { KafkaError } from "../KafkaError.ts"
import * as TransactionApi from "./TransactionApi.ts"
import { Again, type Cluster, retrying } from "./Cluster.ts"
import { Code, errorOf, isPassing, reasonOf } from "./ErrorCodes.ts"
import * as Sender from "./Sender.ts"

/** The broker has lost this producer's state, or holds another than we do. */
const renews: ReadonlySet<number> = new Set([
  Code.outOfOrderSequence,
  Code.unknownProducerId,
  Code.invalidProducerEpoch,
  Code.invalidProducerIdMapping
])

export const make = (
  cluster: Cluster,
  { compression = "none" }: ProducerOptions = {}
): Effect.Effect<Producer, KafkaError, Scope.Scope> =>
  Effect.gen(function* () {
    const links = yield* cluster.links
    const lock = yield* Semaphore.make(1)
    let current: TransactionApi.ProducerIdentity | undefined

    const operation = "get a producer id"
    const init = retrying(
      cluster.settings.requestTimeoutMillis,
      Effect.gen(function* () {
        const { code, epoch, producerId } = yield* cluster.callAny(links, TransactionApi.initProducerId, {
          transactionalId: null,
          transactionTimeoutMillis: 0,
          producerId: -1n,
          epoch: -1
        })
        if (code !== Code.none)
          return yield* isPassing(code)
            ? new Again({ reason: reasonOf(code, { operation }) })
            : errorOf(code, { operation })
        return { producerId, epoch }
      })
    )
    const identity = lock.withPermit(
      Effect.suspend(() =>
        current !== undefined
          ? Effect.succeed(current)
          : Effect.tap(init, (made) =>
              Effect.sync(() => {
                current = made
              })
            )
      )
    )
    const renew = Effect.sync(() => {
      current = undefined
    })
    const send = Sender.make({
      cluster,
      links,
      compression,
      transactionalId: null,
      identity,
      announce: () => Effect.void,
      onRefused: (code, about, detail) =>
        renews.has(code) ? Effect.as(renew, "renew" as const) : Effect.succeed(errorOf(code, about, detail)),
      onUnknown: renew
    })
    return { send }
  })
