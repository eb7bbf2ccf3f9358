/**
 * Asks a broker for its metadata (Kafka's request 3, version 1). An open port proves nothing, since Docker's proxy opens it before the broker
 * is up; a broker that lists itself can take requests. One that wants a login first is asked for its versions (request 18),
 * and of one that wants TLS a handshake is enough.
 */
import * as Effect from "effect/Effect"
import { connect } from "node:net"
import * as tls from "node:tls"

/** A request with correlation id 1 and no client id. */
const request = (key: number, version: number, body: ReadonlyArray<number>): Buffer => {
  const head = Buffer.alloc(14)
  head.writeInt32BE(10 + body.length, 0) // the length of what follows
  head.writeInt16BE(key, 4)
  head.writeInt16BE(version, 6)
  head.writeInt32BE(1, 8)
  head.writeInt16BE(-1, 12)
  return Buffer.concat([head, Buffer.from(body)])
}
const metadata = request(3, 1, [0, 0, 0, 0]) // no topics
const versions = request(18, 0, [])

/** The ports of the brokers that a metadata response names. */
const brokerPorts = (response: Buffer): ReadonlyArray<number> => {
  const ports: Array<number> = []
  let at = 8
  const count = response.readInt32BE(at)
  at += 4
  for (let i = 0; i < count; i++) {
    at += 4
    at += 2 + response.readInt16BE(at)
    ports.push(response.readInt32BE(at))
    at += 4
    at += 2 + Math.max(0, response.readInt16BE(at))
  }
  return ports
}

const ask = (port: number, question: Buffer, accept: (response: Buffer) => boolean): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = connect(port, "127.0.0.1")
    let received = Buffer.alloc(0)
    const done = (result: boolean) => {
      socket.destroy()
      resume(Effect.succeed(result))
    }
    socket.setTimeout(1000, () => done(false))
    socket.once("error", () => done(false))
    socket.once("close", () => done(false))
    socket.once("connect", () => socket.write(question))
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
      done(accept(received))
    })
    return Effect.sync(() => socket.destroy())
  })

/** Whether the broker behind `port` of 127.0.0.1 answers within a second and lists itself under that port. */
export const answers = (port: number): Effect.Effect<boolean> =>
  ask(port, metadata, (response) => brokerPorts(response).includes(port))

/** Whether it answers at all: all that it does before a login. */
export const isThere = (port: number): Effect.Effect<boolean> =>
  ask(port, versions, (response) => response.readInt32BE(4) === 1)

/** Whether it makes a TLS connection, whatever its certificate. */
export const shakesHands = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false })
    const done = (result: boolean) => {
      socket.destroy()
      resume(Effect.succeed(result))
    }
    socket.setTimeout(1000, () => done(false))
    socket.once("error", () => done(false))
    socket.once("close", () => done(false))
    socket.once("secureConnect", () => done(true))
    return Effect.sync(() => socket.destroy())
  })
