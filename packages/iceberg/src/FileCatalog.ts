/**
 * Tables kept by nothing but an object store: version N of a table is the file `metadata/v<N>.metadata.json`, and whoever creates it first
 * has committed it. Safe as long as every writer creates it only if absent. Spark's Hadoop catalog reads the same layout.
 *
 * `metadata/version-hint.text` is only a cache: stale, missing or garbled, it costs a listing. One that is ahead of every version is refused
 * with `MissingFile`: it is written after a commit, so that commit's file was lost. Metadata files are never deleted here: a writer
 * that slept through a deletion could otherwise create an old version anew and fork the table.
 */
import { ObjectStore } from "@headrace/s3/ObjectStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Field } from "./Field.ts"
import {
  CommitUnknown,
  IcebergError,
  invalid,
  MissingFile,
  TableExists,
  TableNotFound,
  unsupported
} from "./IcebergError.ts"
import * as Files from "./internal/Files.ts"
import * as Uuid from "./internal/uuid.ts"
import * as Metadata from "./Metadata.ts"
import * as PartitionSpec from "./PartitionSpec.ts"
import * as Schema from "./Schema.ts"
import type { Table } from "./Table.ts"

/** A new table. */
export interface CreateOptions {
  /** Where it lives in the object store, without slashes at the ends; "" is the whole store. */
  readonly prefix: string
  /** The same place as other engines see it: an absolute path, or a URI such as `s3://bucket/prefix`. Paths in its metadata begin with it. */
  readonly location: string
  readonly fields: ReadonlyArray<Field>
  readonly partitionBy?: ReadonlyArray<PartitionSpec.PartitionBy>
  readonly properties?: Readonly<Record<string, string>>
}

const fileOf = (version: number) => `metadata/v${version}.metadata.json`
const hintOf = (prefix: string) => Files.join(prefix, "metadata/version-hint.text")
/** Versions to look for beyond the hint before listing. */
const probes = 8

/** The newest version by the hint and a look beyond it, else by a listing. */
const newest = (prefix: string): Effect.Effect<number | undefined, IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const has = (version: number) => {
      const key = Files.join(prefix, fileOf(version))
      return Effect.mapBoth(store.head(key), {
        onFailure: Files.storeError(key),
        onSuccess: (head) => head !== undefined
      })
    }
    const hintKey = hintOf(prefix)
    const hint = yield* store.get(hintKey).pipe(
      Effect.map((bytes) => new TextDecoder().decode(bytes).trim()),
      Effect.catchReason("ObjectStoreError", "NotFound", () => Effect.succeed("")),
      Effect.mapError(Files.storeError(hintKey))
    )
    const hinted = /^[1-9]\d{0,14}$/.test(hint) ? Number(hint) : undefined
    if (hinted !== undefined && (yield* has(hinted))) {
      for (let version = hinted; version < hinted + probes; version++) {
        if (!(yield* has(version + 1))) return version
      }
    }
    const listed = Files.join(prefix, "metadata/v")
    const found = yield* Stream.runFold(
      store.list(listed),
      (): { version: number; compressed: boolean } => ({ version: 0, compressed: false }),
      (best, { key }) => {
        const match = /^(\d{1,15})(\.gz)?\.metadata\.json(\.gz)?$/.exec(key.slice(listed.length))
        const version = Number(match?.[1] ?? 0)
        return version > best.version ? { version, compressed: (match?.[2] ?? match?.[3]) !== undefined } : best
      }
    ).pipe(Effect.mapError(Files.storeError(listed)))
    if (found.compressed) return yield* unsupported(`${listed}${found.version}`, "compressed metadata")
    // The hint follows the commit, so one that is ahead of every version tells of a version that was lost: never fall back in silence.
    if (hinted !== undefined && hinted > found.version) {
      const file = Files.join(prefix, fileOf(hinted))
      return yield* new IcebergError({
        reason: new MissingFile({ kind: "metadata (named by version-hint.text)", file })
      })
    }
    return found.version === 0 ? undefined : found.version
  })

/**
 * Loads the newest version of a table. Fails with `TableNotFound`, `MissingFile` or `Corrupt` (metadata), `UnsupportedFormat` (another
 * format version), or `Store`.
 */
