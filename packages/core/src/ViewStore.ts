/**
 * The port of a view store: it keeps a version's state, offsets, watermarks, counts, late records and dead letters, and shows the state as
 * SQL views.
 *
 * **Atomicity.** One `commit` is one transaction: everything in it or nothing, together with the offsets (rule 3).
 * **Fencing.** `acquire` issues an epoch that the store has never issued before, and takes the version's lock until the scope closes (the
 * operating system releases it when the process dies); a commit whose (epoch, offset) isn't the stored one fails with `Fenced` and changes
 * nothing (rule 7).
 * **State.** A version's state is *partials* by (key, window, source partition). A commit carries deltas since the last one, which the
 * store merges: counts and sums add, minima and maxima compare, distinct values join a set. State is never read back to fold on.
 * **Looking ahead.** `preview` does all that `commit` would and takes it back: it tells what the commit will change, so that a change stream
 * can be committed before the state is. Nothing comes between while the lease is held, so the commit then does change just that.
 * **Visibility.** `<view>__v<N>` exists from the moment that the version is ready; `<view>` is the promoted version, swapped in one
 * transaction. A reader sees committed states only.
 *
 * The contract suite is `@headrace/core/contract/ViewStoreContract`; every driver runs it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { NewerFormat, StorageFailed } from "./EventLog.ts"

/** The type of a key or of an aggregate's input; a decimal's values are scaled integers. */
export type ValueType =
  | { readonly kind: "string" | "integer" | "boolean" | "date" | "instant" }
  | { readonly kind: "decimal"; readonly scale: number }

/** An aggregate as the store keeps it. `avg` keeps (sum, count) and rounds HALF_UP to `places` when it is read. */
export type AggregateSpec =
  | { readonly name: string; readonly kind: "count" }
  | { readonly name: string; readonly kind: "sum" | "min" | "max" | "countDistinct"; readonly type: ValueType }
  | { readonly name: string; readonly kind: "avg"; readonly type: ValueType; readonly places: number }

/** What the store must know of a version: the shape of its state. */
export interface VersionSpec {
  readonly view: string
  /** A whole number from 1. */
  readonly version: number
  readonly topic: string
  readonly keys: ReadonlyArray<{ readonly name: string; readonly type: ValueType }>
  /** Window length in milliseconds, or `undefined` for a view without windows. */
  readonly windowSize: number | undefined
  readonly aggregates: ReadonlyArray<AggregateSpec>
  /** Canonical text of the declaration, and a hash of the source bytes of its module and the modules of the project that it imports. */
  readonly declaration: string
  readonly source: string
}

/** Counts of a partition since its first record: `read = applied + filtered + late + deadLettered`. */
export interface Counts {
  readonly read: number
  readonly applied: number
  readonly filtered: number
  readonly late: number
  readonly deadLettered: number
}

/** The first offset of a partition that a version folds. */
export interface Start {
  readonly partition: number
  readonly offset: number
}

/** How far a version is in one partition. */
export interface Position {
  readonly partition: number
  /** The next offset to fold. */
  readonly next: number
  /** Largest event time so far in epoch milliseconds; -Infinity before the first. */
  readonly maxEventTime: number
  readonly counts: Counts
}

/** A key's or an aggregate's value in columns. `bigint` only beyond the safe integers. */
export type StateValue = string | number | bigint | boolean | null

/**
 * Rows of partials, by column. `values` has, per aggregate in the declared order: for count, sum, min and max one column; for avg two, its
 * sum and then its count; for countDistinct none. A null sum, minimum or maximum means that no value was there.
 */
export interface PartialRows {
  readonly count: number
  readonly keys: ReadonlyArray<ReadonlyArray<StateValue>>
  /** Starts of the windows, or `undefined` for a view without windows. */
  readonly windows: ReadonlyArray<number> | undefined
  readonly values: ReadonlyArray<ReadonlyArray<StateValue>>
  /** Per countDistinct aggregate, in the declared order: the values seen, by row of these partials. */
  readonly sets: ReadonlyArray<ReadonlyArray<ReadonlySet<StateValue>>>
}

