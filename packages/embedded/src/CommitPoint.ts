/** Named points inside the transaction of a commit, at which tests stop it. */
import * as Context from "effect/Context"

export type Point =
  /** The offsets are written; the state isn't. */
  | "after-positions"
  /** Everything is written; the transaction isn't committed. */
  | "before-commit"

/** Called at every point; does nothing unless a test provides something else. What it throws rolls the transaction back. */
export const CommitPoint = Context.Reference<(point: Point) => void>("@headrace/embedded/CommitPoint", {
  defaultValue: () => () => {}
})
