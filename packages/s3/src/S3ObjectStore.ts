/**
 * The object store on Amazon S3 and whatever speaks its protocol, through `@aws-sdk/client-s3`.
 *
 * Requests are tried again while the failure is a passing one (throttled, unavailable), with growing, jittered pauses. A conditional write whose
 * response was lost is settled by the object's metadata, or fails with `Unknown` (see `internal/s3/Conditional.ts`). A bucket that isn't there and
 * credentials that aren't accepted are found out when the store is made.
 */
import { DeleteObjectCommand, DeleteObjectsCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3"
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { putStream } from "./internal/putStream.ts"
import * as Client from "./internal/s3/Client.ts"
import * as Conditional from "./internal/s3/Conditional.ts"
import { Failure } from "./internal/s3/Failure.ts"
import { head } from "./internal/s3/Head.ts"
import * as List from "./internal/s3/List.ts"
import * as Read from "./internal/s3/Read.ts"
import * as Upload from "./internal/s3/Upload.ts"
import * as Writer from "./internal/s3/Writer.ts"
import { checkKey, checkPrefix, checkRange } from "./Key.ts"
import { ObjectStore, type Service } from "./ObjectStore.ts"
import { InvalidKey, NotFound, ObjectStoreError, Unsupported } from "./ObjectStoreError.ts"

/** A key pair of the store, for a while with a session token. */
export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Redacted.Redacted
  readonly sessionToken?: Redacted.Redacted | undefined
}

export interface Options {
  readonly bucket: string
  /** The folder within the bucket that holds the store; keys are relative to it. Default: the whole bucket. */
  readonly prefix?: string | undefined
  /** Default: what the SDK finds (`AWS_REGION`, the shared config file). */
  readonly region?: string | undefined
  /** The URL of a server that isn't Amazon's. */
  readonly endpoint?: string | undefined
  /** Puts the bucket into the path instead of the host name, as most servers that aren't Amazon's want it. Default false. */
  readonly forcePathStyle?: boolean | undefined
  /** Default: the SDK's chain (environment, shared files, SSO, the machine's role). */
  readonly credentials?: Credentials | undefined
  /**
   * Whether the server's `If-Match` on PUT lets only one of concurrent writers win. `"refused"` makes `putIfMatch` fail with `Unsupported`: for
   * servers that compare first and write later. Default `"trusted"`, which is right for Amazon S3.
   */
  readonly conditionalMatch?: "trusted" | "refused" | undefined
  /** Bytes of a part of an upload, 5 MiB at least; an object has at most 10,000 parts. Default 8 MiB. */
  readonly partSize?: number | undefined
  /** Parts of one upload that are sent at a time; an upload holds one more in memory. Default 4. */
  readonly parallelParts?: number | undefined
  /** How often a request is tried again after a passing failure. Default 6, over some five seconds. */
  readonly retries?: number | undefined
  /** How long a request may go without an answer, and an answer's body without going on. Default 30 seconds; what is
   * sent has as much again for each 4 MiB. */
  readonly timeout?: Duration.Input | undefined
}

const minPartSize = 5 << 20
/** What one request can delete. */
const deletedAtOnce = 1000
const batches = 4

const none: Effect.Effect<void> = Effect.void