/** A record that came after its window had closed. */
export interface LateRow {
  readonly offset: number
  readonly eventTime: number
  readonly windowStart: number
  /** The selected columns as canonical JSON. */
  readonly columns: string
}

/** A record that could not be used; see `DeadLetter`. Key and value are null where the source didn't load them. */
export interface DeadRow {
  readonly offset: number
  readonly reason: string
  readonly detail: string
  readonly timestamp: number | null
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** Headers as JSON: an array of [key, base64 value or null]. */
  readonly headers: string
}

/** What a version did with the records `[from, position.next)` of a partition. */
export interface Commit {
  /** The offset that the partition must stand at. */
  readonly from: number
  /** Where it stands after this commit; counts are totals, not differences. */
  readonly position: Position
  readonly partials: PartialRows
  readonly late: ReadonlyArray<LateRow>
  readonly dead: ReadonlyArray<DeadRow>
}

/** `building`: catching up, invisible. `ready`: visible as `<view>__v<N>`. */
export type Status = "building" | "ready"

/** The right to write to a version. */
export interface Lease {
  readonly view: string
  readonly version: number
  readonly epoch: number
}

export interface VersionInfo {
  readonly view: string
  readonly version: number
  readonly status: Status
  readonly promoted: boolean
  readonly declaration: string
  readonly source: string
  readonly topic: string
  readonly topicId: string
  /** Where its history began, by partition: the first offset that log or archive held when it was registered. */
  readonly starts: ReadonlyArray<Start>
  readonly positions: ReadonlyArray<Position>
}

/** One merged row in exact form: keys, the window's start if there are windows, then a value per aggregate; for avg two, its sum and its count. */
export type ViewRow = ReadonlyArray<StateValue>

/** A merged row before and after a commit; undefined where there is none. At least one of the two is there. */
export interface RowChange {
  readonly before: ViewRow | undefined
  readonly after: ViewRow | undefined
}

export class VersionNotFound extends Schema.TaggedError<VersionNotFound>()("VersionNotFound", {
  view: Schema.String,
  version: Schema.Int
}) {
  override get message() {
    return `version ${this.version} of view "${this.view}" is not in the store: build it with "headrace replay ${this.view} --version ${this.version}" or "headrace run"`
  }
}
export class VersionNotReady extends Schema.TaggedError<VersionNotReady>()("VersionNotReady", {
  view: Schema.String,
  version: Schema.Int
}) {
  override get message() {
    return `version ${this.version} of view "${this.view}" is half built: finish its replay before it is promoted`
  }
}
export class VersionPromoted extends Schema.TaggedError<VersionPromoted>()("VersionPromoted", {
  view: Schema.String,
  version: Schema.Int
}) {
  override get message() {
    return `version ${this.version} of view "${this.view}" is the promoted one: promote another before you drop it`
  }
}
export class VersionExists extends Schema.TaggedError<VersionExists>()("VersionExists", {
  view: Schema.String,
  version: Schema.Int,
  difference: Schema.String
}) {
  override get message() {
    return `version ${this.version} of view "${this.view}" was built from another declaration: ${this.difference}. Declare version ${this.version + 1}, or drop this one`
  }
}
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", {
  view: Schema.String,
  version: Schema.Int,
  partition: Schema.Int,
  detail: Schema.String
}) {
  override get message() {
    return `a commit to "${this.view}" version ${this.version} partition ${this.partition} was fenced: ${this.detail}`
  }
}
export class LockedBy extends Schema.TaggedError<LockedBy>()("LockedBy", {
  view: Schema.String,
  version: Schema.Int,
  owner: Schema.String
}) {
  override get message() {
    return `version ${this.version} of view "${this.view}" is being written by ${this.owner}: stop that process first`
  }
}
export class Overflow extends Schema.TaggedError<Overflow>()("Overflow", {
  view: Schema.String,
  version: Schema.Int,
  detail: Schema.String
}) {
  override get message() {
    return `an exact value of "${this.view}" version ${this.version} left the store's 64-bit integers: ${this.detail}`
  }
}
export class InvalidName extends Schema.TaggedError<InvalidName>()("InvalidName", {
  name: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `"${this.name}" can't name a view, key or aggregate: ${this.detail}`
  }
}

