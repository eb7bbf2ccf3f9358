/** A listing of a folder in key order, a page at a time. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Dirent } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { compareKeys, temporaryPrefix } from "../Key.ts"
import type { ObjectInfo } from "../ObjectStore.ts"
import type { ObjectStoreError } from "../ObjectStoreError.ts"
import { codeOf, fromErrno } from "./errno.ts"

const pageSize = 1000

/** Something to visit: a folder's key ends with a slash, so that sorting by it gives the order of the keys below (`a-b` < `a.b` < `a/b`). */
interface Entry {
  readonly key: string
  readonly folder: boolean
}

const gone = ["ENOENT", "ENOTDIR"]

const entries = async (root: string, folder: string, prefix: string): Promise<ReadonlyArray<Entry>> => {
  let found: ReadonlyArray<Dirent>
  try {
    found = await fs.readdir(path.join(root, folder), { withFileTypes: true })
  } catch (cause) {
    if (gone.includes(codeOf(cause))) return []
    throw cause
  }
  const out: Array<Entry> = []
  for (const entry of found) {
    if (entry.name.startsWith(temporaryPrefix)) continue
    const isFolder = entry.isDirectory()
    if (!isFolder && !entry.isFile() && !entry.isSymbolicLink()) continue
    const key = folder + entry.name + (isFolder ? "/" : "")
    if (key.startsWith(prefix) || (isFolder && prefix.startsWith(key))) out.push({ key, folder: isFolder })
  }
  return out.sort((a, b) => compareKeys(b.key, a.key))
}

const sizeOf = async (file: string): Promise<number | undefined> => {
  try {
    const stats = await fs.stat(file)
    return stats.isFile() ? stats.size : undefined
  } catch (cause) {
    if (gone.includes(codeOf(cause))) return undefined
    throw cause
  }
}

/** The objects below `root` whose key begins with `prefix`, in key order. */
export const walk = (root: string, prefix: string): Stream.Stream<ObjectInfo, ObjectStoreError> =>
  Stream.fromPull(
    Effect.sync(() => {
      // Sorted downwards, so that the next entry is the last.
      const stack: Array<Entry> = [{ key: prefix.slice(0, prefix.lastIndexOf("/") + 1), folder: true }]
      const page = async (): Promise<ReadonlyArray<ObjectInfo>> => {
        const out: Array<ObjectInfo> = []
        while (out.length < pageSize) {
          const entry = stack.pop()
          if (entry === undefined) break
          if (entry.folder) {
            for (const child of await entries(root, entry.key, prefix)) stack.push(child)
          } else {
            const size = await sizeOf(path.join(root, entry.key))
            if (size !== undefined) out.push({ key: entry.key, size })
          }
        }
        return out
      }
      const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<ObjectInfo>, ObjectStoreError> = Effect.filterOrElse(
        Effect.tryPromise({ try: page, catch: fromErrno(prefix, "list") }),
        Arr.isReadonlyArrayNonEmpty,
        () => Cause.done()
      )
      return pull
    })
  )

/** The folders right below a prefix, in key order; a folder without any object isn't one. */
export const foldersBelow = (root: string, prefix: string): Stream.Stream<string, ObjectStoreError> => {
  const parent = prefix.slice(0, prefix.lastIndexOf("/") + 1)
  const found = Effect.tryPromise({
    try: async () =>
      (await entries(root, parent, prefix)).filter(({ folder, key }) => folder && key.startsWith(prefix)),
    catch: fromErrno(prefix, "list")
  })
  return Stream.unwrap(Effect.map(found, (all) => Stream.fromArray(all.map(({ key }) => key).reverse()))).pipe(
    Stream.filterEffect((key) => Effect.map(Stream.runHead(walk(root, key)), Option.isSome))
  )
}
