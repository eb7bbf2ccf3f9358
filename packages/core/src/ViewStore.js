/**
 * The port of a view store: it keeps a version's state, offsets, watermarks, counts, late records and dead letters, and shows the state as
 * SQL views.
 *
 * **Atomicity.** One `commit` is one transaction: everything in it or nothing, together with the offsets (rule 3).
 * **Fencing.** `acquire` issues a new epoch for a version and takes its lock until the scope closes (the operating system releases it when
 * the process dies); a commit whose (epoch, offset) isn't the stored one fails with `Fenced` and changes nothing (rule 7).
 * **State.** A version's state is *partials* by (key, window, source partition). A commit carries deltas since the last one, which the
 * store merges: counts and sums add, minima and maxima compare, distinct values join a set. State is never read back to fold on.
 * **Visibility.** `<view>__v<N>` exists from the moment that the version is ready; `<view>` is the promoted version, swapped in one
 * transaction. A reader sees committed states only.
 *
 * The contract suite is `@headrace/core/contract/ViewStoreContract`; every driver runs it.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import { NewerFormat, StorageFailed } from "./EventLog.ts"
export class VersionNotFound extends Schema.TaggedError()("VersionNotFound", {
  view: Schema.String,
  version: Schema.Int
}) {
  get message() {
    return `version ${this.version} of view "${this.view}" is not in the store: build it with "headrace replay ${this.view} --version ${this.version}" or "headrace run"`
  }
}
export class VersionNotReady extends Schema.TaggedError()("VersionNotReady", {
  view: Schema.String,
  version: Schema.Int
}) {
  get message() {
    return `version ${this.version} of view "${this.view}" is half built: finish its replay before it is promoted`
  }
}
export class VersionPromoted extends Schema.TaggedError()("VersionPromoted", {
  view: Schema.String,
  version: Schema.Int
}) {
  get message() {
    return `version ${this.version} of view "${this.view}" is the promoted one: promote another before you drop it`
  }
}
export class VersionExists extends Schema.TaggedError()("VersionExists", {
  view: Schema.String,
  version: Schema.Int,
  difference: Schema.String
}) {
  get message() {
    return `version ${this.version} of view "${this.view}" was built from another declaration: ${this.difference}. Declare version ${this.version + 1}, or drop this one`
  }
}
export class Fenced extends Schema.TaggedError()("Fenced", {
  view: Schema.String,
  version: Schema.Int,
  partition: Schema.Int,
  detail: Schema.String
}) {
  get message() {
    return `a commit to "${this.view}" version ${this.version} partition ${this.partition} was fenced: ${this.detail}`
  }
}
export class LockedBy extends Schema.TaggedError()("LockedBy", {
  view: Schema.String,
  version: Schema.Int,
  owner: Schema.String
}) {
  get message() {
    return `version ${this.version} of view "${this.view}" is being written by ${this.owner}: stop that process first`
  }
}
export class Overflow extends Schema.TaggedError()("Overflow", {
  view: Schema.String,
  version: Schema.Int,
  detail: Schema.String
}) {
  get message() {
    return `an exact sum of "${this.view}" version ${this.version} left the store's 64-bit integers: ${this.detail}`
  }
}
export class InvalidName extends Schema.TaggedError()("InvalidName", { name: Schema.String }) {
  get message() {
    return `"${this.name}" can't name a view, key or aggregate: use a letter, then letters, digits and single underscores`
  }
}
/** The one error of a view store. */
export class ViewStoreError extends Schema.TaggedError()("ViewStoreError", {
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
  get message() {
    return this.reason.message
  }
}
export class ViewStore extends Context.Service()("@headrace/core/ViewStore") {}
