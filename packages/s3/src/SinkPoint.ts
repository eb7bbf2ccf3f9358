/** Named points of the object sink, at which tests stop it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Where a sink is; `docs/object-sink.md` says what is in the store at each, and what a restart does. */
export type Point =
  /** A group of rows was handed to an upload, which doesn't appear yet. */
  | "after-part"
  /** The late rows that wait are in the store. */
  | "after-parked"
  /** The intent is written. */
  | "after-intent"
  /** The first of the commit's files appeared. */
  | "after-first-file"
  /** All files of the commit appeared. */
  | "after-complete"
  /** Next is the commit. */
  | "before-commit"
  /** The commit is there; nothing is cleared up. */
  | "after-commit"

/** Called at every point; does nothing unless a test provides something else. */
export const SinkPoint = Context.Reference<(point: Point) => Effect.Effect<void>>("@headrace/s3/SinkPoint", {
  defaultValue: () => () => Effect.void
})
