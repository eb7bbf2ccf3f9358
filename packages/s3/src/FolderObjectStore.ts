/**
 * The object store in a local folder: an object is a file, its key the path below the folder. Processes of one machine may share it.
 *
 * Files of other programs under the folder count as objects. Unfinished files (`.headrace-tmp-*`) don't; those that a crash left may be
 * deleted while no writer runs. `putIfAbsent` needs a file system with hard links.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as DurableFile from "./internal/DurableFile.ts"
import { codeOf, fromErrno } from "./internal/errno.ts"
import { walk } from "./internal/walk.ts"
import { putStream } from "./internal/putStream.ts"
import { checkKey, checkPrefix, checkRange } from "./Key.ts"
import { type ObjectHead, ObjectStore, type Service } from "./ObjectStore.ts"
import { NotFound, ObjectStoreError } from "./ObjectStoreError.ts"

/** `path` is the folder, absolute or relative to the working directory when the layer is built; it is made when missing. */
export interface Options {
  readonly path: string
}

const absent = ["ENOENT", "ENOTDIR", "EISDIR"]

/** The driver as a value. Fails when the folder can't be made. */
export const make = (options: Options): Effect.Effect<Service, ObjectStoreError> =>
  Effect.gen(function* () {
    const root = path.resolve(options.path)
    yield* Effect.tryPromise({ try: () => DurableFile.makeFolder(root), catch: fromErrno(root, "create") })
    const pathOf = (key: string) => path.join(root, ...key.split("/"))
    const read = <A>(key: string, f: (file: string) => Promise<A>) =>
      Effect.andThen(checkKey(key), Effect.tryPromise({ try: () => f(pathOf(key)), catch: fromErrno(key, "read") }))
    const head = async (file: string): Promise<ObjectHead | undefined> => {
      try {
        const stats = await fs.stat(file, { bigint: true })
        if (!stats.isFile()) return undefined
        return { size: Number(stats.size), etag: `"${stats.mtimeNs}-${stats.size}-${stats.ino}"` }
      } catch (cause) {
        if (absent.includes(codeOf(cause))) return undefined
        throw cause
      }
    }
    const temporary = (key: string) =>
      Effect.andThen(
        checkKey(key),
        Effect.suspend(() => DurableFile.open(key, pathOf(key)))
      )
    const writing =
      <A>(publish: (file: DurableFile.Temporary) => Effect.Effect<A, ObjectStoreError>) =>
      (key: string, bytes: Uint8Array) =>
        Effect.acquireUseRelease(
          temporary(key),
          (file) => Effect.andThen(DurableFile.write(file, bytes), publish(file)),
          DurableFile.discard
        )
    const openWrite: Service["openWrite"] = (key) =>
      Effect.map(Effect.acquireRelease(temporary(key), DurableFile.discard), (file) => ({
        write: (bytes) => DurableFile.write(file, bytes),
        finish: DurableFile.replace(file).pipe(
          Effect.andThen(read(key, head)),
          Effect.filterOrFail(
            (found) => found !== undefined,
            () => new ObjectStoreError({ reason: new NotFound({ key }) })
          )
        )
      }))
    return {
      get: (key) =>
        read(key, async (file) => {
          const bytes = await fs.readFile(file)
          // A small buffer may be a part of Node's pool, which the caller couldn't transfer.
          return bytes.length === bytes.buffer.byteLength ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes)
        }),
      getRange: (key, start, end) =>
        Effect.andThen(
          checkRange(key, start, end),
          read(key, (file) => readRange(file, start, end))
        ),
      head: (key) => read(key, head),
      put: writing(DurableFile.replace),
      putIfAbsent: writing(DurableFile.create),
      openWrite,
      putStream: putStream(openWrite),
      list: (prefix) => Stream.unwrap(Effect.map(checkPrefix(prefix), () => walk(root, prefix))),
      delete: (key) =>
        Effect.andThen(
          checkKey(key),
          Effect.tryPromise({
            try: async () => {
              try {
                await fs.unlink(pathOf(key))
              } catch (cause) {
                // A folder is no object; Linux answers EISDIR, macOS EPERM, and Deno ENOTEMPTY.
                if ([...absent, "ENOTEMPTY"].includes(codeOf(cause))) return
                if (codeOf(cause) === "EPERM" && (await fs.stat(pathOf(key))).isDirectory()) return
                throw cause
              }
            },
            catch: fromErrno(key, "delete")
          })
        )
    }
  })

const readRange = async (file: string, start: number, end: number): Promise<Uint8Array> => {
  const handle = await fs.open(file, "r")
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw Object.assign(new Error("a folder"), { code: "EISDIR" })
    const bytes = new Uint8Array(Math.max(0, Math.min(end, stats.size) - start))
    let filled = 0
    while (filled < bytes.length) {
      const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, start + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return filled === bytes.length ? bytes : bytes.slice(0, filled)
  } finally {
    await handle.close()
  }
}

/** The driver. Fails when the folder can't be made. */
export const layer = (options: Options): Layer.Layer<ObjectStore, ObjectStoreError> =>
  Layer.effect(ObjectStore, make(options))