/** The driver as a value; the scope's end closes its connections. Fails when there is no such bucket or the credentials aren't accepted. */
export const make = (options: Options): Effect.Effect<Service, ObjectStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const prefix = options.prefix ?? ""
    if (prefix !== "") yield* checkKey(prefix)
    const client = yield* Client.make(options)
    const { bucket, full, once, retry, sdk } = client
    const token = Writer.tokens()
    const tokenOf = (kind: Writer.Kind) => Effect.sync(() => token(kind))
    const part: Upload.Options = {
      partSize: Math.max(minPartSize, options.partSize ?? 8 << 20),
      parallel: Math.max(1, options.parallelParts ?? 4)
    }
    /** The rules of keys, and S3's limit on the whole name. */
    const check = (key: string) =>
      prefix === "" ? checkKey(key) : Effect.andThen(checkKey(key), Effect.mapError(checkKey(full(key)), named(key)))

    // A missing right to list is no obstacle to reading and writing.
    yield* retry(
      once((at) => sdk.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: full(""), MaxKeys: 1 }), at))
    ).pipe(
      Effect.catchIf(
        ({ kind }) => kind === "denied",
        () => none
      ),
      Effect.mapError(client.error(prefix, "list"))
    )

    const openWrite: Service["openWrite"] = (key) =>
      Effect.andThen(
        check(key),
        Effect.flatMap(tokenOf("upload"), (own) => Upload.open(client, key, own, part))
      )
    const headOf: Service["head"] = (key) =>
      Effect.andThen(check(key), Effect.mapError(head(client, key), client.error(key, "read"))).pipe(
        Effect.map((found) =>
          found === undefined
            ? undefined
            : { size: found.size, ...(found.etag === undefined ? {} : { etag: found.etag }) }
        )
      )
    /** Reading no bytes still says whether there is an object. */
    const mustExist = (key: string) =>
      Effect.flatMap(headOf(key), (found) =>
        found === undefined
          ? Effect.fail(new ObjectStoreError({ reason: new NotFound({ key }) }))
          : Effect.succeed(found)
      )

    const deleteBatch = (keys: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        const { Errors = [] } = yield* Effect.mapError(
          retry(
            once((at) =>
              sdk.send(
                new DeleteObjectsCommand({
                  Bucket: bucket,
                  Delete: { Objects: keys.map((key) => ({ Key: full(key) })), Quiet: true }
                }),
                at
              )
            )
          ),
          client.error(keys[0]!, "delete")
        )
        // What failed within an answer is deleted one by one, which tries again and tells why.
        const names = new Map(keys.map((key) => [full(key), key]))
        for (const { Code, Key } of Errors) {
          const key = names.get(Key ?? "")
          if (key !== undefined && Code !== "NoSuchKey") yield* remove(key)
        }
      })
    const remove = (key: string) =>
      Effect.asVoid(
        retry(once((at) => sdk.send(new DeleteObjectCommand({ Bucket: bucket, Key: full(key) }), at)))
      ).pipe(
        Effect.catchIf(
          ({ kind }) => kind === "absent",
          () => none
        ),
        Effect.mapError(client.error(key, "delete"))
      )

    return {
      get: (key) => Effect.andThen(check(key), Read.get(client, key)),
      getRange: (key, start, end) =>
        check(key).pipe(
          Effect.andThen(checkRange(key, start, end)),
          Effect.andThen(
            start === end ? Effect.as(mustExist(key), new Uint8Array()) : Read.getRange(client, key, { start, end })
          )
        ),
      getRanges: (key, ranges, { etag } = {}) =>
        Effect.gen(function* () {
          yield* check(key)
          for (const { end, start } of ranges) yield* checkRange(key, start, end)
          if (ranges.some(({ end, start }) => start < end)) return yield* Read.getRanges(client, key, ranges, etag)
          yield* mustExist(key)
          return ranges.map(() => new Uint8Array())
        }),
      head: headOf,
      put: (key, bytes) =>
        Effect.andThen(
          check(key),
          retry(
            once(
              (at) =>
                sdk.send(
                  new PutObjectCommand({ Bucket: bucket, Key: full(key), Body: bytes, ContentLength: bytes.length }),
                  at
                ),
              bytes.length
            )
          )
        ).pipe(
          Effect.asVoid,
          Effect.mapError((failure) => (failure instanceof Failure ? client.error(key, "write")(failure) : failure))
        ),
      putIfAbsent: (key, bytes) =>
        Effect.andThen(
          check(key),
          Effect.flatMap(tokenOf("create"), (own) => Conditional.create(client, key, bytes, own))
        ),
      putIfMatch: (key, bytes, etag) =>
        Effect.andThen(
          check(key),
          options.conditionalMatch === "refused"
            ? Effect.fail(
                new ObjectStoreError({
                  reason: new Unsupported({
                    key,
                    operation: "replace",
                    cause: new Error("this server's If-Match lets several writers win")
                  })
                })
              )
            : Effect.flatMap(tokenOf("replace"), (own) => Conditional.replace(client, key, bytes, etag, own))
        ),
      openWrite,
      putStream: putStream(openWrite),
      list: (from) => Stream.unwrap(Effect.map(checkPrefix(from), () => List.objects(client, from))),
      folders: (from) => Stream.unwrap(Effect.map(checkPrefix(from), () => List.folders(client, from))),
      delete: (key) => Effect.andThen(check(key), remove(key)),
      deleteMany: (keys) =>
        Effect.gen(function* () {
          for (const key of keys) yield* check(key)
          const wanted = [...new Set(keys)]
          const parts = Array.from({ length: Math.ceil(wanted.length / deletedAtOnce) }, (_, i) =>
            wanted.slice(i * deletedAtOnce, (i + 1) * deletedAtOnce)
          )
          yield* Effect.forEach(parts, deleteBatch, { concurrency: batches, discard: true })
        })
    }
  })

