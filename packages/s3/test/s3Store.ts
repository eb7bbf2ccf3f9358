/** The driver on the suite's first server. */
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Effect, Layer } from "effect"
import { access, bucket } from "integration-suite/S3Access"
import { versitygw } from "./servers.ts"

/** An empty bucket for each time that the layer is built. */
export const s3Store = Layer.unwrap(
  Effect.map(bucket(versitygw), (name) => S3ObjectStore.layer({ ...access(versitygw), bucket: name }))
)
