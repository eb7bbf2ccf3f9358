/** Named points of a commit, at which tests stop it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Where a commit is; `COMMIT.md` says what is on disk at each, and what a restart does. */
export type Point =
  /** The data files are in the store; nothing of the commit is. */
  | "after-data"
  /** The manifest of the added files is written (if there are any). */
  | "after-manifest"
  /** Small manifests were merged into new ones (if there were too many). */
  | "after-merge"
  | "after-manifest-list"
  /** The metadata file is there: committed. */
  | "after-metadata"
  | "after-hint"

/** Called at every point; does nothing unless a test provides something else. */
export const CommitPoint = Context.Reference<(point: Point) => Effect.Effect<void>>("@headrace/iceberg/CommitPoint", {
  defaultValue: () => () => Effect.void
})
