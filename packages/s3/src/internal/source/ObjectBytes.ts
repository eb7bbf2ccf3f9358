/**
 * The bytes of one object by ranges, some of them read ahead, so that memory is bounded whatever its size.
 *
 * All bytes come from one content of the object: the store is asked for the etag that the object had at the start, and for no other.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { ObjectHead, Range, Service } from "../../ObjectStore.ts"
import type { ObjectStoreError } from "../../ObjectStoreError.ts"
import { Failure, type Next } from "./Failure.ts"

const replaced = new Failure({ kind: "changed", detail: "was replaced while it was read" })

const fromStore = (cause: ObjectStoreError): Failure => {
  switch (cause.reason._tag) {
    case "NotFound":
      return new Failure({ kind: "changed", detail: "was deleted while it was read", cause })
    case "Changed":
      return replaced
    default:
      return new Failure({ kind: "store", detail: cause.message, cause })
  }
}

/** Size and etag, or the failure that the object is gone. */
export const headOf = (store: Service, key: string): Effect.Effect<ObjectHead, Failure> =>
  store.head(key).pipe(
    Effect.mapError(fromStore),
    Effect.flatMap((head) =>
      head === undefined
        ? Effect.fail(new Failure({ kind: "changed", detail: "was deleted before it was read" }))
        : Effect.succeed(head)
    )
  )

/** Ranges of the content that `head` tells of, each whole. */
export const readRanges = (
  store: Service,
  key: string,
  head: ObjectHead,
  ranges: ReadonlyArray<Range>
): Effect.Effect<ReadonlyArray<Uint8Array>, Failure> =>
  store.getRanges(key, ranges, { etag: head.etag }).pipe(
    Effect.mapError(fromStore),
    Effect.filterOrFail(
      (found) => ranges.every(({ end, start }, i) => found[i]?.length === end - start),
      () => replaced
    )
  )

/** The bytes `[start, end)` of the content that `head` tells of. */
export const readRange = (
  store: Service,
  key: string,
  head: ObjectHead,
  start: number,
  end: number
): Effect.Effect<Uint8Array, Failure> => Effect.map(readRanges(store, key, head, [{ start, end }]), ([bytes]) => bytes!)

/** The object's bytes in order from `start` on: ranges of `rangeBytes`, of which `readAhead` are under way while one is used. */
export const open = Effect.fnUntraced(function* (
  store: Service,
  key: string,
  head: ObjectHead,
  options: { readonly start: number; readonly rangeBytes: number; readonly readAhead: number }
): Effect.fn.Return<Next<Uint8Array>, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const waiting: Array<Fiber.Fiber<Uint8Array, Failure>> = []
  let at = options.start
  const fill = Effect.gen(function* () {
    while (at < head.size && waiting.length <= options.readAhead) {
      const end = Math.min(at + options.rangeBytes, head.size)
      const range = readRange(store, key, head, at, end)
      at = end
      waiting.push(yield* Effect.forkIn(range, scope))
    }
  })
  return Effect.gen(function* () {
    yield* fill
    const fiber = waiting.shift()
    if (fiber === undefined) return undefined
    const bytes = yield* Fiber.join(fiber)
    yield* fill
    return bytes
  })
})
