/** What every driver of the view store port checks of a version's names, so that all refuse alike and none meets a clash in SQL. */
import { InvalidName, type VersionSpec } from "./ViewStore.ts"

/** Whether a text can name a view, a key or an aggregate: double underscores are the store's own. */
export const isName = (name: string): boolean => /^[A-Za-z](_?[A-Za-z0-9])*$/.test(name)

/** The first name of a version that no store can hold, or that says two things where case doesn't count; `views` are those known. */
export const names = (spec: VersionSpec, views: Iterable<string>): InvalidName | undefined => {
  const { version, view } = spec
  if (!Number.isSafeInteger(version) || version < 1)
    return new InvalidName({ name: view, detail: `its version is a whole number from 1, not ${version}` })
  const columns = [...spec.keys, ...spec.aggregates].map((c) => c.name)
  for (const name of [view, ...columns])
    if (!isName(name))
      return new InvalidName({ name, detail: "use a letter, then letters, digits and single underscores" })
  if (/^headrace_/i.test(view))
    return new InvalidName({ name: view, detail: "names that begin with headrace_ are the store's" })
  for (const other of views)
    if (other !== view && other.toLowerCase() === view.toLowerCase())
      return new InvalidName({ name: view, detail: `the store has a view "${other}", which differs by case alone` })
  // The columns that a store adds of its own.
  const seen = new Set(["partition", "window_start", "window_end"])
  for (const a of spec.aggregates)
    if (a.kind !== "count" && a.kind !== "countDistinct" && a.type.kind === "decimal")
      seen.add(`${a.name}_scaled`.toLowerCase())
  for (const name of columns) {
    if (seen.has(name.toLowerCase()))
      return new InvalidName({ name, detail: "another column of the view has that name, where case doesn't count" })
    seen.add(name.toLowerCase())
  }
  return undefined
}
