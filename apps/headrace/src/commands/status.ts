/** `headrace status`: where every version stands, how fresh it is, how far its output has come, and what the archive holds. It changes nothing and makes no file. */
import { Effect, Result } from "effect"
import { Argument, Command } from "effect/cli"
import * as ArchiveState from "../ArchiveState.ts"
import * as Freshness from "../Freshness.ts"
import * as Looking from "../Looking.ts"
import * as OutputState from "../OutputState.ts"
import * as Project from "../Project.ts"
import { finish, root } from "../Root.ts"
import * as Standing from "../Standing.ts"
import * as Table from "../Table.ts"

const partitionTable = (versions: ReadonlyArray<Freshness.Fresh>): string =>
  Table.render(
    [
      { name: "view" },
      ...["version", "partition", "next", "end", "lag"].map((name): Table.Column => ({ name, align: "right" })),
      { name: "stale", align: "right" },
      { name: "event time" },
      { name: "age", align: "right" }
    ],
    versions.flatMap(({ partitions, version, view }) =>
      partitions.map((p) => [
        view,
        String(version),
        String(p.partition),
        String(p.next),
        p.end === null ? "?" : String(p.end),
        p.lag === null ? "?" : Table.number(p.lag),
        Freshness.span(p.staleMillis),
        p.eventTime ?? "none yet",
        p.ageMillis === null ? "" : Freshness.span(p.ageMillis)
      ])
    )
  )

export const status = Command.make(
  "status",
  {
    views: Argument.String("view").pipe(Argument.withDescription("Views to show; by default all"), Argument.variadic())
  },
  Effect.fnUntraced(function* ({ views }) {
    const { project: folder } = yield* root
    const place = yield* Project.open(folder)
    const wanted = (view: string) => views.length === 0 || views.includes(view)
    const loaded = yield* Effect.result(Project.load(folder))
    const declared = Result.isSuccess(loaded) ? loaded.success.views.filter((d) => wanted(d.view.name)) : []
    const stored = (yield* Looking.versions(place)).filter((v) => wanted(v.view))
    const names = [...new Set([...stored.map((v) => v.topic), ...declared.map((d) => d.view.source.topic)])].toSorted()
    const isExported = (view: string, version: number) =>
      declared.some((d) => d.view.name === view && d.view.version === version)
    const versions = (yield* Looking.standings(place, stored)).map((v) => ({
      ...v,
      exported: Result.isSuccess(loaded) ? isExported(v.view, v.version) : null
    }))
    const unbuilt = declared
      .filter((d) => !stored.some((v) => v.view === d.view.name && v.version === d.view.version))
      .map(({ view }) => ({ view: view.name, version: view.version, topic: view.source.topic }))
    const outputs = Result.isSuccess(loaded)
      ? (yield* OutputState.of(loaded.success, versions)).filter((o) => wanted(o.view))
      : []
    const archives = yield* Looking.archived(place, names)
    const problem = Result.isFailure(loaded) ? loaded.failure.message : null
    yield* finish({
      json: { command: "status", versions, unbuilt, outputs, archives, problem },
      text: [
        ...(problem === null ? [] : [`The project's views can't be loaded: ${problem}`, ""]),
        ...(versions.length === 0
          ? ['Nothing is built yet: "headrace run" builds what the project exports.']
          : [Standing.table(versions), "", partitionTable(versions)]),
        ...unbuilt.map((v) => `${v.view} version ${v.version} is exported, but not built`),
        ...versions
          .filter((v) => v.exported === false)
          .map((v) => `${v.view} version ${v.version} isn't exported any more: nothing feeds it`),
        ...(outputs.length === 0 ? [] : ["", OutputState.table(outputs)]),
        "",
        archives.length === 0 ? "Nothing is archived." : ArchiveState.table(archives)
      ].join("\n")
    })
  })
).pipe(Command.withDescription("Show where every version and its output stand, and what the archive holds"))
