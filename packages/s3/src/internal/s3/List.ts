/** Listings, page by page. */
import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from "@aws-sdk/client-s3"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { compareKeys } from "../../Key.ts"
import type { ObjectInfo } from "../../ObjectStore.ts"
import { ObjectStoreError, Unsupported } from "../../ObjectStoreError.ts"
import type { Client } from "./Client.ts"

/** Keys come encoded, since XML can't hold every character; a server that doesn't encode them says so. */
const decoder = (page: ListObjectsV2CommandOutput): ((text: string) => string) =>
  page.EncodingType === "url" ? (text) => decodeURIComponent(text.replaceAll("+", " ")) : (text) => text

/** Who resumes after a key would lose objects if the server had another order. */
const outOfOrder = (prefix: string, before: string, key: string) =>
  new ObjectStoreError({
    reason: new Unsupported({
      key: prefix,
      operation: "list",
      cause: new Error(`the server lists "${key}" after "${before}", which isn't the order of their UTF-8 bytes`)
    })
  })

/** A listing that ends early would pass for a whole one. */
const brokenOff = (prefix: string) =>
  new ObjectStoreError({
    reason: new Unsupported({
      key: prefix,
      operation: "list",
      cause: new Error("the server's listing breaks off without a token to go on by")
    })
  })

const pages = <A>(
  client: Client,
  prefix: string,
  delimiter: string | undefined,
  read: (page: ListObjectsV2CommandOutput, keyOf: (text: string) => string) => ReadonlyArray<A>,
  nameOf: (entry: A) => string
): Stream.Stream<A, ObjectStoreError> => {
  const root = client.full("").length
  return Stream.fromPull(
    Effect.sync(() => {
      let token: string | undefined
      let last = ""
      let ended = false
      const next = Effect.suspend(() =>
        client.retry(
          client.once((options) =>
            client.sdk.send(
              new ListObjectsV2Command({
                Bucket: client.bucket,
                Prefix: client.full(prefix),
                EncodingType: "url",
                ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
                ...(token === undefined ? {} : { ContinuationToken: token })
              }),
              options
            )
          )
        )
      )
      const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<A>, ObjectStoreError> = Effect.gen(function* () {
        while (!ended) {
          const page = yield* Effect.mapError(next, client.error(prefix, "list"))
          token = page.NextContinuationToken
          ended = page.IsTruncated !== true
          if (!ended && token === undefined) return yield* brokenOff(prefix)
          const decode = decoder(page)
          const found = read(page, (text) => decode(text).slice(root))
          for (const entry of found) {
            const name = nameOf(entry)
            if (compareKeys(last, name) > 0) return yield* outOfOrder(prefix, last, name)
            last = name
          }
          if (Arr.isReadonlyArrayNonEmpty(found)) return found
        }
        return yield* Cause.done()
      })
      return pull
    })
  )
}

/** Objects by prefix. What consoles leave as signs of folders (empty, with a slash at the end) are none. */
export const objects = (client: Client, prefix: string): Stream.Stream<ObjectInfo, ObjectStoreError> =>
  pages(
    client,
    prefix,
    undefined,
    ({ Contents = [] }, keyOf) => {
      const out: Array<ObjectInfo> = []
      for (const { Key = "", Size: size = 0 } of Contents) {
        const key = keyOf(Key)
        if (key !== "" && !(size === 0 && key.endsWith("/"))) out.push({ key, size })
      }
      return out
    },
    ({ key }) => key
  )

/** Folders right below a prefix. */
export const folders = (client: Client, prefix: string): Stream.Stream<string, ObjectStoreError> =>
  pages(
    client,
    prefix,
    "/",
    ({ CommonPrefixes = [] }, keyOf) =>
      CommonPrefixes.flatMap(({ Prefix }) => (Prefix === undefined ? [] : [keyOf(Prefix)])),
    (folder) => folder
  )
