/**
 * The objects to read, one after the other in key order, and in endless mode those that come later.
 *
 * What sorts before the last object read must stay what was read: of the objects before it their number and a print of their names and sizes
 * go into the checkpoint, and are compared when reading resumes. While it runs, the prints of all objects read are held (eight bytes each), so
 * that a late object is told by name and one that was removed is told from it.
 */
import * as Exit from "effect/Exit"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { compareKeys } from "../../Key.ts"
import type { ObjectInfo, Service } from "../../ObjectStore.ts"
import { ObjectChanged, ObjectSourceError, PastChanged, StoreFailed } from "../../ObjectSourceError.ts"
import { join, printOf } from "./Eligible.ts"

/** The objects before one. */
export interface Past {
  readonly objects: number
  readonly print: number
}

export interface Listed {
  readonly object: ObjectInfo
  readonly past: Past
}

interface Options {
  readonly prefix: string
  readonly eligible: (object: ObjectInfo) => boolean
  readonly follow: { readonly interval: Duration.Input } | undefined
  readonly past: "strict" | "ignore"
  /** The object to begin with, and what was before it. */
  readonly from: { readonly key: string; readonly row: number; readonly past: Past | undefined } | undefined
}

/** Names in an error. */
const shownLate = 10

const wrap = (reason: ObjectSourceError["reason"]) => new ObjectSourceError({ reason })

type Page = Pull.Pull<ReadonlyArray<ObjectInfo>, ObjectSourceError>

/** Gives the next object, or `undefined` at the end, which endless mode hasn't. */
export const make = Effect.fnUntraced(function* (
  store: Service,
  options: Options
): Effect.fn.Return<Effect.Effect<Listed | undefined, ObjectSourceError>, never, Scope.Scope> {
  const { from, prefix } = options
  const outer = yield* Effect.scope
  const known: Set<number> | undefined = options.follow === undefined ? undefined : new Set()
  /** The last object given, or the one of the checkpoint. */
  let last: string | undefined = from?.key
  let past: Past = { objects: 0, print: 0 }
  /** The pass under way: its pages, what it has, and what it found before `last`. */
  let scope: Scope.Closeable | undefined
  let pull: Page | undefined
  let page: ReadonlyArray<ObjectInfo> = []
  let at = 0
  let seen: Past = { objects: 0, print: 0 }
  let late: Array<string> = []
  let first = true
  let verified = false

  const begin = Effect.gen(function* () {
    scope = yield* Scope.fork(outer)
    pull = yield* Stream.toPull(
      Stream.mapError(store.list(prefix), (cause) => wrap(new StoreFailed({ object: prefix, cause })))
    ).pipe(Scope.provide(scope))
    page = []
    at = 0
    seen = { objects: 0, print: 0 }
    late = []
    verified = false
  })
  const changed = (key: string, expected: number) =>
    options.past === "ignore"
      ? Effect.logWarning(
          `objects before "${key}" under "${prefix}" aren't those that were read (${expected} then, ${seen.objects} now); they aren't read`,
          ...late
        )
      : Effect.fail(wrap(new PastChanged({ prefix, last: key, expected, found: seen.objects, late })))
  /** Compares what the pass found before what is still to be read with what there should be. `here`: the next object, if any. */
  const verify = (here: string | undefined): Effect.Effect<void, ObjectSourceError> =>
    Effect.suspend((): Effect.Effect<void, ObjectSourceError> => {
      if (verified) return Effect.void
      verified = true
      if (!first) {
        const expected = past.objects
        past = seen
        return late.length > 0 ? changed(last!, expected) : Effect.void
      }
      if (from === undefined) return Effect.void
      past = seen
      const same = from.past === undefined || (from.past.objects === seen.objects && from.past.print === seen.print)
      if (!same) return changed(from.key, from.past.objects)
      return here === from.key || options.past === "ignore"
        ? Effect.void
        : Effect.fail(
            wrap(new ObjectChanged({ object: from.key, line: from.row, detail: "was deleted since the checkpoint" }))
          )
    })

  return Effect.gen(function* () {
    for (;;) {
      if (pull === undefined) yield* begin
      const object = page[at]
      if (object === undefined) {
        const more = yield* Pull.catchDone(pull!, () => Effect.succeed(undefined))
        if (more !== undefined) {
          page = more
          at = 0
          continue
        }
        yield* verify(undefined)
        yield* Scope.close(scope!, Exit.void)
        pull = undefined
        first = false
        if (options.follow === undefined) return undefined
        yield* Effect.sleep(options.follow.interval)
        continue
      }
      at++
      if (!options.eligible(object)) continue
      const print = printOf(object)
      const order = last === undefined || (first && verified) ? 1 : compareKeys(object.key, last)
      // The object of the checkpoint itself is read on; the last one given is over.
      if (order < 0 || (order === 0 && !first)) {
        seen = { objects: seen.objects + 1, print: join(seen.print, print) }
        if (!first && known?.has(print) !== true && late.length < shownLate) late.push(object.key)
        known?.add(print)
        continue
      }
      yield* verify(object.key)
      const before = past
      past = { objects: past.objects + 1, print: join(past.print, print) }
      known?.add(print)
      last = object.key
      if (first) seen = past
      return { object, past: before }
    }
  })
})
