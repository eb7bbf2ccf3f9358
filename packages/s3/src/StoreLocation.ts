/** Where a store is, as one text that a command or a setting takes: a folder's path, or `s3://bucket/prefix`. */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FolderObjectStore from "./FolderObjectStore.ts"
import type { ObjectStore } from "./ObjectStore.ts"
import type { ObjectStoreError } from "./ObjectStoreError.ts"

/** A bucket, and the folder within it that holds the store. */
export interface Bucket {
  readonly bucket: string
  readonly prefix: string | undefined
}

/** Whether the text names a bucket on S3 rather than a folder. */
export const isS3 = (location: string): boolean => location.startsWith("s3://")

/** The bucket of `s3://bucket/prefix`, slashes at its end aside; `undefined` when it names none. */
export const bucketOf = (location: string): Bucket | undefined => {
  const [, bucket, prefix = ""] = /^s3:\/\/([^/]+)\/?(.*?)\/*$/.exec(location) ?? []
  return bucket === undefined ? undefined : { bucket, prefix: prefix === "" ? undefined : prefix }
}

/**
 * The store there. How S3 is reached comes from `S3ObjectStore.accessConfig`; the SDK is loaded only for it. Throws a `TypeError` when an
 * `s3://` location names no bucket.
 */
export const layer = (location: string): Layer.Layer<ObjectStore, ObjectStoreError | Config.ConfigError> => {
  if (!isS3(location)) return FolderObjectStore.layer({ path: location })
  const place = bucketOf(location)
  if (place === undefined) throw new TypeError(`"${location}" names no bucket: write s3://bucket/prefix`)
  return Layer.unwrap(
    Effect.gen(function* () {
      const S3ObjectStore = yield* Effect.promise(() => import("./S3ObjectStore.ts"))
      const access = yield* S3ObjectStore.accessConfig
      return S3ObjectStore.layer({ ...access, ...place })
    })
  )
}
