/**
 * Files that appear whole or not at all: written under a temporary name in the target's folder, flushed, then renamed (replace) or linked
 * (create if absent), then the folder is flushed. A process that dies before the last step leaves a temporary file, which listings ignore.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { temporaryPrefix } from "../Key.ts"
import { ObjectStoreError, Unknown, Unsupported } from "../ObjectStoreError.ts"
import { codeOf, fromErrno } from "./errno.ts"

/** A temporary file under way. `open` until it is sealed; `path` is gone once it is renamed. */
export interface Temporary {
  readonly key: string
  readonly target: string
  readonly path: string
  readonly handle: fs.FileHandle
  size: number
  open: boolean
}

class OpenFailed extends Data.TaggedError("OpenFailed")<{ readonly cause: unknown }> {}

/** Flushes a folder's entries. Where folders can't be opened (Windows), there is nothing to flush. */
const syncFolder = async (folder: string): Promise<void> => {
  try {
    const handle = await fs.open(folder, "r")
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (!["EISDIR", "EPERM", "EINVAL", "ENOTSUP"].includes(codeOf(cause))) throw cause
  }
}

/** Makes a folder and its parents, and flushes the entry of each that is new. */
export const makeFolder = async (folder: string): Promise<void> => {
  const first = await fs.mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    await syncFolder(path.dirname(at))
    if (at === path.resolve(first) || at === path.dirname(at)) return
  }
}

/** Opens a temporary file beside `target`. Two processes that draw the same name don't share it: the second draws again. */
export const open = (key: string, target: string): Effect.Effect<Temporary, ObjectStoreError> =>
  Effect.flatMap(Random.nextInt, (drawn) =>
    Effect.tryPromise({
      try: async (): Promise<Temporary> => {
        const folder = path.dirname(target)
        await makeFolder(folder)
        const temporary = path.join(folder, temporaryPrefix + Math.abs(drawn).toString(36))
        return { key, target, path: temporary, handle: await fs.open(temporary, "wx"), size: 0, open: true }
      },
      catch: (cause) => new OpenFailed({ cause })
    })
  ).pipe(
    Effect.retry({ times: 8, while: (failed) => codeOf(failed.cause) === "EEXIST" }),
    Effect.mapError((failed) => fromErrno(key, "write")(failed.cause))
  )

/** Appends bytes. */
export const write = (file: Temporary, bytes: Uint8Array): Effect.Effect<void, ObjectStoreError> =>
  Effect.uninterruptible(
    Effect.tryPromise({
      try: async () => {
        if (!file.open) throw new Error("the upload is finished")
        for (let at = 0; at < bytes.length;) {
          const { bytesWritten } = await file.handle.write(bytes, at, bytes.length - at, file.size)
          at += bytesWritten
          file.size += bytesWritten
        }
      },
      catch: fromErrno(file.key, "write")
    })
  )

const seal = async (file: Temporary): Promise<void> => {
  if (!file.open) throw new Error("the upload is finished")
  await file.handle.sync()
  file.open = false
  await file.handle.close()
}

const isFolder = (target: string): Promise<boolean> =>
  fs.stat(target).then(
    (stats) => stats.isDirectory(),
    () => false
  )

/** Makes the object appear, replacing one of the same key. */
export const replace = (file: Temporary): Effect.Effect<void, ObjectStoreError> =>
  Effect.uninterruptible(
    Effect.tryPromise({
      try: async () => {
        await seal(file)
        await fs.rename(file.path, file.target)
        await syncFolder(path.dirname(file.target))
      },
      catch: fromErrno(file.key, "write")
    })
  )

/** Makes the object appear unless the key is taken. A flush that fails after the link leaves it unknown whether the object will last. */
export const create = (file: Temporary): Effect.Effect<"created" | "exists", ObjectStoreError> => {
  const { key, target } = file
  const link = async (): Promise<"created" | "exists"> => {
    await seal(file)
    try {
      await fs.link(file.path, target)
      return "created"
    } catch (cause) {
      if (codeOf(cause) !== "EEXIST" || (await isFolder(target))) throw cause
      return "exists"
    }
  }
  const noLinks = (cause: unknown) =>
    codeOf(cause) === "EPERM"
      ? new ObjectStoreError({ reason: new Unsupported({ key, operation: "create", cause }) })
      : fromErrno(key, "create")(cause)
  const unknown = (cause: unknown) => new ObjectStoreError({ reason: new Unknown({ key, operation: "create", cause }) })
  return Effect.tryPromise({ try: link, catch: noLinks }).pipe(
    Effect.tap((outcome) =>
      outcome === "created"
        ? Effect.tryPromise({ try: () => syncFolder(path.dirname(target)), catch: unknown })
        : Effect.void
    ),
    Effect.uninterruptible
  )
}

/** Closes and removes what is left of a temporary file; never fails. */
export const discard = (file: Temporary): Effect.Effect<void> =>
  Effect.promise(async () => {
    if (file.open) await file.handle.close().catch(() => undefined)
    file.open = false
    await fs.unlink(file.path).catch(() => undefined)
  })
