/** Reading objects and parts of them. What is handed out is whole: as long as announced, of one content of the object. */
import { GetObjectCommand } from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import { Readable } from "node:stream"
import type { Range } from "../../ObjectStore.ts"
import { Changed, type ObjectStoreError, ObjectStoreError as StoreError } from "../../ObjectStoreError.ts"
import { plan } from "../rangePlan.ts"
import { collect } from "./Body.ts"
import type { Client } from "./Client.ts"
import { cut, type Failure } from "./Failure.ts"

interface Found {
  readonly bytes: Uint8Array
  readonly etag: string | undefined
}

/** How much of the object there is by `Content-Range: bytes 0-9/100`. */
const totalOf = (header: string | undefined): number | undefined => {
  const total = /^bytes \d+-\d+\/(\d+)$/.exec(header ?? "")?.[1]
  return total === undefined ? undefined : Number(total)
}

const request = (
  client: Client,
  key: string,
  range: Range | undefined,
  etag: string | undefined
): Effect.Effect<Found, Failure> =>
  Effect.gen(function* () {
    const found = yield* client.once((options) =>
      client.sdk.send(
        new GetObjectCommand({
          Bucket: client.bucket,
          Key: client.full(key),
          ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }),
          ...(etag === undefined ? {} : { IfMatch: etag })
        }),
        options
      )
    )
    if (!(found.Body instanceof Readable)) return yield* cut("the response has no body")
    const bytes = yield* collect(found.Body, found.ContentLength, client.seconds)
    if (range !== undefined) {
      const total = totalOf(found.ContentRange)
      if (total === undefined) return yield* cut("the response to a range has no Content-Range")
      const wanted = Math.min(range.end, total) - range.start
      if (bytes.length !== wanted) return yield* cut(`${bytes.length} of ${wanted} bytes of a range came`)
    }
    return { bytes, etag: found.ETag }
  })

/** The whole object. */
export const get = (client: Client, key: string): Effect.Effect<Uint8Array, ObjectStoreError> =>
  client.retry(request(client, key, undefined, undefined)).pipe(
    Effect.map(({ bytes }) => bytes),
    Effect.mapError(client.error(key, "read"))
  )

/** A part that begins beyond the object's end is empty; the failure that says so has no etag. */
const part = (client: Client, key: string, range: Range, etag: string | undefined): Effect.Effect<Found, Failure> =>
  client.retry(request(client, key, range, etag)).pipe(
    Effect.catchIf(
      ({ kind }) => kind === "range",
      () => Effect.succeed({ bytes: new Uint8Array(), etag })
    )
  )

/** The bytes `[start, end)`, which aren't none. */
export const getRange = (client: Client, key: string, range: Range): Effect.Effect<Uint8Array, ObjectStoreError> =>
  part(client, key, range, undefined).pipe(
    Effect.map(({ bytes }) => bytes),
    Effect.mapError(client.error(key, "read"))
  )

/** As long as one round trip to S3 from its region takes at the speed of a connection. */
const gap = 512 << 10
const limit = 16 << 20
const parallel = 8

/** Ranges of one content of the object; at least one isn't empty. */
export const getRanges = (
  client: Client,
  key: string,
  ranges: ReadonlyArray<Range>,
  expected: string | undefined
): Effect.Effect<ReadonlyArray<Uint8Array>, ObjectStoreError> =>
  Effect.gen(function* () {
    const changed = (etag: string) => new StoreError({ reason: new Changed({ key, expected: etag }) })
    const read = (range: Range, etag: string | undefined) =>
      Effect.mapError(part(client, key, range, etag), (failure) =>
        failure.kind === "precondition" && etag !== undefined ? changed(etag) : client.error(key, "read")(failure)
      )
    const requests = plan(ranges, { gap, limit })
    const out: Array<Uint8Array> = ranges.map(() => new Uint8Array())
    const found = yield* Effect.forEach(requests, (range) => read(range, expected), { concurrency: parallel })
    const etag = expected ?? found.find((one) => one.etag !== undefined)?.etag
    for (const [i, { answers, start }] of requests.entries()) {
      const { bytes, etag: seen } = found[i]!
      if (etag !== undefined && seen !== undefined && seen !== etag) return yield* changed(etag)
      for (const answer of answers)
        out[answer] = bytes.subarray(ranges[answer]!.start - start, ranges[answer]!.end - start)
    }
    return out
  })
