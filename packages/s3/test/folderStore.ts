import { FolderObjectStore } from "@headrace/s3"
import { Effect, Layer } from "effect"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A folder that is there for the scope. */
export const folder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(join(tmpdir(), "headrace-s3-"))),
  (path) => Effect.promise(() => fs.rm(path, { recursive: true, force: true }))
)

/** A folder of its own for each time that the layer is built. */
export const folderStore = Layer.unwrap(Effect.map(folder, (path) => FolderObjectStore.layer({ path })))
