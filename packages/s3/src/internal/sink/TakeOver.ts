/**
 * Taking a sink over: what a writer died within is finished or undone, and a commit of one's own makes it impossible for any other writer of
 * the name to commit again. Fence first, then delete: a file is deleted only when no commit can name it any more.
 */
import * as Effect from "effect/Effect"
import type { ObjectSinkError } from "../../ObjectSinkError.ts"
import * as CommitLog from "./CommitLog.ts"

/** Whether all of the intent's files are there, whole. */
const isComplete = (place: CommitLog.Place, intent: CommitLog.Commit) =>
  Effect.gen(function* () {
    for (const { bytes, key } of intent.files) {
      const head = yield* CommitLog.call(place, place.store.head(place.key(key)))
      if (head?.size !== bytes) return false
    }
    return true
  })

const empty: Omit<CommitLog.Commit, "number" | "epoch" | "writer" | "path" | "columns"> = {
  format: 1,
  partitions: [],
  held: [],
  parked: null,
  files: [],
  totals: { files: 0, rows: 0, bytes: 0 }
}

/** What a new writer brings. `check` refuses what was committed under other rules. */
export interface Opening {
  readonly writer: string
  readonly path: string
  readonly columns: Readonly<Record<string, string>>
  readonly check: (head: CommitLog.Commit) => Effect.Effect<void, ObjectSinkError>
}

/** Takes over, and gives the writer's first commit, whose number is its epoch. */
export const takeOver = (
  place: CommitLog.Place,
  { check, columns, path, writer }: Opening
): Effect.Effect<CommitLog.Commit, ObjectSinkError> =>
  Effect.gen(function* () {
    for (;;) {
      const head = yield* CommitLog.head(place)
      const intents = yield* CommitLog.intents(place)
      const number = (head?.number ?? 0) + 1
      const pending = intents.find((intent) => intent.number === number && intent.epoch === head?.epoch)
      if (pending !== undefined && (yield* isComplete(place, pending))) {
        // Whoever creates it first, it is the same commit.
        yield* CommitLog.append(place, pending)
        continue
      }
      if (head !== undefined) yield* check(head)
      const opening: CommitLog.Commit = { ...empty, ...head, number, epoch: number, writer, path, columns, files: [] }
      // Somebody else took the number: look again at what there is.
      if ((yield* CommitLog.append(place, opening)) !== undefined) continue
      for (const intent of intents)
        yield* (yield* CommitLog.isCommitted(place, intent))
          ? CommitLog.deleteIntent(place, intent)
          : CommitLog.undo(place, intent)
      yield* CommitLog.sweepParked(place, opening)
      yield* CommitLog.settle(place, opening)
      return opening
    }
  })
