/** The contract on real servers, and on the drivers without one. */
import { MemoryObjectStore } from "@headrace/s3"
import * as ObjectStoreContract from "@headrace/s3/contract/ObjectStoreContract"
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Effect, Layer } from "effect"
import { access, bucket } from "integration-suite/S3Access"
import { folderStore } from "./folderStore.ts"
import { s3proxy, versitygw } from "./servers.ts"

const onServer = (endpoint: string, options: Partial<S3ObjectStore.Options>) =>
  Layer.unwrap(
    Effect.map(bucket(endpoint), (name) => S3ObjectStore.layer({ ...access(endpoint), bucket: name, ...options }))
  )

ObjectStoreContract.suite("versitygw", onServer(versitygw, {}))
ObjectStoreContract.suite("versitygw, below a prefix", onServer(versitygw, { prefix: "a b/ü+%/c" }))
// Its If-Match lets up to ten of concurrent writers win, so it promises none; it orders keys by UTF-16.
ObjectStoreContract.suite("S3Proxy", onServer(s3proxy, { conditionalMatch: "refused" }), {
  conditionalMatch: false,
  byteOrder: false
})
ObjectStoreContract.suite("memory", MemoryObjectStore.layer)
ObjectStoreContract.suite("folder", folderStore, { conditionalMatch: false })
