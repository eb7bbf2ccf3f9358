/** Parts that die at a chosen moment. */
import { ViewStore } from "@headrace/core/ViewStore"
import { CommitPoint as FoldPoint } from "@headrace/embedded"
import { CommitPoint as ArchivePoint } from "@headrace/iceberg/CommitPoint"
import { ObjectStore } from "@headrace/s3/ObjectStore"
import { Effect, Layer } from "effect"
import type { ArchiveCrash, Crash } from "./Schedule.ts"

/** What a crash in this process throws. */
class Crashed extends Error {
  constructor() {
    super("Crashed")
  }
}

/** What a crash does: throw, or end the process. */
export type Die = () => never

export const throwCrash: Die = () => {
  throw new Crashed()
}

/** Ends this process as the system does it when memory is short: nothing runs after it. */
export const killMyself: Die = () => {
  process.kill(process.pid, "SIGKILL")
  // The signal is on its way; nothing may happen before it arrives.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
  throw new Error("SIGKILL didn't arrive")
}

/** Calls `die` when it is called for the so-many-th time. */
const countdown = (times: number, die: Die) => {
  let left = times
  return Effect.sync(() => {
    if (--left === 0) die()
  })
}

/** Makes a layer's view store die where the crash says; within a transaction, by the store's own `CommitPoint`. */
export const inStore = <A, E, R>(
  crash: Crash,
  die: Die,
  layer: Layer.Layer<A | ViewStore, E, R>
): Layer.Layer<A | ViewStore, E, R> => {
  const at = (place: Crash["at"]) => (crash.at === place ? countdown(crash.commit, die) : Effect.void)
  const [before, within, after] = [at("before"), at("within"), at("after")]
  const ready = crash.at === "ready" ? Effect.sync(die) : Effect.void
  const wrapped = Layer.effect(
    ViewStore,
    Effect.map(ViewStore, (store) =>
      ViewStore.of({
        ...store,
        commit: (lease, all) => before.pipe(Effect.andThen(store.commit(lease, all)), Effect.andThen(after)),
        ready: (lease) => Effect.andThen(ready, store.ready(lease))
      })
    )
  )
  const point = Layer.succeed(FoldPoint.CommitPoint, (name: FoldPoint.Point) => {
    if (name === "after-positions") Effect.runSync(within)
  })
  return wrapped.pipe(Layer.provideMerge(layer.pipe(Layer.provide(point))))
}

/** Makes archiving die where the crash says. */
export const inArchiving =
  (crash: ArchiveCrash, die: Die) =>
  <A, E, R>(archiving: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | ObjectStore> => {
    const now = countdown(crash.occurrence, die)
    return archiving.pipe(
      Effect.provideServiceEffect(
        ObjectStore,
        Effect.map(ObjectStore, (store) =>
          crash.at === "file"
            ? { ...store, openWrite: (key: string) => Effect.andThen(now, store.openWrite(key)) }
            : store
        )
      ),
      Effect.provideService(ArchivePoint, (point) => (point === crash.at ? now : Effect.void))
    )
  }

/** Runs something else, once, when archiving is about to publish its first commit. */
export const beforePublish =
  (other: Effect.Effect<void>) =>
  <A, E, R>(archiving: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    let done = false
    return Effect.provideService(archiving, ArchivePoint, (point) =>
      Effect.suspend(() => {
        if (done || point !== "after-manifest-list") return Effect.void
        done = true
        return other
      })
    )
  }
