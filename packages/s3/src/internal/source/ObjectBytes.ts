/**
 * The bytes of one object by ranges, some of them read ahead, so that memory is bounded whatever its size.
 *
 * All bytes come from one content of the object: after each range its etag and size are compared with those at the start; an object that
 * fits into one range is taken whole, which is one content by the promise of the port.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { ObjectHead, Service } from "../../ObjectStore.ts"
import type { ObjectStoreError } from "../../ObjectStoreError.ts"
import { Failure, type Next } from "./Failure.ts"

const fromStore = (cause: ObjectStoreError): Failure =>
  cause.reason._tag === "NotFound"
    ? new Failure({ kind: "changed", detail: "was deleted while it was read", cause })
    : new Failure({ kind: "store", detail: cause.message, cause })

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

const replaced = new Failure({ kind: "changed", detail: "was replaced while it was read" })

/** The bytes `[start, end)` of the content that `head` tells of. */
export const readRange = (
  store: Service,
  key: string,
  head: ObjectHead,
  start: number,
  end: number
): Effect.Effect<Uint8Array, Failure> => {
  const whole = start === 0 && end === head.size
  // One byte more than there should be: a larger object that took its place shows.
  return store.getRange(key, start, whole ? end + 1 : end).pipe(
    Effect.mapError(fromStore),
    Effect.filterOrFail(
      (bytes) => bytes.length === end - start,
      () => replaced
    ),
    Effect.tap(() =>
      whole
        ? Effect.void
        : Effect.flatMap(headOf(store, key), (now) =>
            now.etag === head.etag && now.size === head.size ? Effect.void : Effect.fail(replaced)
          )
    )
  )
}

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
