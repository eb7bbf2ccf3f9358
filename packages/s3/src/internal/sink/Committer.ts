/** Commits of a sink that was taken over, one after the other. `docs/object-sink.md` is the crash table of one. */
import * as Effect from "effect/Effect"
import type { ObjectSinkError } from "../../ObjectSinkError.ts"
import { SinkPoint } from "../../SinkPoint.ts"
import * as CommitLog from "./CommitLog.ts"
import * as Parked from "./Parked.ts"
import type { Plan, SinkState } from "./SinkState.ts"
import type { Uploads } from "./Uploads.ts"

export interface Committer {
  /** The newest commit. */
  readonly head: () => CommitLog.Commit
  /** Closes the plan's files, and makes the next commit. Fails with `Fenced` when another writer has it; then the files are deleted. */
  readonly commit: (plan: Plan) => Effect.Effect<void, ObjectSinkError>
}

export const make = (
  place: CommitLog.Place,
  opening: CommitLog.Commit,
  state: SinkState,
  uploads: Uploads
): Effect.Effect<Committer> =>
  Effect.gen(function* () {
    const point = yield* SinkPoint
    let head = opening

    /** Writes down all that the commit names. */
    const prepare = (plan: Plan) =>
      Effect.gen(function* () {
        const files = yield* Effect.forEach(plan.close, uploads.complete)
        const number = head.number + 1
        const parked = plan.park.length === 0 ? null : CommitLog.parkedName(number, head.epoch)
        if (parked !== null) {
          const bytes = Parked.encode(plan.park)
          yield* CommitLog.call(place, place.store.put(CommitLog.parkedKey(place, parked), bytes))
          yield* point("after-parked")
        }
        const totals = files.reduce(
          (sum, { bytes, rows }) => ({ files: sum.files + 1, rows: sum.rows + rows, bytes: sum.bytes + bytes }),
          head.totals
        )
        return { ...head, number, ...state.describe(plan), parked, files, totals } satisfies CommitLog.Commit
      })

    /** Makes the commit's files appear. */
    const publish = (plan: Plan, commit: CommitLog.Commit) =>
      Effect.gen(function* () {
        yield* CommitLog.putIntent(place, commit)
        yield* point("after-intent")
        for (const [i, file] of plan.close.entries()) {
          yield* uploads.publish(file)
          if (i === 0) yield* point("after-first-file")
        }
        yield* point("after-complete")
      })

    /** Deletes what the commit before needed. */
    const clear = (before: CommitLog.Commit, commit: CommitLog.Commit) =>
      Effect.gen(function* () {
        if (commit.files.length > 0) yield* CommitLog.deleteIntent(place, commit)
        if (before.parked !== null)
          yield* CommitLog.call(place, place.store.delete(CommitLog.parkedKey(place, before.parked)))
        yield* CommitLog.settle(place, commit)
      })

    const commit: Committer["commit"] = (plan) =>
      Effect.gen(function* () {
        const next = yield* prepare(plan)
        if (next.files.length > 0) yield* publish(plan, next)
        yield* point("before-commit")
        const taken = yield* CommitLog.append(place, next)
        if (taken !== undefined) {
          yield* CommitLog.undo(place, next)
          return yield* CommitLog.fenced(place, taken)
        }
        yield* point("after-commit")
        state.committed(plan, next.partitions)
        const before = head
        head = next
        yield* clear(before, next)
      })
    return { head: () => head, commit }
  })
