/** Connections of `@platformatic/kafka`: sockets, framing, TLS and SASL are its own, the messages ours. */
import { Connection as Socket, Writer } from "@platformatic/kafka"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { KafkaError } from "../KafkaError.ts"
import type { Address, Settings } from "../KafkaOptions.ts"
import { connectionOptions } from "./platformaticOptions.ts"
import { failureOf } from "./Secrets.ts"
import type { Connection, Transport } from "./Transport.ts"

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export const transport = (settings: Settings): Transport => {
  const { sasl } = settings
  const token = () =>
    sasl?.mechanism === "OAUTHBEARER"
      ? Effect.runPromise(Effect.map(sasl.token, Redacted.value))
      : Promise.reject(new Error("no token provider"))

  const connect: Transport["connect"] = (address) =>
    Effect.callback<Connection, KafkaError>((resume) => {
      const socket = new Socket(settings.clientId, connectionOptions(settings, token, address.host))
      const failed = (cause: unknown) => resume(Effect.fail(failureOf(settings, address, cause)))
      // What is emitted also comes to the callbacks of connect and send.
      socket.on("error", () => {})
      socket.connect(address.host, address.port, (error) => {
        if (error) failed(error)
        else resume(Effect.succeed(connection(socket, address)))
      })
      return close(socket)
    })

  const close = (socket: Socket) =>
    Effect.callback<void>((resume) => {
      socket.close(() => resume(Effect.void))
    })

  const connection = (socket: Socket, address: Address): Connection => ({
    isOpen: () => socket.isConnected(),
    close: close(socket),
    send: ({ apiKey, apiVersion, body }) =>
      Effect.callback<Uint8Array, KafkaError>((resume) => {
        socket.send(
          apiKey,
          apiVersion,
          () => body.reduce((writer, piece) => writer.append(asBuffer(piece)), Writer.create()),
          (_correlation, _key, _version, reader) => reader.buffer.slice(),
          false,
          false,
          (error, response) => {
            if (response !== undefined) resume(Effect.succeed(response))
            else resume(Effect.fail(failureOf(settings, address, error)))
          }
        )
      })
  })

  return { name: "@platformatic/kafka", connect }
}
