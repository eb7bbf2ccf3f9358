/** How the work of a view store, which is synchronous, fails: what it throws comes out as the store's one error. */
import { Overflow, ViewStoreError } from "@headrace/core/ViewStore"
import * as Effect from "effect/Effect"
import * as Sqlite from "./Sqlite.ts"

type Reason = ViewStoreError["reason"]

/** Thrown inside a transaction, which it rolls back. */
class Refused {
  readonly reason: Reason
  constructor(reason: Reason) {
    this.reason = reason
  }
}

export const refuse = (reason: Reason): never => {
  // oxlint-disable-next-line no-throw-literal
  throw new Refused(reason)
}

export const wrap = (reason: Reason): ViewStoreError => new ViewStoreError({ reason })

export const attempt = <A>(path: string, work: () => A): Effect.Effect<A, ViewStoreError> =>
  Effect.try({
    try: work,
    catch: (cause) => wrap(cause instanceof Refused ? cause.reason : Sqlite.toStorageFailed(path, cause))
  })

/** Work that adds: a value may leave 64 bits as it is bound, as a commit adds it, or as a query adds it over the partitions. */
export const exactly = <A>(view: string, version: number, work: () => A): A => {
  try {
    return work()
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    const inexact = /CHECK constraint failed: (exact .*)|BigInt value is too large|integer overflow/i.exec(text)
    if (inexact !== null) refuse(new Overflow({ view, version, detail: inexact[1] ?? text }))
    throw cause
  }
}
