/** The real servers of the integration suite, and buckets on them. */
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3"
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Effect, Redacted } from "effect"
import { accessKeyId, region, secretAccessKey } from "integration-suite/S3"
import { randomUUID } from "node:crypto"

const endpointOf = (name: string): string => {
  const endpoint = process.env[name]
  if (endpoint === undefined) throw new Error(`${name} isn't set; run this file by pnpm test:integration s3`)
  return endpoint
}

export const versitygw = endpointOf("HEADRACE_S3_VERSITYGW")
export const s3proxy = endpointOf("HEADRACE_S3_S3PROXY")

/** What reaches a server, but for the bucket. */
export const access = (endpoint: string) =>
  ({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey: Redacted.make(secretAccessKey) }
  }) satisfies Omit<S3ObjectStore.Options, "bucket">

/** The SDK's own client. */
export const sdk = (endpoint: string): S3Client =>
  new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } })

/** A new bucket. */
export const bucket = (endpoint: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const name = `test-${randomUUID()}`
    const client = sdk(endpoint)
    await client.send(new CreateBucketCommand({ Bucket: name }))
    client.destroy()
    return name
  })
