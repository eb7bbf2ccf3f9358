/** `headrace archive`: the log's records as an Iceberg table a topic, exactly once, what is archived so far, and whether it is whole. */
import { Archiver, Verify } from "@headrace/archive"
import { Fold } from "@headrace/kappa"
import { Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as ArchiveState from "../ArchiveState.ts"
import * as Checking from "../Checking.ts"
import * as Looking from "../Looking.ts"
import { Code, Usage } from "../Output.ts"
import * as Project from "../Project.ts"
import { NoArchive, TopicUndeclared, wrap } from "../ProjectError.ts"
import { finish, progress, root } from "../Root.ts"
import * as Table from "../Table.ts"

const topicsOf = (project: Project.Project): ReadonlyArray<string> =>
  [...new Set(project.views.map((d) => d.view.source.topic))].toSorted()

/**
 * The view whose schema the archive is written by: of those whose columns its table has, the one with the highest version. Whichever it is,
 * nothing is lost, since the bytes are kept and a replay under another schema decodes them.
 */
const declarerOf = Effect.fnUntraced(function* (project: Project.Project, topic: string) {
  const candidates = project.views
    .filter((d) => d.view.source.topic === topic)
    .toSorted((a, b) => b.view.version - a.view.version)
  const first = candidates[0]
  if (first === undefined) return yield* wrap(new TopicUndeclared({ topic, topics: topicsOf(project) }))
  const table = Project.hasArchive(project) ? yield* Checking.archiveColumns(project, topic) : undefined
  if (table === undefined) return first
  const fits = (d: Project.Declared) => Checking.archiveDifferences(d.view.source.schema, table).length === 0
  return candidates.find(fits) ?? first
})

const until = Flag.String("until").pipe(
  Flag.withMetavar("P:OFFSET,…"),
  Flag.withDescription(
    'Archive only below these offsets, by partition, such as "0:1000,1:950"; by default up to the log\'s end'
  ),
  Flag.filterMap(
    (text) => {
      const pairs = text.split(",").map((part) => /^(\d+):(\d+)$/.exec(part.trim()))
      return pairs.every((p) => p !== null)
        ? Option.some(new Map(pairs.map((p) => [Number(p[1]), Number(p[2])])))
        : Option.none()
    },
    (text) => `"${text}" names no offsets: write PARTITION:OFFSET, several with commas between`
  ),
  Flag.optional
)

const run = Command.make(
  "run",
  {
    topic: Argument.String("topic").pipe(Argument.optional),
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("Archive every topic that a view reads"),
      Flag.withDefault(false)
    ),
    until
  },
  Effect.fnUntraced(function* (flags) {
    const { project: folder } = yield* root
    if (flags.all === Option.isSome(flags.topic))
      return yield* new Usage({ message: "archive run takes a topic, or --all" })
    const project = yield* Project.load(folder)
    const archive = Project.archiveLayer(project)
    if (archive === undefined) return yield* wrap(new NoArchive({ file: Project.paths(project).config }))
    const topics = Option.isSome(flags.topic) ? [flags.topic.value] : topicsOf(project)
    const reports = yield* Effect.forEach(topics, (topic) =>
      Effect.gen(function* () {
        const declarer = yield* declarerOf(project, topic)
        const shown = yield* progress({ title: `archive ${topic}`, unit: "records", total: undefined })
        const report = yield* Archiver.run({
          topic,
          codec: Fold.codecOf(declarer.view),
          onProgress: shown.add,
          ...(Option.isSome(flags.until) ? { until: flags.until.value } : {})
        })
        yield* shown.done
        return { topic, ...report }
      })
    ).pipe(Effect.provide(Layer.merge(Project.logLayer(project), archive)))
    yield* finish({
      json: { command: "archive run", topics: reports },
      text: reports
        .map(
          (r) =>
            `${r.topic}: ${Table.number(r.records)} records archived in ${r.files} files, ${(r.bytes / 1e6).toFixed(1)} MB; the table is ${r.metadata}`
        )
        .join("\n")
    })
  })
).pipe(Command.withDescription("Archive what is new in a topic, exactly once"))

const status = Command.make(
  "status",
  {},
  Effect.fnUntraced(function* () {
    const { project: folder } = yield* root
    const project = yield* Project.load(folder)
    const path = Project.paths(project).archive
    if (path === undefined) return yield* wrap(new NoArchive({ file: Project.paths(project).config }))
    const names = [...new Set([...topicsOf(project), ...(yield* Looking.topics(project)).map((t) => t.name)])]
    const archives = yield* Looking.archived(project, names.toSorted())
    yield* finish({
      json: { command: "archive status", path, archives },
      text: archives.length === 0 ? `Nothing is archived in ${path} yet.` : ArchiveState.table(archives)
    })
  })
).pipe(Command.withDescription("Show which offsets the archive holds"))

const verify = Command.make(
  "verify",
  {
    topic: Argument.String("topic").pipe(
      Argument.withDescription("A topic; by default all that are archived"),
      Argument.optional
    ),
    repair: Flag.Boolean("repair").pipe(
      Flag.withDescription(
        "Set the vector back where the table was only rolled back behind it; nothing else is changed"
      ),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { project: folder } = yield* root
    const project = yield* Project.load(folder)
    const [path, layer] = [Project.paths(project).archive, Project.archiveLayer(project)]
    if (path === undefined || layer === undefined)
      return yield* wrap(new NoArchive({ file: Project.paths(project).config }))
    const named = Option.getOrUndefined(flags.topic)
    const topics =
      named === undefined
        ? new Set([...topicsOf(project), ...(yield* Looking.topics(project)).map((t) => t.name)])
        : [named]
    const found = yield* Effect.forEach(Project.hasArchive(project) ? [...topics].toSorted() : [], (topic) =>
      Effect.gen(function* () {
        const shown = yield* progress({ title: `verify ${topic}`, unit: "records", total: undefined })
        const report = yield* Verify.run({ topic, repair: flags.repair, onProgress: shown.add })
        yield* shown.done
        return report
      })
    ).pipe(Effect.provide(layer))
    const reports = found.filter((report) => report !== undefined)
    if (named !== undefined && reports.length === 0)
      return yield* new Usage({ message: `nothing of topic "${named}" is archived in ${path}` })
    const wrong = reports.some((r) => r.findings.length > 0)
    yield* finish({
      json: { command: "archive verify", path, topics: reports },
      text:
        reports.length === 0 ? `Nothing is archived in ${path} yet.` : reports.map(ArchiveState.verified).join("\n"),
      code: wrong ? Code.error : Code.ok
    })
  })
).pipe(Command.withDescription("Read the archive again and prove that it holds what it says"))

export const archive = Command.make("archive").pipe(
  Command.withSubcommands([run, status, verify]),
  Command.withDescription("The retained history of topics, as Iceberg tables")
)
