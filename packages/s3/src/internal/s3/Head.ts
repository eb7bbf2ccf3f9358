/** An object's head. */
import { GetObjectCommand, HeadObjectCommand } from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import type { ObjectHead } from "../../ObjectStore.ts"
import type { Client } from "./Client.ts"
import { cut, type Failure } from "./Failure.ts"
import * as Writer from "./Writer.ts"

/** With who wrote the object, if that was told. */
export interface Head extends ObjectHead {
  readonly writer: string | undefined
}

/** The head, or `undefined` when there is no object. */
export const head = (client: Client, key: string): Effect.Effect<Head | undefined, Failure> => {
  const at = { Bucket: client.bucket, Key: client.full(key) }
  const asked = Effect.gen(function* () {
    const found = yield* client.once((options) => client.sdk.send(new HeadObjectCommand(at), options))
    if (found.ContentLength === undefined) return yield* cut("the head has no length")
    return {
      size: found.ContentLength,
      ...(found.ETag === undefined ? {} : { etag: found.ETag }),
      writer: found.Metadata?.[Writer.header]
    }
  })
  // The answer to HEAD has no body, so a refusal doesn't say why: a GET's does.
  const why = client.once(async (options) => {
    const { Body } = await client.sdk.send(new GetObjectCommand({ ...at, Range: "bytes=0-0" }), options)
    await Body?.transformToByteArray()
  })
  return client
    .retry(
      asked.pipe(
        Effect.catchIf(
          ({ status }) => status === 400 || status === 403,
          (failure) => Effect.andThen(why, Effect.fail(failure))
        )
      )
    )
    .pipe(
      Effect.catchIf(
        ({ kind }) => kind === "absent",
        () => Effect.succeed(undefined)
      )
    )
}
