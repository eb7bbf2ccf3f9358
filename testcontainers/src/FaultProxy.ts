/**
 * Stands between a client and an HTTP server and does to requests what networks and busy servers do: late answers, resets, bodies cut off, 503
 * SlowDown, and the worst one: a request that took effect, and whose response is lost.
 *
 * The `Host` header goes through as it is, so that signatures hold.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

export type Fault =
  /** The request goes on after so many milliseconds. */
  | { readonly kind: "latency"; readonly ms: number }
  /** A reset before the server sees anything. */
  | { readonly kind: "reset" }
  /** A reset after so many bytes of the request's body; the server sees them, and then a reset, too. */
  | { readonly kind: "cutRequest"; readonly after: number }
  /** The response's head and so many bytes of its body, then a reset. */
  | { readonly kind: "cutResponse"; readonly after: number }
  /** The server answers whole; the client gets a reset. */
  | { readonly kind: "loseResponse" }
  /** The server gets the request twice, as from a proxy that sends it again over a new connection; the client gets the second answer. */
  | { readonly kind: "twice" }
  /** 503 with S3's code. The server doesn't see the request. */
  | { readonly kind: "slowDown" }
  /** Another answer instead of the server's, with a body. */
  | { readonly kind: "answer"; readonly status: number; readonly body: string }
  /** No answer, ever. */
  | { readonly kind: "stall" }

/** A request as it arrives. */
export interface Seen {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
}

export interface Proxy {
  /** For clients, instead of the server's. */
  readonly endpoint: string
  /** What happens to a request; `undefined` lets it through. */
  faults: (request: Seen) => Fault | undefined
  /** How many requests came, in all. */
  readonly count: () => number
}

const xml = (code: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>Please reduce your request rate.</Message></Error>`

const reset = (request: http.IncomingMessage): void => {
  request.socket.resetAndDestroy()
}

/** Begins a request to the server like the client's. */
const send = (
  to: URL,
  agent: http.Agent,
  request: http.IncomingMessage,
  answered: (answer: http.IncomingMessage) => void
): http.ClientRequest => {
  const upstream = http.request({
    host: to.hostname,
    port: to.port,
    method: request.method,
    path: request.url,
    headers: request.headers,
    setHost: false,
    agent
  })
  upstream.on("error", () => reset(request))
  upstream.on("response", (answer) => {
    answer.on("error", () => reset(request))
    answered(answer)
    // One that nobody reads would keep its connection.
    if (!answer.readableFlowing) answer.resume()
  })
  return upstream
}

const pass = (answer: http.IncomingMessage, response: http.ServerResponse): void => {
  response.writeHead(answer.statusCode ?? 502, answer.headers)
  answer.pipe(response)
}

/** Sends a request on; `to` is where the server is. */
const forward = (
  to: URL,
  agent: http.Agent,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  fault: Fault | undefined
): void => {
  const upstream = send(to, agent, request, (answer) => {
    if (fault?.kind === "loseResponse") {
      answer.resume().on("end", () => reset(request))
      return
    }
    if (fault?.kind !== "cutResponse") return pass(answer, response)
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    let left = fault.after
    answer.on("data", (chunk: Buffer) => {
      if (left < 0) return
      const part = chunk.subarray(0, left)
      left -= part.length
      if (left > 0) response.write(part)
      else {
        left = -1
        // What was written must be on its way before the reset overtakes it.
        response.write(part, () => setTimeout(() => reset(request), 20))
      }
    })
    answer.on("end", () => {
      if (left >= 0) reset(request)
    })
  })
  request.on("close", () => {
    if (!request.complete) upstream.destroy()
  })
  if (fault?.kind !== "cutRequest") {
    request.pipe(upstream)
    return
  }
  let left = fault.after
  upstream.flushHeaders()
  request.on("data", (chunk: Buffer) => {
    upstream.write(chunk.subarray(0, left))
    left -= Math.min(left, chunk.length)
    if (left > 0) return
    upstream.destroy()
    reset(request)
  })
}

const handle = (
  to: URL,
  agent: http.Agent,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  fault: Fault | undefined
): void => {
  request.on("error", () => response.destroy())
  switch (fault?.kind) {
    case "latency":
      setTimeout(() => forward(to, agent, request, response, undefined), fault.ms)
      return
    case "reset":
      reset(request)
      return
    case "slowDown":
    case "answer": {
      const [status, body] = fault.kind === "answer" ? [fault.status, fault.body] : [503, xml("SlowDown")]
      request.resume().on("end", () => {
        response.writeHead(status, { "content-type": "application/xml", "content-length": Buffer.byteLength(body) })
        response.end(request.method === "HEAD" ? undefined : body)
      })
      return
    }
    case "stall":
      request.resume()
      return
    case "twice": {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const body = Buffer.concat(chunks)
        send(to, agent, request, () => send(to, agent, request, (answer) => pass(answer, response)).end(body)).end(body)
      })
      return
    }
    default:
      forward(to, agent, request, response, fault)
  }
}

/** Starts a proxy for the server at `endpoint`; the scope's end closes it and every connection. */
export const start = (endpoint: string): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: http.Server; readonly agent: http.Agent; readonly proxy: Proxy }>((resume) => {
        const to = new URL(endpoint)
        const agent = new http.Agent({ keepAlive: true })
        let count = 0
        const server = http.createServer((request, response) => {
          count++
          const { headers, method = "", url = "" } = request
          handle(to, agent, request, response, proxy.faults({ method, url, headers }))
        })
        server.on("clientError", (_, socket) => socket.destroy())
        let port = 0
        const proxy: Proxy = {
          get endpoint() {
            return `http://127.0.0.1:${port}`
          },
          faults: () => undefined,
          count: () => count
        }
        server.listen(0, "127.0.0.1", () => {
          port = (server.address() as AddressInfo).port
          resume(Effect.succeed({ server, agent, proxy }))
        })
      }),
      ({ agent, server }) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
          agent.destroy()
        })
    ),
    ({ proxy }) => proxy
  )
