/** `headrace drop`: removes a version's state, or a whole view. A version that a process is writing is refused. */
import { ViewStore } from "@headrace/core/ViewStore"
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Usage } from "../Output.ts"
import * as Project from "../Project.ts"
import { finish, ownerOf, root, viewArgument } from "../Root.ts"
import * as Stored from "../Stored.ts"

export const drop = Command.make(
  "drop",
  {
    view: viewArgument,
    version: Argument.Int("version").pipe(Argument.withDescription("The version to remove"), Argument.optional),
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("Remove the view with all of its versions, the promoted one too"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ all, version, view }) {
    const { project: folder } = yield* root
    if (all === Option.isSome(version)) return yield* new Usage({ message: "drop takes a version, or --all" })
    const place = yield* Project.open(folder)
    yield* Effect.gen(function* () {
      const store = yield* ViewStore
      const versions = Option.isSome(version)
        ? [yield* Stored.versionOf(view, version.value)]
        : yield* Stored.versionsOf(view)
      for (const v of versions) yield* store.acquire(view, v.version, ownerOf("drop"))
      if (Option.isSome(version)) yield* store.drop(view, version.value)
      else yield* store.dropView(view)
      const dropped = versions.map((v) => v.version)
      yield* finish({
        json: { command: "drop", view, versions: dropped },
        text: `${view}: ${dropped.map((v) => `version ${v}`).join(", ")} removed`
      })
    }).pipe(Effect.scoped, Effect.provide(Stored.layer(place)))
  })
).pipe(Command.withDescription("Remove a version of a view, or the whole view"))
