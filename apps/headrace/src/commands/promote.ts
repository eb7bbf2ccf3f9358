/** `headrace promote` and `headrace rollback`: which version a view's readers see, swapped in one transaction. */
import { Promotion } from "@headrace/kappa"
import { Effect, Result } from "effect"
import { Argument, Command } from "effect/cli"
import * as Counts from "../Counts.ts"
import * as Project from "../Project.ts"
import { finish, root, viewArgument } from "../Root.ts"
import * as Stored from "../Stored.ts"

/**
 * Says what is promoted now. A version that the project doesn't export isn't fed by `run`: then it says where it has stopped. A project
 * that can't be loaded doesn't keep anybody from swapping back.
 */
const report = Effect.fnUntraced(function* (command: string, place: Project.Place, promoted: Promotion.Promoted) {
  const { info, previous, version, view } = promoted
  const project = yield* Effect.result(Project.load(place.folder))
  const exported = Result.isSuccess(project)
    ? project.success.views.some((d) => d.view.name === view && d.view.version === version)
    : null
  const partitions = info.positions.map(({ next, partition }) => ({ partition, next }))
  const at = partitions.map((p) => `${p.partition}:${p.next}`).join(" ")
  const before = previous === undefined || previous === version ? "" : `, it was version ${previous}`
  const still =
    exported === true
      ? `"headrace run" feeds it on.`
      : exported === false
        ? `The project doesn't export version ${version} any more, so it has stopped at offsets ${at} (partition:next): export it again for "headrace run" to feed it on.`
        : `The project can't be loaded, so nothing feeds it on from offsets ${at} (partition:next): "headrace check" says why.`
  yield* finish({
    json: {
      command,
      view,
      version,
      previous: previous ?? null,
      exported,
      partitions,
      counts: Counts.total(info.positions)
    },
    text: `${view} is version ${version} now${before}. ${still}`
  })
})

export const promote = Command.make(
  "promote",
  {
    view: viewArgument,
    version: Argument.Int("version").pipe(Argument.withDescription("The version that readers are to see"))
  },
  Effect.fnUntraced(function* ({ version, view }) {
    const { project: folder } = yield* root
    const place = yield* Project.open(folder)
    yield* Effect.gen(function* () {
      yield* Stored.versionOf(view, version)
      yield* report("promote", place, yield* Promotion.promote(view, version))
    }).pipe(Effect.provide(Stored.layer(place)))
  })
).pipe(Command.withDescription("Make a ready version the one that the view shows"))

export const rollback = Command.make(
  "rollback",
  { view: viewArgument },
  Effect.fnUntraced(function* ({ view }) {
    const { project: folder } = yield* root
    const place = yield* Project.open(folder)
    yield* Effect.gen(function* () {
      yield* Stored.versionsOf(view)
      yield* report("rollback", place, yield* Promotion.rollback(view))
    }).pipe(Effect.provide(Stored.layer(place)))
  })
).pipe(Command.withDescription("Go back to the version that was promoted before"))
