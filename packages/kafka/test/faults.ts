/** A transport that loses some of what passes. */
import { BrokerUnavailable, KafkaError } from "@headrace/kafka"
import { Effect } from "effect"
import type { Transport } from "../src/internal/Transport.ts"
import type { Settings } from "../src/KafkaOptions.ts"

const lost = new KafkaError({ reason: new BrokerUnavailable({ address: "here", detail: "lost" }) })

export type Fault = "none" | "request" | "response" | "break"

/** Loses requests before they are sent, responses after they came, or the whole connection, as `fault` says of each request. */
export const faulty =
  (make: (settings: Settings) => Transport, fault: (apiKey: number) => Fault) =>
  (settings: Settings): Transport => {
    const transport = make(settings)
    return {
      ...transport,
      connect: (address) =>
        Effect.map(transport.connect(address), (connection) => ({
          ...connection,
          send: (request) => {
            const chosen = fault(request.apiKey)
            if (chosen === "request") return Effect.fail(lost)
            const sent = connection.send(request)
            if (chosen === "response") return Effect.andThen(sent, Effect.fail(lost))
            // Closed while the request is on its way: whether it arrives is open.
            if (chosen === "break") return Effect.andThen(Effect.raceFirst(sent, connection.close), Effect.fail(lost))
            return sent
          }
        }))
    }
  }
