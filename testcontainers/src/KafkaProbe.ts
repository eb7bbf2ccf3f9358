/**
 * Asks a broker for its metadata (Kafka's request 3, version 1). An open port proves nothing, since Docker's proxy opens it before the broker
 * is up; a broker that lists itself can take requests.
 */
import * as Effect from "effect/Effect"
import { connect } from "node:net"

const request = (): Buffer => {
  const body = Buffer.alloc(18)
  body.writeInt32BE(14, 0) // the length of what follows
  body.writeInt16BE(3, 4) // Metadata
  body.writeInt16BE(1, 6)
  body.writeInt32BE(1, 8) // correlation id
  body.writeInt16BE(-1, 12) // no client id
  body.writeInt32BE(0, 14) // no topics
  return body
}

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

/** Whether the broker behind `port` of 127.0.0.1 answers within a second and lists itself under that port. */
export const answers = (port: number): Effect.Effect<boolean> =>
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
    socket.once("connect", () => socket.write(request()))
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
      done(brokerPorts(received).includes(port))
    })
    return Effect.sync(() => socket.destroy())
  })
