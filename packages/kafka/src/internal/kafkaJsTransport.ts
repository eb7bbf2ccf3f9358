// Whoever compiles these sources needs the types of kafkajs's inner files with them.
// oxlint-disable-next-line typescript/triple-slash-reference
/// <reference path="./kafkajs.d.ts" />
/** Connections of kafkajs 2.2.4: sockets, framing, TLS and SASL are its own, the messages ours. */
import * as Effect from "effect/Effect"
import Broker from "kafkajs/src/broker/index.js"
import ConnectionPool from "kafkajs/src/network/connectionPool.js"
import socketFactory from "kafkajs/src/network/socketFactory.js"
import type { Address, Settings } from "../KafkaOptions.ts"
import { poolOptions } from "./kafkaJsOptions.ts"
import { failureOf, tokenOf } from "./Secrets.ts"
import type { Connection, Transport } from "./Transport.ts"

const silent = {
  namespace: () => silent,
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {}
}

export const transport = (settings: Settings): Transport => {
  const token = () => tokenOf(settings)

  const close = (pool: ConnectionPool) =>
    Effect.promise(async () => {
      // It would wait for their responses, however long.
      for (const connection of pool.pool) connection.rejectRequests(new Error("closed"))
      await pool.destroy()
    })

  const connect: Transport["connect"] = (address) =>
    Effect.suspend(() => {
      const pool = new ConnectionPool({
        ...poolOptions(settings, token),
        host: address.host,
        port: address.port,
        socketFactory: socketFactory(),
        logger: silent
      })
      for (const { requestQueue } of pool.pool) requestQueue.scheduleCheckPendingRequests = () => {}
      return Effect.tryPromise({
        try: () => new Broker({ connectionPool: pool, logger: silent }).connect(),
        catch: (cause) => failureOf(settings, address, cause)
      }).pipe(
        Effect.as(connection(pool, address)),
        Effect.onError(() => close(pool))
      )
    })

  // The pool would send a fetch over its second connection, which nobody authenticates, and its logins anew would take the answers of requests
  // under way for theirs. Only the first is used, until its login has nearly run out.
  const connection = (pool: ConnectionPool, address: Address): Connection => ({
    isOpen: () => pool.pool[0].isConnected() && (settings.sasl === undefined || pool.pool[0].isAuthenticated()),
    close: close(pool),
    send: ({ apiKey, apiVersion, body }) =>
      Effect.tryPromise({
        try: () => {
          const buffer = Buffer.concat(body)
          return pool.pool[0].send({
            request: { apiKey, apiVersion, apiName: `${apiKey}`, encode: async () => ({ buf: buffer, buffer }) },
            response: { decode: async (raw) => raw, parse: async (raw) => raw },
            logResponseError: false
          })
        },
        catch: (cause) => failureOf(settings, address, cause)
      })
  })

  return { name: "kafkajs", connect }
}
