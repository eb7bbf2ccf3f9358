/** What the store knows of views and versions, for commands that need no declaration. */
import { existsSync } from "node:fs"
import { type VersionInfo, ViewStore, type ViewStoreError } from "@headrace/core/ViewStore"
import { Effect, Layer } from "effect"
import * as Project from "./Project.ts"
import { NotInStore, type ProjectError, StoreNotFound, ViewDisappeared, wrap } from "./ProjectError.ts"

/** The project's store, which must exist: looking into it makes none. */
export const layer = (place: Project.Place): Layer.Layer<ViewStore, ProjectError | ViewStoreError> => {
  const path = Project.paths(place).store
  return existsSync(path) ? Project.storeLayer(place) : Layer.effect(ViewStore, wrap(new StoreNotFound({ path })))
}

const namesOf = (all: ReadonlyArray<VersionInfo>): ReadonlyArray<string> =>
  [...new Set(all.map((v) => v.view))].map(
    (view) =>
      `${view} (${all
        .filter((v) => v.view === view)
        .map((v) => `version ${v.version}`)
        .join(", ")})`
  )

/** The versions of a view, oldest first; a view without any is refused with what there is. */
export const versionsOf = Effect.fnUntraced(function* (view: string) {
  const store = yield* ViewStore
  const all = yield* store.versions
  const own = all.filter((v) => v.view === view)
  return own.length === 0 ? yield* wrap(new NotInStore({ view, known: namesOf(all) })) : own
})

/** One version of a view; by default the promoted one. */
export const versionOf = Effect.fnUntraced(function* (view: string, version?: number) {
  const own = yield* versionsOf(view)
  const found = own.find((v) => (version === undefined ? v.promoted : v.version === version))
  if (found !== undefined) return found
  return yield* wrap(new NotInStore({ view, ...(version === undefined ? {} : { version }), known: namesOf(own) }))
})

/** The promoted versions of views that the project doesn't export (any more). */
export const disappeared = (
  project: Project.Project,
  versions: ReadonlyArray<VersionInfo>
): ReadonlyArray<ViewDisappeared> => {
  const views = [...new Set(project.views.map((d) => d.view.name))]
  return versions
    .filter((v) => v.promoted && !views.includes(v.view))
    .map(({ version, view }) => new ViewDisappeared({ view, version, views }))
}
