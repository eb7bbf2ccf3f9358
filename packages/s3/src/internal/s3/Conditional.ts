/**
 * Conditional writes whose outcome is known or said to be unknown, never guessed.
 *
 * A response that is lost leaves open whether the write took effect. So does a refusal: runtimes and proxies send a request again by themselves
 * when a connection breaks, and what refuses the second may be the first. Each write therefore carries a token of its own in the object's
 * metadata, the same on every try, and whatever isn't a plain success is settled by the object's head. Equal bytes of two writers don't confuse it.
 *
 * | the head says                       | refused, no try open | create, a try open                  | replace, a try open |
 * | ----------------------------------- | -------------------- | ----------------------------------- | ------------------- |
 * | our token                           | won                  | won                                 | won                 |
 * | no object                           | lost                 | try again; unknown after a refusal¹ | unknown             |
 * | the etag that we would replace      | lost                 | —                                   | try again           |
 * | the token of another create         | lost                 | lost²                               | unknown³            |
 * | anything else                       | lost                 | unknown³                            | unknown³            |
 * | no answer, or no tries are left     | unknown              | unknown                             | unknown             |
 *
 * A try is open when its response was lost. ¹ The key was taken a moment ago, maybe by us. ² Unless ours was made and deleted before. ³ Ours may
 * have been made, then replaced.
 */
import { PutObjectCommand } from "@aws-sdk/client-s3"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { ObjectStoreError, Unknown } from "../../ObjectStoreError.ts"
import type { Client } from "./Client.ts"
import { type Failure, isTransient } from "./Failure.ts"
import { type Head, head } from "./Head.ts"
import * as Writer from "./Writer.ts"

class Again extends Data.TaggedError("Again")<{ readonly failure: Failure }> {}

/** How a write reads the answers. */
interface Rules<Won extends string, Lost extends string> {
  readonly operation: string
  readonly won: Won
  readonly lost: Lost
  readonly headers: { readonly IfNoneMatch: string } | { readonly IfMatch: string }
  /** Whether a refusal for certain means that the condition doesn't hold. */
  readonly isLost: (failure: Failure) => boolean
  /** What the head tells after a try whose outcome is open and that wasn't ours. */
  readonly read: (found: Head | undefined, refused: boolean) => Lost | "again" | "unknown"
}

const write = <Won extends string, Lost extends string>(
  client: Client,
  key: string,
  bytes: Uint8Array,
  token: string,
  rules: Rules<Won, Lost>
): Effect.Effect<Won | Lost, ObjectStoreError> =>
  Effect.suspend(() => {
    const { headers, isLost, lost, operation, read, won } = rules
    let open = false
    const unknown = (cause: Error) =>
      Effect.fail(new ObjectStoreError({ reason: new Unknown({ key, operation, cause }) }))
    const put = client.once(
      (options) =>
        client.sdk.send(
          new PutObjectCommand({
            Bucket: client.bucket,
            Key: client.full(key),
            Body: bytes,
            ContentLength: bytes.length,
            Metadata: { [Writer.header]: token },
            ...headers
          }),
          options
        ),
      bytes.length
    )
    const settle = (failure: Failure): Effect.Effect<Won | Lost, ObjectStoreError | Again> =>
      Effect.gen(function* () {
        const refused = isLost(failure)
        if (!refused && !isTransient(failure))
          return open ? yield* unknown(failure.cause) : yield* client.error(key, operation)(failure)
        if (!refused && !failure.refused) open = true
        if (!open && !refused) return yield* new Again({ failure })
        const found = yield* Effect.catch(head(client, key), ({ cause }) => unknown(cause))
        if (found?.writer === token) return won
        if (!open) return lost
        const told = read(found, refused)
        if (told === "unknown") return yield* unknown(failure.cause)
        if (told === "again") return yield* new Again({ failure })
        return told
      })
    return Effect.matchEffect(put, { onSuccess: () => Effect.succeed(won), onFailure: settle }).pipe(
      Effect.retry({ schedule: client.schedule, while: (error) => error instanceof Again }),
      Effect.catchTag("Again", ({ failure }) =>
        open ? unknown(failure.cause) : Effect.fail(client.error(key, operation)(failure))
      )
    )
  })

/** From here on a look first is cheaper than a body that may be refused; servers tend to break off such a one instead of answering. */
const large = 1 << 20

/** Creates the object unless the key is taken. */
export const create = (
  client: Client,
  key: string,
  bytes: Uint8Array,
  token: string
): Effect.Effect<"created" | "exists", ObjectStoreError> =>
  Effect.gen(function* () {
    if (bytes.length >= large) {
      const found = yield* Effect.mapError(head(client, key), client.error(key, "create"))
      if (found !== undefined) return "exists"
    }
    return yield* write(client, key, bytes, token, {
      operation: "create",
      won: "created",
      lost: "exists",
      headers: { IfNoneMatch: "*" },
      isLost: ({ kind }) => kind === "precondition",
      read: (found, refused) => {
        if (found === undefined) return refused ? "unknown" : "again"
        return Writer.isCreate(found.writer) ? "exists" : "unknown"
      }
    })
  })

/** Replaces the object if it still has the etag. */
export const replace = (
  client: Client,
  key: string,
  bytes: Uint8Array,
  etag: string,
  token: string
): Effect.Effect<"replaced" | "changed", ObjectStoreError> =>
  Effect.gen(function* () {
    if (bytes.length >= large) {
      const found = yield* Effect.mapError(head(client, key), client.error(key, "replace"))
      if (found?.etag !== etag) return "changed"
    }
    return yield* write(client, key, bytes, token, {
      operation: "replace",
      won: "replaced",
      lost: "changed",
      headers: { IfMatch: etag },
      isLost: ({ kind }) => kind === "precondition" || kind === "absent",
      read: (found) => (found?.etag === etag ? "again" : "unknown")
    })
  })