/** The error of the whole name, for the key that the caller knows. */
const named =
  (key: string) =>
  (error: ObjectStoreError): ObjectStoreError =>
    error.reason._tag === "InvalidKey"
      ? new ObjectStoreError({
          reason: new InvalidKey({ key, problem: `with the store's prefix, ${error.reason.problem}` })
        })
      : error

/** The driver. Fails when there is no such bucket or the credentials aren't accepted. */
export const layer = (options: Options): Layer.Layer<ObjectStore, ObjectStoreError> =>
  Layer.effect(ObjectStore, make(options))

const credentials = Config.all({
  accessKeyId: Config.String("ACCESS_KEY_ID"),
  secretAccessKey: Config.Redacted("SECRET_ACCESS_KEY"),
  sessionToken: Config.Redacted("SESSION_TOKEN").pipe(Config.option)
}).pipe(Config.option)

/**
 * How the store is reached, by configuration, all of it optional: `S3_REGION`, `S3_ENDPOINT`, `S3_FORCE_PATH_STYLE`, `S3_ACCESS_KEY_ID` with
 * `S3_SECRET_ACCESS_KEY` and `S3_SESSION_TOKEN`. What is absent is left to the SDK.
 */
export const accessConfig: Config.Config<Pick<Options, "region" | "endpoint" | "forcePathStyle" | "credentials">> =
  Config.all({
    region: Config.String("REGION").pipe(Config.option),
    endpoint: Config.String("ENDPOINT").pipe(Config.option),
    forcePathStyle: Config.Boolean("FORCE_PATH_STYLE").pipe(Config.option),
    credentials
  }).pipe(
    Config.nested("S3"),
    Config.map((config) => ({
      region: Option.getOrUndefined(config.region),
      endpoint: Option.getOrUndefined(config.endpoint),
      forcePathStyle: Option.getOrUndefined(config.forcePathStyle),
      credentials: Option.getOrUndefined(
        Option.map(config.credentials, ({ sessionToken, ...pair }) => ({
          ...pair,
          sessionToken: Option.getOrUndefined(sessionToken)
        }))
      )
    }))
  )

const placeConfig = Config.all({
  bucket: Config.String("BUCKET"),
  prefix: Config.String("PREFIX").pipe(Config.option)
}).pipe(Config.nested("S3"))

/** The driver by configuration: `S3_BUCKET`, optionally `S3_PREFIX`, and {@link accessConfig}. */
export const layerConfig: Layer.Layer<ObjectStore, ObjectStoreError | Config.ConfigError> = Layer.unwrap(
  Effect.map(Config.all({ place: placeConfig, access: accessConfig }), ({ access, place }) =>
    layer({ ...access, bucket: place.bucket, prefix: Option.getOrUndefined(place.prefix) })
  )
)
