/** A view store that dies at its so-many-th commit. */
import { ViewStore } from "@headrace/core/ViewStore"
import { Effect, Layer } from "effect"
import type { Crash } from "./Schedule.ts"

/** Wraps the store that is provided: `die` is called before or after the commit. (Within it, the store's own `CommitPoint` is used.) */
export const crashing = (crash: Crash, die: () => never): Layer.Layer<ViewStore, never, ViewStore> =>
  Layer.effect(
    ViewStore,
    Effect.map(ViewStore, (store) => {
      let commits = 0
      return ViewStore.of({
        ...store,
        commit: (lease, all) =>
          Effect.suspend(() => {
            const now = ++commits === crash.commit
            const end = (at: Crash["at"]) => (now && crash.at === at ? Effect.sync(die) : Effect.void)
            return end("before").pipe(Effect.andThen(store.commit(lease, all)), Effect.andThen(end("after")))
          })
      })
    })
  )