export const load = Effect.fn("FileCatalog.load")(function* (options: {
  readonly prefix: string
}): Effect.fn.Return<Table, IcebergError, ObjectStore> {
  const { prefix } = options
  const version = yield* newest(prefix)
  if (version === undefined) return yield* new IcebergError({ reason: new TableNotFound({ prefix }) })
  const store = yield* ObjectStore
  const key = Files.join(prefix, fileOf(version))
  const bytes = yield* store
    .get(key)
    .pipe(
      Effect.mapError((error) =>
        error.reason._tag === "NotFound"
          ? new IcebergError({ reason: new MissingFile({ kind: "metadata", file: key }) })
          : Files.storeError(key)(error)
      )
    )
  return { prefix, version, metadata: yield* Effect.fromResult(Metadata.parse(bytes, key)) }
})

/** Creates a table. Fails with `TableExists`, `InvalidInput`, `CommitUnknown` or `Store`. */
export const create = Effect.fn("FileCatalog.create")(function* (
  options: CreateOptions
): Effect.fn.Return<Table, IcebergError, ObjectStore> {
  const { prefix, properties } = options
  const location = options.location.replace(/\/+$/, "")
  if (!/^([A-Za-z][A-Za-z0-9+.-]*:\/|\/)/.test(location))
    return yield* invalid(`the location "${options.location}" is no absolute path or URI`)
  if (/^\/|\/$/.test(prefix)) return yield* invalid(`the prefix "${prefix}" begins or ends with a slash`)
  const assigned = yield* Effect.fromResult(Schema.fromFields(options.fields))
  const spec = yield* Effect.fromResult(PartitionSpec.make(options.partitionBy ?? [], assigned.fields))
  if ((yield* newest(prefix)) !== undefined) return yield* new IcebergError({ reason: new TableExists({ prefix }) })
  const made = {
    "format-version": 2 as const,
    "table-uuid": yield* Uuid.make,
    location,
    "last-sequence-number": 0,
    "last-updated-ms": yield* Clock.currentTimeMillis,
    "last-column-id": assigned.lastColumnId,
    "current-schema-id": 0,
    schemas: [assigned.schema],
    "default-spec-id": 0,
    "partition-specs": [spec],
    "last-partition-id": 999 + spec.fields.length,
    "default-sort-order-id": 0,
    "sort-orders": [{ "order-id": 0, fields: [] }],
    properties: { ...properties },
    // Older Java readers need the member, and know −1 for none.
    "current-snapshot-id": -1,
    refs: {},
    snapshots: [],
    statistics: [],
    "snapshot-log": [],
    "metadata-log": []
  }
  const table: Table = { prefix, version: 0, metadata: made }
  const outcome = yield* publish(table, made, made["table-uuid"])
  if (outcome === "conflict") return yield* new IcebergError({ reason: new TableExists({ prefix }) })
  yield* writeHint(prefix, 1)
  return { ...table, version: 1 }
})

/**
 * The atomic step: makes `next` the version after `table`'s, unless another writer has made one. A commit whose response was lost is
 * recognised as one's own. Fails with `CommitUnknown` when the store can't tell even when asked again, else with `Store`: not committed.
 * `id` names the commit in the error.
 */
export const publish = (
  table: Table,
  next: Metadata.TableMetadata,
  id: string
): Effect.Effect<"committed" | "conflict", IcebergError, ObjectStore> =>
  Effect.gen(function* () {
    const key = Files.join(table.prefix, fileOf(table.version + 1))
    const outcome = yield* Effect.mapError(Files.create(key, Metadata.print(next)), Files.storeError(key))
    if (outcome === "unknown") {
      return yield* new IcebergError({ reason: new CommitUnknown({ file: key, snapshotId: id }) })
    }
    return outcome === "created" ? "committed" : "conflict"
  })

/** Writes the hint; a failure is no loss. */
export const writeHint = (prefix: string, version: number): Effect.Effect<void, never, ObjectStore> =>
  Effect.flatMap(ObjectStore, (store) =>
    Effect.ignore(store.put(hintOf(prefix), new TextEncoder().encode(`${version}`)))
  )

/** The full path of a table's metadata file. */
export const metadataFile = (table: Table): string => Files.pathOf(table, fileOf(table.version))
