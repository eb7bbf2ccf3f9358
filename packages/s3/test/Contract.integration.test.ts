/** The contract on real servers, and on the drivers without one. */
import { FolderObjectStore, MemoryObjectStore } from "@headrace/s3"
import * as ObjectStoreContract from "@headrace/s3/contract/ObjectStoreContract"
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Effect, Layer } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { access, bucket } from "integration-suite/S3Access"
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
ObjectStoreContract.suite(
  "folder",
  Layer.unwrap(
    Effect.map(
      Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "headrace-s3-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
      ),
      (path) => FolderObjectStore.layer({ path })
    )
  ),
  { conditionalMatch: false }
)
