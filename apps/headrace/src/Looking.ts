/** Looking at a project's log, archive and store without making any of them. */
import { existsSync } from "node:fs"
import { Archive } from "@headrace/archive/Archive"
import { type Description, historyOf, OneLog, type OneLogError } from "@headrace/archive/OneLog"
import { EventLog } from "@headrace/core/EventLog"
import { type VersionInfo, ViewStore } from "@headrace/core/ViewStore"
import { Effect, Result } from "effect"
import * as Freshness from "./Freshness.ts"
import * as Project from "./Project.ts"

/** What an archive holds of a topic. */
export interface Archived {
  readonly topic: string
  readonly records: number
  readonly partitions: ReadonlyArray<{
    readonly partition: number
    readonly begin: number
    readonly end: number
    /** Records of the log behind the archive. */
    readonly behind: number
  }>
}

/** All versions in the store; none when there is no store yet. */
export const versions = (place: Project.Place) =>
  existsSync(Project.paths(place).store)
    ? Effect.flatMap(ViewStore, (store) => store.versions).pipe(Effect.provide(Project.storeLayer(place)))
    : Effect.succeed<ReadonlyArray<VersionInfo>>([])

/** The topics of the log; none when there is no log yet. */
export const topics = (place: Project.Place) =>
  Project.hasLog(place)
    ? Effect.flatMap(EventLog, (log) => log.topics).pipe(Effect.provide(Project.logLayer(place)))
    : Effect.succeed([])

/** Those of the named topics that the log has. */
export const known = (place: Project.Place, names: ReadonlyArray<string>) =>
  Project.hasLog(place) && names.length > 0
    ? Effect.flatMap(EventLog, (log) =>
        Effect.forEach(names, (name) =>
          Effect.catchReason(log.describe(name), "EventLogError", "TopicNotFound", () => Effect.undefined)
        )
      ).pipe(
        Effect.map((found) => found.filter((topic) => topic !== undefined)),
        Effect.provide(Project.logLayer(place))
      )
    : Effect.succeed([])

/** A topic over archive and log; undefined when the log has no such topic. */
const describe = (topic: string) =>
  Effect.flatMap(OneLog, (log) => log.describe(topic)).pipe(
    Effect.catchIf(
      (e) => e._tag === "OneLogError" && e.reason._tag === "EventLogError" && e.reason.reason._tag === "TopicNotFound",
      () => Effect.undefined
    )
  )

/** Why topics can't be folded: compacted by the log, made anew beside an old archive, or behind their own archive. Looks at those that the log has. */
export const refusals = (place: Project.Place, names: ReadonlyArray<string>) =>
  Project.hasLog(place) && names.length > 0
    ? Effect.forEach(names, (topic) =>
        Effect.map(Effect.result(describe(topic)), (found) => {
          if (Result.isFailure(found)) return { topic, message: found.failure.message }
          const history = found.success === undefined ? undefined : historyOf(found.success)
          return history === undefined || Result.isSuccess(history)
            ? undefined
            : { topic, message: history.failure.message }
        })
      ).pipe(
        Effect.map((found) => found.filter((refusal) => refusal !== undefined)),
        Effect.provide(Project.logLayer(place))
      )
    : Effect.succeed([])

/** How versions stand in their topics, and how fresh they are; there may be no log yet. */
export const standings = (
  place: Project.Place,
  versions: ReadonlyArray<VersionInfo>
): Effect.Effect<ReadonlyArray<Freshness.Fresh>, OneLogError | Project.LogFailure> => {
  const all = (found: ReadonlyMap<string, Description | undefined>) =>
    versions.map((v) => ({ info: v, topic: found.get(v.topic) }))
  const names = [...new Set(versions.map((v) => v.topic))]
  if (names.length === 0 || !Project.hasLog(place))
    return Effect.forEach(all(new Map()), ({ info }) => Freshness.unknown(info))
  return Effect.forEach(names, (name) => Effect.map(describe(name), (topic) => [name, topic] as const)).pipe(
    Effect.map((entries) => all(new Map(entries))),
    Effect.flatMap(Effect.forEach(({ info, topic }) => Freshness.of(info, topic))),
    Effect.provide(Project.logLayer(place))
  )
}

/** What the archive holds of the topics that have one. */
export const archived = Effect.fnUntraced(function* (place: Project.Place, names: ReadonlyArray<string>) {
  const layer = Project.archiveLayer(place)
  if (layer === undefined || !Project.hasArchive(place)) return []
  const log = yield* known(place, names)
  const held = yield* Effect.flatMap(Archive, (archive) =>
    Effect.forEach(names, (topic) => Effect.map(archive.holding(topic), (holding) => ({ topic, holding })))
  ).pipe(Effect.provide(layer))
  return held.flatMap(({ holding, topic }): ReadonlyArray<Archived> => {
    if (holding === undefined) return []
    const ends = log.find((t) => t.name === topic)?.partitions ?? []
    const partitions = [...holding.ranges]
      .toSorted(([a], [b]) => a - b)
      .map(([partition, { begin, end }]) => ({
        partition,
        begin,
        end,
        behind: Math.max(0, (ends.find((p) => p.partition === partition)?.end ?? end) - end)
      }))
    return [{ topic, records: holding.records, partitions }]
  })
})
