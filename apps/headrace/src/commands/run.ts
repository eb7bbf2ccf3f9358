/**
 * `headrace run`: every exported version, or those of the named views, live to the end of its topic; those that the config's `output` names
 * with their changes written to Kafka.
 */
import { OneLog } from "@headrace/archive/OneLog"
import { ViewStore } from "@headrace/core/ViewStore"
import { Live, LiveOutput, Version } from "@headrace/kappa"
import { Duration, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Outputs from "../Outputs.ts"
import * as Project from "../Project.ts"
import { wrap } from "../ProjectError.ts"
import { finish, notes, ownerOf, progress, root } from "../Root.ts"
import * as Standing from "../Standing.ts"
import * as Stored from "../Stored.ts"

/** The versions as they stand; one that isn't known yet is left out. */
const standings = Effect.fnUntraced(function* (declared: ReadonlyArray<Project.Declared>) {
  const store = yield* ViewStore
  const log = yield* OneLog
  const versions = yield* store.versions
  return yield* Effect.forEach(
    versions.filter((v) => declared.some((d) => d.view.name === v.view && d.view.version === v.version)),
    (v) => Effect.map(log.describe(v.topic), (topic) => Standing.toJson(v, topic))
  )
})

/** Runs each version with its output or, where it has none, without. */
const runAll = (
  project: Project.Project,
  declared: ReadonlyArray<Project.Declared>,
  outputs: ReadonlyArray<Outputs.Target>,
  options: Omit<Live.Options, "views">
) => {
  const views = declared.filter((d) => !outputs.some((o) => o.declared === d))
  const live = Live.run({ ...options, views })
  if (outputs.length === 0) return live
  const published = LiveOutput.run({ ...options, outputs }).pipe(
    Effect.mapError(Outputs.explain),
    Effect.provide(Outputs.layer(project))
  )
  return Effect.all([live, published], { concurrency: "unbounded", discard: true })
}

const report = Effect.fnUntraced(function* (declared: ReadonlyArray<Project.Declared>, interrupted: boolean) {
  const versions = yield* standings(declared)
  yield* Effect.forEach(versions, Standing.verify, { discard: true })
  const dead = versions.find((v) => v.counts.deadLettered > 0)
  yield* finish({
    json: { command: "run", interrupted, versions },
    text: [
      Standing.table(versions),
      "",
      "read = applied + filtered + late + dead-lettered",
      ...(dead === undefined ? [] : [`See the dead letters with: headrace dead-letters list ${dead.view}`])
    ].join("\n")
  })
})

export const run = Command.make(
  "run",
  {
    views: Argument.String("view").pipe(
      Argument.withDescription("Views to run; by default all that the project exports"),
      Argument.variadic()
    ),
    follow: Flag.Boolean("follow").pipe(
      Flag.withDescription("Go on at the end of the log until interrupted"),
      Flag.withDefault(false)
    ),
    interval: Flag.String("interval").pipe(
      Flag.withDescription('How often to look for more with --follow, such as "500 millis" or "5 seconds"'),
      Flag.filterMap(
        (text) => Option.filter(Duration.fromInput(text as Duration.Input), (d) => Duration.toMillis(d) > 0),
        (text) => `"${text}" is no duration: write a number and a unit, such as "500 millis" or "5 seconds"`
      ),
      Flag.withDefault(Duration.seconds(1))
    )
  },
  Effect.fnUntraced(function* ({ follow, interval, views }) {
    const { project: folder } = yield* root
    const project = yield* Project.load(folder)
    const declared =
      views.length === 0
        ? project.views
        : (yield* Effect.forEach([...new Set(views)], (view) => Project.versionsOf(project, view))).flat()
    const outputs = (yield* Outputs.of(project)).filter((o) => declared.includes(o.declared))
    yield* Effect.gen(function* () {
      const store = yield* ViewStore
      const gone = views.length === 0 ? Stored.disappeared(project, yield* store.versions)[0] : undefined
      if (gone !== undefined) return yield* wrap(gone)
      // Made known here already, so that what is left to fold is known.
      yield* Effect.forEach(declared, Version.register, { discard: true })
      const shown = yield* progress({
        title: "run",
        unit: "records",
        total: follow ? undefined : Standing.lagOf(yield* standings(declared))
      })
      const note = yield* notes
      const caughtUp = new Set<string>()
      const onCaughtUp = (view: string, version: number) =>
        Effect.suspend(() => {
          const name = `${view} version ${version}`
          if (caughtUp.has(name)) return Effect.void
          caughtUp.add(name)
          return note(`${name} has caught up`)
        })
      const topicOf = (view: string) => declared.find((d) => d.view.name === view)?.view.source.topic
      for (const { declared, topic } of outputs)
        yield* note(`${declared.view.name} version ${declared.view.version} writes its changes to topic ${topic}`)
      yield* runAll(project, declared, outputs, {
        owner: ownerOf("run"),
        onPartitionsAdded: (view, version, partitions) =>
          note(
            `${view} version ${version} picks up what topic ${topicOf(view)} has got: ${partitions.length === 1 ? "partition" : "partitions"} ${partitions.join(", ")}`
          ),
        onProgress: (_view, _version, records) => shown.add(records),
        ...(follow ? { follow: interval, onCaughtUp } : {})
      }).pipe(Effect.onInterrupt(() => Effect.ignore(report(declared, true))))
      yield* shown.done
      yield* report(declared, false)
    }).pipe(Effect.provide(Project.layer(project)))
  })
).pipe(Command.withDescription("Run views live: fold what is new in the log, state and offsets in one transaction"))
