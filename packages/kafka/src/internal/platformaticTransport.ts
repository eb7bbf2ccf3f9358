/** Connections of `@platformatic/kafka`: sockets, framing, TLS and SASL are its own, the messages ours. */
import { Connection as Socket, Writer } from "@platformatic/kafka"
import * as Effect from "effect/Effect"
import type { KafkaError } from "../KafkaError.ts"
import type { Address, Settings } from "../KafkaOptions.ts"
import { connectionOptions } from "./platformaticOptions.ts"
import { failureOf, tokenOf } from "./Secrets.ts"
import type { Connection, Transport } from "./Transport.ts"

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

interface State {
  /** Whether its login has nearly run out. */
  over: boolean
  emitted: unknown
}

export const transport = (settings: Settings): Transport => {
  const token = () => tokenOf(settings)

  const connect: Transport["connect"] = (address) =>
    Effect.callback<Connection, KafkaError>((resume) => {
      const socket = new Socket(settings.clientId, connectionOptions(settings, token, address.host))
      const state: State = { over: false, emitted: undefined }
      // Why a connection closed; callbacks of requests hear only that it did.
      socket.on("error", (error) => {
        state.emitted = error
      })
      // Not while requests are under way: a new connection takes its place.
      socket.reauthenticate = () => {
        state.over = true
      }
      socket.connect(address.host, address.port, (error) => {
        if (error) resume(Effect.fail(failureOf(settings, address, error)))
        else resume(Effect.succeed(connection(socket, address, state)))
      })
      return close(socket)
    })

  const close = (socket: Socket) =>
    Effect.callback<void>((resume) => {
      socket.close(() => resume(Effect.void))
    })

  const connection = (socket: Socket, address: Address, state: State): Connection => ({
    isOpen: () => !state.over && socket.isConnected(),
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
            else resume(Effect.fail(failureOf(settings, address, new AggregateError([error, state.emitted], ""))))
          }
        )
      })
  })

  return { name: "@platformatic/kafka", connect }
}
