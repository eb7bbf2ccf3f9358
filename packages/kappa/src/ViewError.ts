/** What can go wrong while a view is run, replayed, compared or promoted. */
import { OneLogError } from "@headrace/archive/OneLog"
import { ChangeSinkError } from "@headrace/core/ChangeSink"
import { ViewStoreError } from "@headrace/core/ViewStore"
import * as Schema from "effect/Schema"

/** An expression of the view asks for what the declaration doesn't give it. */
export class DeclarationInvalid extends Schema.TaggedError<DeclarationInvalid>()("DeclarationInvalid", {
  view: Schema.String,
  version: Schema.Int,
  detail: Schema.String
}) {
  override get message() {
    return `view "${this.view}" version ${this.version}: ${this.detail}`
  }
}
/** Two versions stand at different offsets, so a comparison would compare different inputs. */
export class PositionsDiffer extends Schema.TaggedError<PositionsDiffer>()("PositionsDiffer", {
  view: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `the versions of view "${this.view}" stand at different offsets: ${this.detail}. Let both catch up (run or replay), then compare`
  }
}
/** Two versions have no common shape: other keys or another window. */
export class NotComparable extends Schema.TaggedError<NotComparable>()("NotComparable", {
  view: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `the versions of view "${this.view}" can't be compared row by row: ${this.detail}`
  }
}
/** There is no earlier promoted version to go back to. */
export class NothingToRollBack extends Schema.TaggedError<NothingToRollBack>()("NothingToRollBack", {
  view: Schema.String
}) {
  override get message() {
    return `view "${this.view}" has no earlier promoted version to roll back to: promote another one first`
  }
}
/** A replay worker ended without a result. What was committed stands: another replay goes on from there. */
export class WorkerFailed extends Schema.TaggedError<WorkerFailed>()("WorkerFailed", {
  view: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `a replay worker of view "${this.view}" failed: ${this.detail}`
  }
}

/** The store is ahead of the change stream: the version was folded without its output, so what changed can't be told any more. */
export class OutputBehind extends Schema.TaggedError<OutputBehind>()("OutputBehind", {
  view: Schema.String,
  version: Schema.Int,
  topic: Schema.String,
  partition: Schema.Int,
  /** Next offsets of the source partition. */
  stream: Schema.Int,
  store: Schema.Int
}) {
  override get message() {
    return `the changes of view "${this.view}" version ${this.version} in "${this.topic}" stop before offset ${this.stream} of partition ${this.partition}, but the store holds it up to ${this.store}: it was folded without its output. Drop the version and run it again with the output, or name another topic, which begins with all rows`
  }
}
/** The topic holds the changes of something else. */
export class OutputOfAnother extends Schema.TaggedError<OutputOfAnother>()("OutputOfAnother", {
  view: Schema.String,
  version: Schema.Int,
  topic: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `"${this.topic}" can't take the changes of view "${this.view}" version ${this.version}: ${this.detail}. Declare version ${this.version + 1}, or name another topic`
  }
}

/** The one error of this package. */
export class ViewError extends Schema.TaggedError<ViewError>()("ViewError", {
  reason: Schema.Union([
    DeclarationInvalid,
    PositionsDiffer,
    NotComparable,
    NothingToRollBack,
    WorkerFailed,
    OutputBehind,
    OutputOfAnother,
    OneLogError,
    ViewStoreError,
    ChangeSinkError
  ])
}) {
  override get message() {
    return this.reason.message
  }
}

/** Wraps a reason of the layers below. */
export const wrap = (reason: ViewError["reason"]): ViewError => new ViewError({ reason })
