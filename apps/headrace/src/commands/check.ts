/**
 * `headrace check`: whether a project can run. It changes nothing and makes no file; something wrong ends it with 1.
 */
import { relative } from "node:path"
import type { VersionInfo } from "@headrace/core/ViewStore"
import { Effect, Result } from "effect"
import { Command } from "effect/cli"
import * as Checking from "../Checking.ts"
import * as Looking from "../Looking.ts"
import { Code } from "../Output.ts"
import * as Outputs from "../Outputs.ts"
import * as Project from "../Project.ts"
import { finish, root } from "../Root.ts"
import * as Source from "../Source.ts"
import * as Stored from "../Stored.ts"
import * as TypeCheck from "../TypeCheck.ts"

/** Something wrong: an error. Something that isn't there yet: a note. */
interface Finding {
  readonly file?: string
  readonly view?: string
  readonly version?: number
  readonly topic?: string
  readonly message: string
}

const stored = (
  project: Project.Project,
  versions: ReadonlyArray<VersionInfo>,
  topics: ReadonlyMap<string, string>
): { readonly problems: ReadonlyArray<Finding>; readonly notes: ReadonlyArray<Finding> } => {
  const problems: Array<Finding> = Stored.disappeared(project, versions).map((gone) => ({
    view: gone.view,
    version: gone.version,
    message: gone.message
  }))
  const notes: Array<Finding> = []
  for (const declared of project.views) {
    const { name: view, version } = declared.view
    const known = versions.find((v) => v.view === view && v.version === version)
    const at = { file: relative(project.folder, declared.file), view, version }
    if (known === undefined) notes.push({ ...at, message: "not built yet" })
    else {
      const differences = Checking.differences(declared, known, topics.get(declared.view.source.topic))
      if (differences.length > 0)
        problems.push({
          ...at,
          message: `it isn't what the store was built from: ${differences.join("; ")}. Declare version ${version + 1}, or "headrace drop ${view} ${version}"`
        })
    }
  }
  return { problems, notes }
}

const archive = Effect.fnUntraced(function* (project: Project.Project, known: ReadonlyMap<string, string>) {
  const problems: Array<Finding> = []
  const notes: Array<Finding> = []
  const path = Project.paths(project).archive
  const topics = [...new Set(project.views.map((d) => d.view.source.topic))]
  for (const topic of topics) {
    if (!known.has(topic))
      notes.push({ topic, message: `the log has no such topic yet: "headrace log import" makes it` })
    if (path === undefined) continue
    const columns = Project.hasArchive(project) ? yield* Checking.archiveColumns(project, topic) : undefined
    if (columns === undefined) {
      notes.push({ topic, message: `not archived yet: "headrace archive run ${topic}" begins it` })
      continue
    }
    for (const { file, view } of project.views.filter((d) => d.view.source.topic === topic)) {
      const differences = Checking.archiveDifferences(view.source.schema, columns)
      const at = { file: relative(project.folder, file), view: view.name, version: view.version, topic }
      // A replay decodes the archived bytes again; only archiving on needs the columns.
      if (differences.length > 0)
        notes.push({
          ...at,
          message: `the archive has another schema (${differences.join("; ")}): replays decode it from the bytes`
        })
    }
  }
  if (path === undefined)
    notes.push({ message: "no archive is configured: a replay reaches back as far as the log's retention" })
  return { problems, notes }
})

/** A version as its declaration says, and where its changes go. */
type Described = ReturnType<typeof Checking.describe> & { readonly output: string | null }

const describe = (d: Described, folder: string): string => {
  const time =
    d.eventTime === null
      ? "none"
      : `${d.eventTime.column}, out of order by ${d.eventTime.outOfOrderness}` +
        (d.eventTime.afterFilters === 0 ? "" : `, after ${d.eventTime.afterFilters} of the filters`)
  return [
    `${d.view} version ${d.version} (${relative(folder, d.file)})`,
    `  reads       topic ${d.topic}: ${d.columns.join(", ")}`,
    `  filters     ${d.filters}`,
    `  event time  ${time}`,
    `  window      ${d.window ?? "none"}`,
    `  by          ${d.keys.join(", ") || "nothing"}`,
    `  values      ${d.values.map((v) => `${v.name} (${v.kind})`).join(", ")}`,
    ...(d.output === null ? [] : [`  changes     to topic ${d.output}`])
  ].join("\n")
}

const line = ({ file, message, topic, version, view }: Finding): string => {
  const what = view === undefined ? (topic === undefined ? "" : `topic ${topic}`) : `${view} version ${version}`
  const where = [file, what].filter((s) => s !== undefined && s !== "").join(", ")
  return where === "" ? message : `${where}: ${message}`
}

const modulesOf = (project: Project.Project): ReadonlyArray<string> => [
  ...new Set([
    Project.paths(project).config,
    ...project.views.flatMap((d) => Source.modulesOf(d.file)).filter((file) => /\.[mc]?tsx?$/.test(file))
  ])
]

export const check = Command.make(
  "check",
  {},
  Effect.fnUntraced(function* () {
    const { project: folder } = yield* root
    const project = yield* Project.load(folder)
    const known = yield* Looking.known(project, [...new Set(project.views.map((d) => d.view.source.topic))])
    const topics = new Map(known.map((t) => [t.name, t.id]))
    const versions = yield* Looking.versions(project)
    const types = yield* TypeCheck.check(project.folder, modulesOf(project))
    const outputs = Outputs.plan(project)
    const findings = [stored(project, versions, topics), yield* archive(project, topics)]
    const problems: ReadonlyArray<Finding> = [
      ...(types.checked ? types.diagnostics.map((d) => ({ file: `${d.file}:${d.line}`, message: d.message })) : []),
      ...findings.flatMap((f) => f.problems),
      ...(yield* Looking.refusals(project, [...topics.keys()])),
      ...(Result.isFailure(outputs) ? [{ message: outputs.failure.message }] : [])
    ]
    const leftOut = (types.checked ? types.leftOut : []).map((file): Finding => ({
      file,
      message: "it isn't among the files of tsconfig.json, so it wasn't type-checked"
    }))
    const notes = [...leftOut, ...findings.flatMap((f) => f.notes)]
    const topicOf = (declared: Project.Declared) =>
      Result.isSuccess(outputs) ? outputs.success.find((o) => o.declared === declared)?.topic : undefined
    const views = project.views.map((d): Described => ({ ...Checking.describe(d), output: topicOf(d) ?? null }))
    const ok = problems.length === 0
    yield* finish({
      json: { command: "check", ok, problems, notes, views, types },
      text: [
        ...views.map((d) => `${describe(d, project.folder)}\n`),
        types.checked ? `type-checked: ${types.by}` : `not type-checked: ${types.reason}`,
        ...notes.map((n) => `note: ${line(n)}`),
        ...problems.map((p) => `wrong: ${line(p)}`),
        ok ? "The project can run." : `${problems.length} ${problems.length === 1 ? "thing is" : "things are"} wrong.`
      ].join("\n"),
      code: ok ? Code.ok : Code.error
    })
  })
).pipe(Command.withDescription("Load and type-check the project, and compare it with what is built and archived"))
