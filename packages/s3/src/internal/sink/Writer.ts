/** The writer of a sink: batches in, commits out. One call at a time; after a failure, none. */
import { randomUUID } from "node:crypto"
import type { ColumnBatch } from "@headrace/core/Batch"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Broken, ObjectSinkError } from "../../ObjectSinkError.ts"
import type * as CommitLog from "./CommitLog.ts"
import * as Committer from "./Committer.ts"
import { type OpenFile, overhead } from "./OpenFile.ts"
import * as Parked from "./Parked.ts"
import * as Settings from "./Settings.ts"
import { SinkState } from "./SinkState.ts"
import { takeOver } from "./TakeOver.ts"
import * as Uploads from "./Uploads.ts"

export interface Writer {
  /** The newest commit. */
  readonly head: () => CommitLog.Commit
  readonly write: (batch: ColumnBatch, resume: unknown) => Effect.Effect<void, ObjectSinkError>
  readonly flush: Effect.Effect<void, ObjectSinkError>
  readonly failure: Effect.Effect<never, ObjectSinkError>
}

/** A group of rows ends at so many bytes in memory. */
const groupBytes = 8 << 20

const memoryOf = (files: Iterable<OpenFile>): number => {
  let bytes = 0
  for (const file of files) bytes += file.pendingBytes + overhead
  return bytes
}

export const make = (
  place: CommitLog.Place,
  settings: Settings.Settings
): Effect.Effect<Writer, ObjectSinkError, Scope.Scope> =>
  Effect.gen(function* () {
    const { bufferBytes, columns, fileBytes, format, groupRows, openFiles, path, rules } = settings
    // An identity, and so not of a seed, which two processes may share.
    const opening = yield* takeOver(place, {
      writer: randomUUID(),
      path,
      columns,
      check: (head) => Settings.check(settings, head)
    })
    const state = new SinkState(rules, opening)
    if (opening.parked !== null)
      for (const file of yield* Parked.load(place, opening.parked, rules.specs)) state.restore(file)
    const uploads = yield* Uploads.make(place, format, opening.epoch)
    const committer = yield* Committer.make(place, opening, state, uploads)

    /** Commits until nothing is due, or with `all` until nothing is left. */
    const commit = (all: boolean) =>
      Effect.gen(function* () {
        for (;;) {
          const now = yield* Clock.currentTimeMillis
          if (!state.hasFull && (all ? !state.isDirty : state.due > now)) return
          yield* committer.commit(state.plan(now, all, openFiles))
        }
      })

    const encode = (file: OpenFile) =>
      Effect.gen(function* () {
        yield* uploads.encode(file)
        if (file.written >= fileBytes) state.end(file)
      })

    /** Encodes what is a group of rows, or may fill its file. */
    const encodeGroups = Effect.gen(function* () {
      for (const file of state.open) {
        const full = file.written + file.pendingBytes * uploads.ratio() >= fileBytes
        if (file.pendingRows >= groupRows || file.pendingBytes >= groupBytes || full) yield* encode(file)
      }
    })

    /** Brings memory below its limit: the largest files first, and those that would be too many uploads end. */
    const bound = Effect.gen(function* () {
      let memory = memoryOf(state.open)
      if (memory > bufferBytes) {
        const largest = [...state.open].sort((a, b) => b.pendingBytes - a.pendingBytes)
        for (const file of largest) {
          if (memory <= bufferBytes / 2) break
          memory -= file.pendingBytes
          yield* encode(file)
          if (uploads.count() < openFiles) continue
          for (const open of state.open) if (!open.inMemory) state.end(open)
          yield* commit(false)
          memory = memoryOf(state.open)
        }
      }
      if (uploads.count() <= openFiles) return
      const open = state.open.filter((file) => !file.inMemory).sort((a, b) => b.written - a.written)
      for (const file of open.slice(0, open.length - openFiles)) state.end(file)
    })

    const lock = yield* Semaphore.make(1)
    const changed = yield* Latch.make(false)
    const failed = yield* Deferred.make<never, ObjectSinkError>()
    let end: Cause.Cause<ObjectSinkError> | undefined
    /** Runs alone. When it doesn't end well, nothing runs any more: every call fails as that one did. */
    const alone = (effect: Effect.Effect<void, ObjectSinkError>) =>
      lock.withPermit(
        Effect.suspend(() =>
          end !== undefined
            ? Effect.failCause(end)
            : Effect.onExit(effect, (exit) =>
                Effect.sync(() => {
                  if (Exit.isSuccess(exit)) return
                  const broken = new ObjectSinkError({ reason: new Broken({ sink: place.sink }) })
                  end = Cause.hasInterruptsOnly(exit.cause) ? Cause.fail(broken) : exit.cause
                })
              )
        )
      )

    const write: Writer["write"] = (batch, resume) =>
      alone(
        Effect.gen(function* () {
          const problem = state.add(batch, resume, yield* Clock.currentTimeMillis)
          if (problem !== undefined) return yield* new ObjectSinkError({ reason: problem })
          yield* encodeGroups
          yield* bound
          yield* commit(false)
          changed.openUnsafe()
        })
      )

    /** Commits by age while no batch comes. */
    const byAge = Effect.gen(function* () {
      for (;;) {
        changed.closeUnsafe()
        const now = yield* Clock.currentTimeMillis
        const { due } = state
        if (due > now)
          yield* due === Infinity ? changed.await : Effect.raceFirst(Effect.sleep(due - now), changed.await)
        else yield* alone(commit(false))
      }
    })
    yield* Effect.forkScoped(Effect.catchCause(byAge, (cause) => Deferred.failCause(failed, cause)))
    return { head: committer.head, write, flush: alone(commit(true)), failure: Deferred.await(failed) }
  })
