/**
 * An upload with bounded memory: what fits into one part is put as a whole, what is longer goes out in parts, some at a time. At most
 * `parallel` + 1 parts are in memory. The key changes hands in one step, when all parts are there.
 *
 * | the process dies            | what is there                      | after it                                                  |
 * | --------------------------- | ---------------------------------- | --------------------------------------------------------- |
 * | before the first part       | nothing                            | —                                                         |
 * | between parts               | parts, which no listing shows      | a rule of the bucket (AbortIncompleteMultipartUpload) ends it |
 * | within the last request     | the old object, or the new, whole  | the next reader sees which                                |
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand
} from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { ObjectHead, ObjectWriter } from "../../ObjectStore.ts"
import { Io, ObjectStoreError, Unknown } from "../../ObjectStoreError.ts"
import type { Client } from "./Client.ts"
import { cut, type Failure } from "./Failure.ts"
import { head } from "./Head.ts"
import * as Writer from "./Writer.ts"

export interface Options {
  /** Bytes of a part. */
  readonly partSize: number
  /** Parts that are sent at a time. */
  readonly parallel: number
}

const maxParts = 10_000
/** The first buffer of an upload, which may stay small. */
const firstBuffer = 64 << 10

interface Part {
  readonly ETag: string
  readonly PartNumber: number
}

/** Opens an upload; nothing is sent before a part is full. */
export const open = (
  client: Client,
  key: string,
  token: string,
  { parallel, partSize }: Options
): Effect.Effect<ObjectWriter, never, Scope.Scope> =>
  Effect.gen(function* () {
    const at = { Bucket: client.bucket, Key: client.full(key) }
    const error = client.error(key, "write")
    const scope = yield* Effect.scope
    const sending: Array<Fiber.Fiber<Part, Failure>> = []
    const parts: Array<Part> = []
    let buffer = new Uint8Array(Math.min(firstBuffer, partSize))
    let filled = 0
    let total = 0
    let sent = 0
    let id: string | undefined
    let finished = false

    const begin = Effect.gen(function* () {
      const { UploadId } = yield* client.retry(
        client.once((options) =>
          client.sdk.send(new CreateMultipartUploadCommand({ ...at, Metadata: { [Writer.header]: token } }), options)
        )
      )
      if (UploadId === undefined) return yield* cut("the new upload has no id")
      return UploadId
    })
    const abort = Effect.suspend(() =>
      id === undefined || finished
        ? Effect.void
        : client
            .retry(
              client.once((options) =>
                client.sdk.send(new AbortMultipartUploadCommand({ ...at, UploadId: id }), options)
              )
            )
            .pipe(
              Effect.catchIf(
                ({ kind }) => kind === "noUpload",
                () => Effect.void
              ),
              Effect.catch(({ cause }) =>
                Effect.logWarning(
                  `the parts of upload ${id} of "${key}" stay in bucket "${client.bucket}" until it is aborted: ${cause.message}`
                )
              )
            )
    )
    yield* Effect.addFinalizer(() => abort)

    /** Waits for the part that was begun first. */
    const oldest = Effect.suspend(() => Fiber.join(sending.shift()!)).pipe(
      Effect.map((part) => {
        parts.push(part)
      })
    )
    const send = Effect.gen(function* () {
      if (sent === maxParts)
        return yield* new ObjectStoreError({
          reason: new Io({
            key,
            operation: "write",
            cause: new Error(
              `it has more than ${maxParts} parts of ${partSize} bytes; give the store a larger partSize`
            )
          })
        })
      if (sending.length === parallel) yield* Effect.mapError(oldest, error)
      const UploadId = (id ??= yield* Effect.mapError(begin, error))
      const body = buffer.subarray(0, filled)
      const PartNumber = ++sent
      buffer = new Uint8Array(partSize)
      filled = 0
      const request = Effect.gen(function* () {
        const { ETag } = yield* client.once(
          (options) =>
            client.sdk.send(
              new UploadPartCommand({ ...at, UploadId, PartNumber, Body: body, ContentLength: body.length }),
              options
            ),
          body.length
        )
        if (ETag === undefined) return yield* cut(`part ${PartNumber} has no etag`)
        return { ETag, PartNumber }
      })
      sending.push(yield* Effect.forkIn(client.retry(request), scope))
    })

    const whole = client
      .retry(
        Effect.suspend(() =>
          client.once(
            (options) =>
              client.sdk.send(
                new PutObjectCommand({
                  ...at,
                  Body: buffer.subarray(0, filled),
                  ContentLength: filled,
                  Metadata: { [Writer.header]: token }
                }),
                options
              ),
            filled
          )
        )
      )
      .pipe(
        Effect.map(({ ETag }): ObjectHead => ({ size: filled, ...(ETag === undefined ? {} : { etag: ETag }) })),
        Effect.mapError(error)
      )

    /** The last request may have been answered by a response that was lost; then the upload is gone and the object carries our token. */
    const complete = Effect.gen(function* () {
      const done = yield* Effect.result(
        client.retry(
          client.once((options) =>
            client.sdk.send(
              new CompleteMultipartUploadCommand({ ...at, UploadId: id, MultipartUpload: { Parts: parts } }),
              options
            )
          )
        )
      )
      if (done._tag === "Success") {
        const { ETag } = done.success
        return { size: total, ...(ETag === undefined ? {} : { etag: ETag }) }
      }
      const { kind, refused, cause } = done.failure
      if (kind !== "noUpload" && refused) return yield* error(done.failure)
      const unknown = new ObjectStoreError({ reason: new Unknown({ key, operation: "write", cause }) })
      const found = yield* Effect.mapError(head(client, key), () => unknown)
      if (found?.writer !== token) return yield* unknown
      return { size: found.size, ...(found.etag === undefined ? {} : { etag: found.etag }) }
    })

    const ended = () =>
      Effect.fail(
        new ObjectStoreError({
          reason: new Io({ key, operation: "write", cause: new Error("the upload is finished") })
        })
      )
    return {
      write: (bytes) =>
        Effect.gen(function* () {
          if (finished) return yield* ended()
          for (let from = 0; from < bytes.length;) {
            // Not sent before there is more, so that the last part isn't empty.
            if (filled === partSize) yield* send
            const upTo = Math.min(bytes.length, from + partSize - filled)
            const needed = filled + upTo - from
            if (needed > buffer.length) {
              const larger = new Uint8Array(Math.min(partSize, Math.max(needed, 2 * buffer.length)))
              larger.set(buffer.subarray(0, filled))
              buffer = larger
            }
            buffer.set(bytes.subarray(from, upTo), filled)
            filled = needed
            total += upTo - from
            from = upTo
          }
        }),
      finish: Effect.gen(function* () {
        if (finished) return yield* ended()
        const written = yield* sent === 0
          ? whole
          : Effect.gen(function* () {
              if (filled > 0) yield* send
              while (sending.length > 0) yield* Effect.mapError(oldest, error)
              return yield* complete
            })
        finished = true
        return written
      })
    }
  })
