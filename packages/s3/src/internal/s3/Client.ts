/**
 * The SDK's client as the driver uses it: each request an effect with a time limit, its failure told by `Failure`, and tried again by that. The
 * SDK's own retries are off; there is one place that retries.
 *
 * Checksums: the SDK sends a CRC32 with what it writes and verifies one that the server keeps when an object is read whole; lengths are
 * verified here, whatever the server keeps.
 */
import { S3Client } from "@aws-sdk/client-s3"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { IncomingMessage } from "node:http"
import type { ObjectStoreError } from "../../ObjectStoreError.ts"
import { type Failure, fromCause, isTransient, timedOut, toError } from "./Failure.ts"
import type { Options } from "../../S3ObjectStore.ts"

export interface Client {
  readonly sdk: S3Client
  readonly bucket: string
  /** Seconds that a request may go without an answer. */
  readonly seconds: number
  /** The store's name of a key. */
  readonly full: (key: string) => string
  /** The pauses between tries. */
  readonly schedule: Schedule.Schedule<unknown>
  /** One request, once. `uploads` is how many bytes it sends, each 4 MiB in a time limit of its own. */
  readonly once: <A>(
    f: (options: { readonly abortSignal: AbortSignal }) => Promise<A>,
    uploads?: number
  ) => Effect.Effect<A, Failure>
  /** Tries again while the failure is a passing one. For what may be done twice. */
  readonly retry: <A>(effect: Effect.Effect<A, Failure>) => Effect.Effect<A, Failure>
  /** The error of the port for a failure. */
  readonly error: (key: string, operation: string) => (failure: Failure) => ObjectStoreError
}

/** What is sent within one time limit; with 30 seconds, 140 KiB a second. */
const sentPerLimit = 4 << 20

/** Makes a client; the scope's end closes its connections. */
export const make = (options: Options): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { credentials } = options
    const seconds = Duration.toSeconds(options.timeout ?? "30 seconds")
    const sdk = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new S3Client({
            ...(options.region === undefined ? {} : { region: options.region }),
            ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
            ...(options.forcePathStyle === undefined ? {} : { forcePathStyle: options.forcePathStyle }),
            ...(credentials === undefined
              ? {}
              : {
                  credentials: {
                    accessKeyId: credentials.accessKeyId,
                    secretAccessKey: Redacted.value(credentials.secretAccessKey),
                    ...(credentials.sessionToken === undefined
                      ? {}
                      : { sessionToken: Redacted.value(credentials.sessionToken) })
                  }
                }),
            maxAttempts: 1,
            // A server that refuses early closes the connection either way; waiting for its leave costs a round trip.
            expectContinueHeader: false,
            requestChecksumCalculation: "WHEN_SUPPORTED",
            responseChecksumValidation: "WHEN_SUPPORTED",
            requestHandler: {
              connectionTimeout: Math.min(seconds, 10) * 1000,
              httpAgent: { keepAlive: true, maxSockets: connections },
              httpsAgent: { keepAlive: true, maxSockets: connections }
            }
          })
      ),
      (client) => Effect.sync(() => client.destroy())
    )
    const heard = new WeakSet<object>()
    sdk.middlewareStack.add(
      (next) => async (args) => {
        const found = await next(args)
        listen(found.response, heard)
        return found
      },
      { name: "headraceListen", step: "deserialize", priority: "low" }
    )
    const prefix = options.prefix === undefined || options.prefix === "" ? "" : `${options.prefix}/`
    const schedule = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]).pipe(
      Schedule.jittered,
      Schedule.upTo({ times: options.retries ?? 6 })
    )
    const place = {
      bucket: options.bucket,
      endpoint: options.endpoint ?? (options.region === undefined ? "the SDK's endpoint" : `S3 in ${options.region}`)
    }
    return {
      sdk,
      bucket: options.bucket,
      seconds,
      schedule,
      full: (key) => prefix + key,
      once: (f, uploads = 0) => {
        const limit = seconds * (1 + uploads / sentPerLimit)
        return Effect.tryPromise({ try: (abortSignal) => f({ abortSignal }), catch: fromCause }).pipe(
          Effect.timeoutOrElse({
            duration: limit * 1000,
            orElse: () => Effect.fail(timedOut("answer", Math.round(limit)))
          })
        )
      },
      retry: (effect) => Effect.retry(effect, { schedule, while: isTransient }),
      error: (key, operation) => toError(place, key, operation)
    }
  })

/**
 * Hears a connection's errors. Deno lets go of a connection whose response has come whole before it keeps it for the next request; a reset at that
 * moment is an error of which nobody hears, and ends the process.
 */
const listen = (response: unknown, heard: WeakSet<object>): void => {
  if (typeof response !== "object" || response === null || !("body" in response)) return
  if (!(response.body instanceof IncomingMessage) || heard.has(response.body.socket)) return
  heard.add(response.body.socket)
  response.body.socket.on("error", () => undefined)
}

const connections = 64
