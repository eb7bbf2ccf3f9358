/** A project: a folder with `headrace.config.ts` and view modules, loaded. */
import { existsSync } from "node:fs"
import { availableParallelism } from "node:os"
import { basename, join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import type { Archive } from "@headrace/archive/Archive"
import * as ArchiveTable from "@headrace/archive/ArchiveTable"
import * as OneLog from "@headrace/archive/OneLog"
import type { EventLog, EventLogError } from "@headrace/core/EventLog"
import type { ViewStore, ViewStoreError } from "@headrace/core/ViewStore"
import * as SqliteLog from "@headrace/embedded/SqliteLog"
import * as SqliteViewStore from "@headrace/embedded/SqliteViewStore"
import type { KafkaError } from "@headrace/kafka"
import { type Version, View } from "@headrace/kappa"
import type { ObjectStore } from "@headrace/s3/ObjectStore"
import type { ObjectStoreError } from "@headrace/s3/ObjectStoreError"
import * as StoreLocation from "@headrace/s3/StoreLocation"
import { Effect, Layer, Result, Schema } from "effect"
import { Config } from "./Config.ts"
import * as KafkaCluster from "./KafkaCluster.ts"
import {
  ConfigInvalid,
  ConfigNotFound,
  DuplicateVersion,
  ModuleFailed,
  NoViews,
  type ProjectError,
  UnknownVersion,
  UnknownView,
  wrap
} from "./ProjectError.ts"
import * as Source from "./Source.ts"

/** A declared version and the file that exports it. */
export interface Declared extends Version.Declared {
  readonly file: string
}

/** A project's folder and config, without its views. */
export interface Place {
  /** Absolute. */
  readonly folder: string
  readonly config: Config
}

export interface Project extends Place {
  /** By name, then by version. */
  readonly views: ReadonlyArray<Declared>
}

/** What was thrown; a syntax error with its place, which only its stack has. */
const messageOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const place =
    cause.name === "SyntaxError" ? /^(?:file:\/\/)?(\/[^\n]*:\d+)\n/.exec(cause.stack ?? "")?.[1] : undefined
  return `${cause.message}${place === undefined || cause.message.includes(place) ? "" : ` (at ${place})`}`
}

const importModule = (file: string): Effect.Effect<Readonly<Record<string, unknown>>, ProjectError> =>
  Effect.tryPromise({
    try: () => import(pathToFileURL(file).href) as Promise<Readonly<Record<string, unknown>>>,
    catch: (cause) => {
      const detail = existsSync(file)
        ? messageOf(cause)
        : `there is no such file: correct "views" in headrace.config.ts`
      return wrap(new ModuleFailed({ file, detail, cause }))
    }
  })

const decodeConfig = Schema.decodeUnknownResult(Config, { onExcessProperty: "error", errors: "all" })

const secretKey = /unknown key \S*\["(?:password|key|passphrase|token|secret)"\]/

const detailOf = (message: string): string => {
  const detail = message
    .replace(/Expected no excess property\s+at (\S+)/g, "it has an unknown key $1")
    .replace(/\s*\n\s*at /g, " at ")
    .replace(/\s*\n\s*/g, "; ")
  return secretKey.test(detail)
    ? `${detail}; secrets come from the environment: KAFKA_SASL_PASSWORD, KAFKA_TLS_KEY, KAFKA_TLS_PASSPHRASE`
    : detail
}

const loadConfig = Effect.fnUntraced(function* (folder: string) {
  const file = join(folder, "headrace.config.ts")
  if (!existsSync(file)) return yield* wrap(new ConfigNotFound({ file }))
  const module = yield* importModule(file)
  if (module["default"] === undefined)
    return yield* wrap(
      new ConfigInvalid({ file, detail: "it has no default export; write `export default defineConfig({ … })`" })
    )
  const config = decodeConfig(module["default"])
  if (Result.isFailure(config))
    return yield* wrap(new ConfigInvalid({ file, detail: detailOf(config.failure.message) }))
  return config.success
})

/** The views that a module exports, each with the hash of its source. */
const loadViews = Effect.fnUntraced(function* (file: string): Effect.fn.Return<ReadonlyArray<Declared>, ProjectError> {
  const module = yield* importModule(file)
  const source = yield* Effect.try({
    try: () => Source.hashOf(file),
    catch: (cause) => wrap(new ModuleFailed({ file, detail: messageOf(cause), cause }))
  })
  return Object.values(module)
    .filter(View.isView)
    .map((view) => ({ view, source, file }))
})

/** Reads the config of the project in a folder, without its views. */
export const open = Effect.fn("Project.open")(function* (path: string): Effect.fn.Return<Place, ProjectError> {
  const folder = resolve(path)
  return { folder, config: yield* loadConfig(folder) }
})

/** Loads the project in a folder. */
export const load = Effect.fn("Project.load")(function* (path: string): Effect.fn.Return<Project, ProjectError> {
  const { config, folder } = yield* open(path)
  const files = config.views.map((v) => resolve(folder, v))
  const views = (yield* Effect.forEach(files, loadViews)).flat()
  if (views.length === 0) return yield* wrap(new NoViews({ files }))
  const seen = new Map<string, Declared>()
  for (const declared of views) {
    const { name, version } = declared.view
    const other = seen.get(`${name} ${version}`)
    if (other !== undefined && other.view !== declared.view)
      return yield* wrap(
        new DuplicateVersion({ view: name, version, files: [other.file, declared.file].map((f) => basename(f)) })
      )
    seen.set(`${name} ${version}`, declared)
  }
  const order = (a: Declared, b: Declared) =>
    a.view.name < b.view.name ? -1 : a.view.name > b.view.name ? 1 : a.view.version - b.view.version
  return { folder, config, views: [...seen.values()].toSorted(order) }
})

