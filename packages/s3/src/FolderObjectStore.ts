/**
 * The object store in a local folder: an object is a file, its key the path below the folder. Processes of one machine may share it.
 *
 * Files of other programs under the folder count as objects. Unfinished files (`.headrace-tmp-*`) don't; those that a crash left may be
 * deleted while no writer runs. `putIfAbsent` needs a file system with hard links; `putIfMatch` is unsupported, since no file system compares and
 * replaces a file in one step.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { BigIntStats } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as DurableFile from "./internal/DurableFile.ts"
import { codeOf, fromErrno } from "./internal/errno.ts"
import { plan } from "./internal/rangePlan.ts"
import { foldersBelow, walk } from "./internal/walk.ts"
import { putStream } from "./internal/putStream.ts"
import { checkKey, checkPrefix, checkRange } from "./Key.ts"
import { type ObjectHead, ObjectStore, type Range, type Service } from "./ObjectStore.ts"
import { Changed, NotFound, ObjectStoreError, Unsupported } from "./ObjectStoreError.ts"

/** `path` is the folder, absolute or relative to the working directory when the layer is built; it is made when missing. */
export interface Options {
  readonly path: string
}

const noCompare = new Error("a folder can't compare and replace in one step")
const deletedAtOnce = 16

const absent = ["ENOENT", "ENOTDIR", "EISDIR"]

const etagOf = (stats: BigIntStats) => `"${stats.mtimeNs}-${stats.size}-${stats.ino}"`

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
        return { size: Number(stats.size), etag: etagOf(stats) }
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
    const remove = (key: string) =>
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
      getRanges: (key, ranges, { etag } = {}) =>
        Effect.gen(function* () {
          yield* checkKey(key)
          for (const { end, start } of ranges) yield* checkRange(key, start, end)
          const found = yield* read(key, (file) => readRanges(file, ranges, etag))
          return found ?? (yield* new ObjectStoreError({ reason: new Changed({ key, expected: etag ?? "" }) }))
        }),
      head: (key) => read(key, head),
      put: writing(DurableFile.replace),
      putIfAbsent: writing(DurableFile.create),
      putIfMatch: (key) =>
        Effect.andThen(
          checkKey(key),
          Effect.fail(
            new ObjectStoreError({ reason: new Unsupported({ key, operation: "replace", cause: noCompare }) })
          )
        ),
      openWrite,
      putStream: putStream(openWrite),
      list: (prefix) => Stream.unwrap(Effect.map(checkPrefix(prefix), () => walk(root, prefix))),
      folders: (prefix) => Stream.unwrap(Effect.map(checkPrefix(prefix), () => foldersBelow(root, prefix))),
      delete: (key) => Effect.andThen(checkKey(key), remove(key)),
      deleteMany: (keys) =>
        Effect.gen(function* () {
          for (const key of keys) yield* checkKey(key)
          yield* Effect.forEach(keys, remove, { concurrency: deletedAtOnce, discard: true })
        })
    }
  })

/** A file that is open keeps its content, whatever is put under its name meanwhile. */
const withFile = async <A>(file: string, f: (handle: fs.FileHandle, stats: BigIntStats) => Promise<A>): Promise<A> => {
  const handle = await fs.open(file, "r")
  try {
    const stats = await handle.stat({ bigint: true })
    if (!stats.isFile()) throw Object.assign(new Error("a folder"), { code: "EISDIR" })
    return await f(handle, stats)
  } finally {
    await handle.close()
  }
}

const readPart = async (handle: fs.FileHandle, size: number, { end, start }: Range): Promise<Uint8Array> => {
  const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start))
  let filled = 0
  while (filled < bytes.length) {
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, start + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled === bytes.length ? bytes : bytes.slice(0, filled)
}

const readRange = (file: string, start: number, end: number): Promise<Uint8Array> =>
  withFile(file, (handle, { size }) => readPart(handle, Number(size), { start, end }))

/** `undefined` when the file's etag isn't the expected one. */
const readRanges = (
  file: string,
  ranges: ReadonlyArray<Range>,
  etag: string | undefined
): Promise<ReadonlyArray<Uint8Array> | undefined> =>
  withFile(file, async (handle, stats) => {
    if (etag !== undefined && etagOf(stats) !== etag) return undefined
    const out: Array<Uint8Array> = ranges.map(() => new Uint8Array())
    // The file system reads ahead, so only ranges that touch are read as one.
    for (const { answers, end, start } of plan(ranges, { gap: 0, limit: 1 << 24 })) {
      const bytes = await readPart(handle, Number(stats.size), { start, end })
      for (const i of answers) out[i] = bytes.subarray(ranges[i]!.start - start, ranges[i]!.end - start)
    }
    return out
  })

/** The driver. Fails when the folder can't be made. */
export const layer = (options: Options): Layer.Layer<ObjectStore, ObjectStoreError> =>
  Layer.effect(ObjectStore, make(options))
