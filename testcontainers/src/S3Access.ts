/** What reaches a server that S3.ts starts, and buckets on it. */
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { randomUUID } from "node:crypto"
import { accessKeyId, region, secretAccessKey } from "./S3Keys.ts"

/** Options of `S3ObjectStore`, but for the bucket. */
export const access = (endpoint: string) => ({
  endpoint,
  region,
  forcePathStyle: true,
  credentials: { accessKeyId, secretAccessKey: Redacted.make(secretAccessKey) }
})

/** What `S3ObjectStore.accessConfig` reads. */
export const environment = (endpoint: string): Readonly<Record<string, string>> => ({
  S3_ENDPOINT: endpoint,
  S3_REGION: region,
  S3_FORCE_PATH_STYLE: "true",
  S3_ACCESS_KEY_ID: accessKeyId,
  S3_SECRET_ACCESS_KEY: secretAccessKey
})

/** The SDK's own client. */
export const sdk = (endpoint: string): S3Client =>
  new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } })

/** Makes a bucket and gives its name. */
export const bucket = (endpoint: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const name = `test-${randomUUID()}`
    const client = sdk(endpoint)
    await client.send(new CreateBucketCommand({ Bucket: name }))
    client.destroy()
    return name
  })
