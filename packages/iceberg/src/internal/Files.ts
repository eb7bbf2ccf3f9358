/** The table's files in the object store: paths and keys, reading, and writing once. */
import { ObjectStore } from "@headrace/s3/ObjectStore"
import { type ObjectStoreError, Unknown } from "@headrace/s3/ObjectStoreError"
import * as Effect from "effect/Effect"
import { corrupt, IcebergError, MissingFile, Store, unsupported } from "../IcebergError.ts"
import type { TableMetadata } from "../Metadata.ts"

interface Located {
  readonly prefix: string
  readonly metadata: TableMetadata
}

/** A key below a prefix. */
export const join = (prefix: string, relative: string): string => (prefix === "" ? relative : `${prefix}/${relative}`)

/** `file:/a`, `file:///a` and `/a` are one path, and `s3a://b` is `s3://b`; no slash at the end. */
const normal = (path: string): string =>
  path
    .replace(/^file:\/*/, "/")
    .replace(/^s3[an]:/, "s3:")
    .replace(/\/+$/, "")

export const pathOf = ({ metadata }: Located, relative: string): string =>
  `${metadata.location.replace(/\/+$/, "")}/${relative}`

export const keyOf = ({ metadata, prefix }: Located, path: string): Effect.Effect<string, IcebergError> => {
  const root = `${normal(metadata.location)}/`
  const full = normal(path)
  return full.startsWith(root)
    ? Effect.succeed(join(prefix, full.slice(root.length)))
    : Effect.fail(unsupported(path, `a place outside the table's location ${metadata.location}`))
}

export const storeError =
  (file: string) =>
  ({ reason }: ObjectStoreError): IcebergError =>
    new IcebergError({ reason: new Store({ file, cause: reason }) })

/** A file that must be there. */
export const read = (
  table: Located,
  path: string,
  kind: string
): Effect.Effect<Uint8Array, IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    return yield* store
      .get(yield* keyOf(table, path))
      .pipe(
        Effect.mapError((error) =>
          error.reason._tag === "NotFound"
            ? new IcebergError({ reason: new MissingFile({ kind, file: path }) })
            : storeError(path)(error)
        )
      )
  })

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

/**
 * Creates an object that nobody else may have made. Answers "lost" when another content is there. A lost response is settled by reading
 * back: content is unique, so bytes that equal ours are ours, and writing them again can't do harm. "unknown" when that settles nothing.
 */
export const create = (
  key: string,
  bytes: Uint8Array
): Effect.Effect<"created" | "lost" | "unknown", ObjectStoreError, ObjectStore> =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    for (let attempt = 0, mayHaveLanded = false; attempt < attempts; attempt++) {
      if (attempt > 1) yield* Effect.sleep(50 * 2 ** attempt)
      const outcome = yield* store.putIfAbsent(key, bytes).pipe(
        Effect.catchIf(
          (error) => mayHaveLanded || error.reason._tag === "Unknown",
          () => Effect.succeed("unknown" as const)
        )
      )
      if (outcome === "created") return "created"
      mayHaveLanded = true
      const found = yield* Effect.orElseSucceed(store.get(key), () => undefined)
      if (found !== undefined) return same(found, bytes) ? "created" : "lost"
    }
    return "unknown"
  })

const attempts = 5

/** Writes a file of a name of its own (it holds a UUID). */
export const write = (
  table: Located,
  path: string,
  bytes: Uint8Array
): Effect.Effect<void, IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const outcome = yield* Effect.mapError(create(yield* keyOf(table, path), bytes), storeError(path))
    if (outcome === "lost") return yield* corrupt(path, "another writer has made a file of this name")
    if (outcome === "unknown") {
      const cause = new Unknown({ key: path, operation: "create", cause: new Error("asked again without an answer") })
      return yield* new IcebergError({ reason: new Store({ file: path, cause }) })
    }
  })

/** Deletes files that nothing refers to. A failure leaves an orphan, which harms nobody. */
export const remove = (table: Located, paths: Iterable<string>): Effect.Effect<void, never, ObjectStore> =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    yield* Effect.forEach(
      paths,
      (path) => Effect.ignore(Effect.flatMap(keyOf(table, path), (key) => store.delete(key))),
      { discard: true }
    )
  })
