/**
 * The object store port. Objects are whole byte strings under slash-separated keys; there are no folders, appends or renames.
 *
 * Its one primitive of coordination that every driver has is `putIfAbsent` (S3's `If-None-Match: *`). The comments below are the specification; every driver runs
 * the suite in `contract/ObjectStoreContract.ts`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { ObjectStoreError } from "./ObjectStoreError.ts"

/** What is known of an object without reading it. `size` in bytes; `etag` changes whenever the content is replaced, and is opaque. */
export interface ObjectHead {
  readonly size: number
  readonly etag?: string
}

/** An object in a listing. `size` in bytes. */
export interface ObjectInfo {
  readonly key: string
  readonly size: number
}

/** The bytes `[start, end)` of an object. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** An upload under way. Calls are made one after the other; nothing may be written after `finish`. */
export interface ObjectWriter {
  /** Appends bytes, which the caller may reuse when the effect ends. Waits for the storage, so memory stays bounded, but for a store in memory. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ObjectStoreError>
  /** Makes the object appear, whole and durable, replacing one under the same key. */
  readonly finish: Effect.Effect<ObjectHead, ObjectStoreError>
}

/**
 * A store of objects.
 *
 * - **Keys** follow `Key.checkKey`; any other fails with `InvalidKey` and touches nothing. A portable program never uses a key that is also
 *   the folder of another (`a` and `a/b`): a folder driver refuses it with `InvalidKey`.
 * - **Whole or not at all**: a reader sees an object's old content or its new one, never a part, whenever the writer dies.
 * - **Durable**: what a successful write wrote survives a power loss.
 * - **Read after write**: a successful write or delete is seen by every later read and listing, from any process.
 * - Bytes that are handed in may be reused after the effect ends, and those handed out belong to the caller.
 */
export interface Service {
  /** The whole object. Fails with `NotFound` when there is none. */
  readonly get: (key: string) => Effect.Effect<Uint8Array, ObjectStoreError>
  /**
   * The bytes `[start, end)`. A range that reaches beyond the object is cut at its end, so one that begins there is empty. Fails with
   * `NotFound` when there is no object (even for an empty range) and with `InvalidRange` unless `0 ≤ start ≤ end`.
   */
  readonly getRange: (key: string, start: number, end: number) => Effect.Effect<Uint8Array, ObjectStoreError>
  /**
   * Several ranges of one object, each as `getRange` gives it, in the order asked for; they may overlap. Ranges that lie near each other are
   * read by one request, so the parts may share a buffer. All come from one content of the object: with `etag`, the one with that etag. Fails
   * with `Changed` when the object was replaced meanwhile, with `NotFound` when there is none.
   */
  readonly getRanges: (
    key: string,
    ranges: ReadonlyArray<Range>,
    options?: { readonly etag?: string | undefined }
  ) => Effect.Effect<ReadonlyArray<Uint8Array>, ObjectStoreError>
  /** Size and etag, or `undefined` when there is no object. */
  readonly head: (key: string) => Effect.Effect<ObjectHead | undefined, ObjectStoreError>
  /** Writes the object, replacing one under the same key. Of concurrent writes one is last, and it wins whole. */
  readonly put: (key: string, bytes: Uint8Array) => Effect.Effect<void, ObjectStoreError>
  /**
   * Creates the object unless the key is taken: of any number of concurrent calls for a free key, from any number of processes, exactly one
   * answers `"created"`. Fails with `Unknown` when the driver can't tell which happened, never with a guess.
   */
  readonly putIfAbsent: (key: string, bytes: Uint8Array) => Effect.Effect<"created" | "exists", ObjectStoreError>
  /**
   * Replaces the object if it still has this etag: `"changed"` when it has another or is gone. Of any number of concurrent calls with one etag
   * exactly one answers `"replaced"` (unless what it writes has that etag again). Fails with `Unknown` when the driver can't tell which
   * happened, and with `Unsupported`, changing nothing, where the storage can't compare and replace in one step.
   */
  readonly putIfMatch: (
    key: string,
    bytes: Uint8Array,
    etag: string
  ) => Effect.Effect<"replaced" | "changed", ObjectStoreError>
  /** Opens an upload. Closing the scope without `finish` leaves no object and no trace in listings. */
  readonly openWrite: (key: string) => Effect.Effect<ObjectWriter, ObjectStoreError, Scope.Scope>
  /** Uploads a stream with bounded memory, as `openWrite`; when the stream fails, an object under the key stays as it was. */
  readonly putStream: <E, R>(
    key: string,
    bytes: Stream.Stream<Uint8Array, E, R>
  ) => Effect.Effect<ObjectHead, ObjectStoreError | E, R>
  /**
   * The objects whose key begins with `prefix` (a string prefix, not a folder), in key order (`Key.compareKeys`: by UTF-8 bytes). An object
   * that is written or deleted meanwhile may or may not be in it; all others are, once. Read page by page.
   */
  readonly list: (prefix: string) => Stream.Stream<ObjectInfo, ObjectStoreError>
  /**
   * The folders right below a prefix: what keys that begin with `prefix` have up to and with the next slash after it, each once, in key
   * order. `folders("")` gives `a/` for `a/b` and `a/c/d`, and nothing for `e`.
   */
  readonly folders: (prefix: string) => Stream.Stream<string, ObjectStoreError>
  /** Deletes the object. Succeeds when there is none. */
  readonly delete: (key: string) => Effect.Effect<void, ObjectStoreError>
  /** Deletes objects, many to a request; those that aren't there count as deleted. When one fails the others may be deleted or not. */
  readonly deleteMany: (keys: ReadonlyArray<string>) => Effect.Effect<void, ObjectStoreError>
}

/** The port; drivers are `S3ObjectStore.layer`, `FolderObjectStore.layer` and `MemoryObjectStore.layer`. */
export class ObjectStore extends Context.Service<ObjectStore, Service>()("@headrace/s3/ObjectStore") {}
