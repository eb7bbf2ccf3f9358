/** Objects as rows, and a folder of them as a log, on a real server. */
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Effect, Layer } from "effect"
import { access, bucket } from "integration-suite/S3Access"
import { logSuite } from "./logSuite.ts"
import { versitygw } from "./servers.ts"
import { sourceSuite } from "./sourceSuite.ts"

const store = Layer.unwrap(
  Effect.map(bucket(versitygw), (name) => S3ObjectStore.layer({ ...access(versitygw), bucket: name }))
)
sourceSuite("versitygw", store)
logSuite("versitygw", store)