/** The versions of one view, oldest first. */
export const versionsOf = (project: Project, view: string): Effect.Effect<ReadonlyArray<Declared>, ProjectError> => {
  const found = project.views.filter((d) => d.view.name === view)
  const views = [...new Set(project.views.map((d) => d.view.name))]
  return found.length === 0 ? Effect.fail(wrap(new UnknownView({ view, views }))) : Effect.succeed(found)
}

/** One version of a view; by default the newest that is exported. */
export const declaredOf = Effect.fnUntraced(function* (
  project: Project,
  view: string,
  version?: number
): Effect.fn.Return<Declared, ProjectError> {
  const versions = yield* versionsOf(project, view)
  const found = version === undefined ? versions.at(-1) : versions.find((d) => d.view.version === version)
  if (found !== undefined) return found
  return yield* wrap(new UnknownVersion({ view, version: version!, versions: versions.map((d) => d.view.version) }))
})

/** Paths of the project's parts, absolute, or an archive's `s3://` URL; undefined for a log that is no file, and for an archive that there isn't. */
export const paths = ({ config, folder }: Place) => ({
  config: join(folder, "headrace.config.ts"),
  log: config.log.path === undefined ? undefined : resolve(folder, config.log.path),
  store: resolve(folder, config.store.path),
  archive:
    config.archive === undefined
      ? undefined
      : StoreLocation.isS3(config.archive.path)
        ? config.archive.path
        : resolve(folder, config.archive.path)
})

/** Whether there is an archive to look at. A folder that isn't there yet isn't made by looking; a bucket is asked. */
export const hasArchive = (place: Place): boolean => {
  const path = paths(place).archive
  return path !== undefined && (StoreLocation.isS3(path) || existsSync(path))
}

/** Worker threads of a replay of so many partitions. */
export const workersOf = ({ config }: Place, partitions: number): number =>
  Math.max(1, Math.min(config.workers ?? availableParallelism(), partitions))

/** What commands need of a project with an archive. */
export type Services = EventLog | OneLog.OneLog | ViewStore

/** How a log or an archive can fail to be there. */
export type LogFailure = EventLogError | KafkaError | ObjectStoreError | ProjectError

/** The project's log, archive and store. */
export const layer = (project: Place): Layer.Layer<Services, LogFailure | ViewStoreError> =>
  Layer.merge(logLayer(project), storeLayer(project))

const ownLog = (place: Place): Layer.Layer<EventLog, EventLogError | KafkaError | ProjectError> => {
  const { config, log } = paths(place)
  const { kafka } = place.config.log
  if (kafka !== undefined)
    return KafkaCluster.layer({ folder: place.folder, file: config, kafka, at: '["log"]["kafka"]' })
  // The config names one of the two.
  return SqliteLog.layer({ path: log! })
}

/** The project's log, and that with its archive as one. */
export const logLayer = (project: Place): Layer.Layer<EventLog | OneLog.OneLog, LogFailure> => {
  const log = ownLog(project)
  const archive = archiveLayer(project)
  return OneLog.layer.pipe(Layer.provideMerge(archive === undefined ? log : Layer.merge(log, archive)))
}

/** Whether there is a log to look at. A file that isn't there yet isn't made by looking; a cluster is asked. */
export const hasLog = (place: Place): boolean => {
  const path = paths(place).log
  return path === undefined || existsSync(path)
}

/** The project's view store alone. */
export const storeLayer = (project: Place): Layer.Layer<ViewStore, ViewStoreError> => {
  const busy = project.config.store.busyTimeout
  const options = busy === undefined ? {} : { busyTimeoutMillis: busy }
  return SqliteViewStore.layer({ path: paths(project).store, ...options })
}

/** The archive's objects: in a folder or a bucket. */
const objectsLayer = (place: Place, at: string): Layer.Layer<ObjectStore, ObjectStoreError | ProjectError> => {
  const file = paths(place).config
  const invalid = (detail: string): Layer.Layer<ObjectStore, ProjectError> =>
    Layer.unwrap(wrap(new ConfigInvalid({ file, detail })))
  if (StoreLocation.isS3(at) && StoreLocation.bucketOf(at) === undefined)
    return invalid(`the archive's path "${at}" names no bucket: write s3://bucket/prefix`)
  return StoreLocation.layer(at).pipe(
    Layer.catchTag("ConfigError", ({ message }) => invalid(`what the environment says of S3 can't be used: ${message}`))
  )
}

/** The archive alone, or undefined when the project has none. */
export const archiveLayer = (
  project: Place
): Layer.Layer<Archive | ObjectStore, ObjectStoreError | ProjectError> | undefined => {
  const at = paths(project).archive
  return at === undefined
    ? undefined
    : ArchiveTable.layer({ location: at }).pipe(Layer.provideMerge(objectsLayer(project, at)))
}