/** The one error of a view store. */
export class ViewStoreError extends Schema.TaggedError<ViewStoreError>()("ViewStoreError", {
  reason: Schema.Union([
    VersionNotFound,
    VersionNotReady,
    VersionPromoted,
    VersionExists,
    Fenced,
    LockedBy,
    Overflow,
    InvalidName,
    NewerFormat,
    StorageFailed
  ])
}) {
  override get message() {
    return this.reason.message
  }
}

export interface Service {
  /** All versions of all views, by view and version. */
  readonly versions: Effect.Effect<ReadonlyArray<VersionInfo>, ViewStoreError>
  readonly version: (view: string, version: number) => Effect.Effect<VersionInfo, ViewStoreError>
  /**
   * Makes the version known, with its state empty and its partitions at `start`; a known one is checked: another declaration, source or
   * topic id fails with `VersionExists` and what differs. New partitions are added at their start. A view's first version is ready and
   * promoted at once (there is nothing else to read), any other is `building`.
   */
  readonly register: (
    spec: VersionSpec,
    topic: {
      readonly id: string
      readonly starts: ReadonlyArray<Start>
    }
  ) => Effect.Effect<VersionInfo, ViewStoreError>
  /** Takes the version's lock for the scope and issues a new epoch; `owner` is shown to whoever is refused meanwhile. */
  readonly acquire: (view: string, version: number, owner: string) => Effect.Effect<Lease, ViewStoreError, Scope.Scope>
  /** Applies the commits of one or more partitions in one transaction. */
  readonly commit: (lease: Lease, commits: ReadonlyArray<Commit>) => Effect.Effect<void, ViewStoreError>
  /**
   * The merged rows of all (keys, window) that the commits touch, each once, as they are and as they will be; the state stays as it is. Fails
   * as the commit would, and with `Overflow` where a merged row can't be told. Costs about what the commit does, and for a countDistinct the size of the touched sets.
   */
  readonly preview: (
    lease: Lease,
    commits: ReadonlyArray<Commit>
  ) => Effect.Effect<ReadonlyArray<RowChange>, ViewStoreError>
  /** Marks a version as caught up and shows it as `<view>__v<N>`. */
  readonly ready: (lease: Lease) => Effect.Effect<void, ViewStoreError>
  /** Makes `<view>` the given version, in one transaction. It must be ready. Gives the version promoted before, if any. */
  readonly promote: (view: string, version: number) => Effect.Effect<number | undefined, ViewStoreError>
  /** The versions that were promoted, latest first. */
  readonly promotions: (view: string) => Effect.Effect<ReadonlyArray<number>, ViewStoreError>
  /** Removes a version and its state. The promoted one is refused with `VersionPromoted`. */
  readonly drop: (view: string, version: number) => Effect.Effect<void, ViewStoreError>
  /** Removes all versions of a view, the promoted one and the name that readers use too, in one transaction. Gives their numbers. */
  readonly dropView: (view: string) => Effect.Effect<ReadonlyArray<number>, ViewStoreError>
  /** The version's declaration as it was registered. */
  readonly spec: (view: string, version: number) => Effect.Effect<VersionSpec, ViewStoreError>
  /** Merged rows in exact form, ordered by keys (text by code point) and window, from one consistent state. */
  readonly rows: (view: string, version: number) => Stream.Stream<ViewRow, ViewStoreError>
  /** Late records by partition and offset. */
  readonly late: (
    view: string,
    version: number
  ) => Stream.Stream<LateRow & { readonly partition: number }, ViewStoreError>
  /** Dead letters by partition and offset. */
  readonly dead: (
    view: string,
    version: number
  ) => Stream.Stream<DeadRow & { readonly partition: number }, ViewStoreError>
}

export class ViewStore extends Context.Service<ViewStore, Service>()("@headrace/core/ViewStore") {}
