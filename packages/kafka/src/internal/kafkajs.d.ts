/** The parts of kafkajs 2.2.4 below its public clients that the driver stands on; the package has no `exports`, and gets no more releases. */
declare module "kafkajs/src/network/connectionPool.js" {
  interface Logger {
    readonly namespace: () => Logger
    readonly debug: () => void
    readonly info: () => void
    readonly warn: () => void
    readonly error: () => void
  }
  interface Connection {
    /** Its timers serve limits that aren't used here, and warn on Node 24. */
    readonly requestQueue: { scheduleCheckPendingRequests: () => void }
    rejectRequests(error: Error): void
    isConnected(): boolean
    /** Whether it has logged in, and its login lasts for longer than `reauthenticationThreshold`. */
    isAuthenticated(): boolean
    send(call: {
      readonly request: {
        readonly apiKey: number
        readonly apiVersion: number
        readonly apiName: string
        readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
      }
      readonly response: {
        readonly decode: (raw: Buffer) => Promise<Buffer>
        readonly parse: (raw: Buffer) => Promise<Buffer>
      }
      readonly logResponseError: boolean
    }): Promise<Buffer>
  }
  export default class ConnectionPool {
    readonly pool: readonly [Connection, Connection]
    constructor(options: Readonly<Record<string, unknown>> & { readonly logger: Logger })
    destroy(): Promise<void>
  }
}

declare module "kafkajs/src/network/socketFactory.js" {
  export default function socketFactory(): unknown
}

declare module "kafkajs/src/broker/index.js" {
  import type ConnectionPool from "kafkajs/src/network/connectionPool.js"
  export default class Broker {
    constructor(options: { readonly connectionPool: ConnectionPool; readonly logger: unknown })
    connect(): Promise<void>
  }
}
