/** `headrace compare`: which rows of two versions differ. Ends with 0 when none does, with 3 when some do. */
import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import * as Comparing from "../Comparing.ts"
import { Code } from "../Output.ts"
import * as Project from "../Project.ts"
import { OneVersion, wrap } from "../ProjectError.ts"
import { finish, limitFlag, root, viewArgument } from "../Root.ts"
import * as Stored from "../Stored.ts"

export const compare = Command.make(
  "compare",
  {
    view: viewArgument,
    left: Argument.Int("A").pipe(Argument.withDescription("A version; by default the promoted one"), Argument.optional),
    right: Argument.Int("B").pipe(
      Argument.withDescription("Another version; by default the newest other one"),
      Argument.optional
    ),
    limit: limitFlag("rows that differ", 20)
  },
  Effect.fnUntraced(function* ({ left, limit, right, view }) {
    const { project: folder } = yield* root
    const place = yield* Project.open(folder)
    yield* Effect.gen(function* () {
      const a = yield* Stored.versionOf(view, Option.getOrUndefined(left))
      const others = (yield* Stored.versionsOf(view)).filter((v) => v.version !== a.version)
      const b = Option.isSome(right) ? yield* Stored.versionOf(view, right.value) : others.at(-1)
      if (b === undefined) return yield* wrap(new OneVersion({ view, version: a.version }))
      const { json, text } = yield* Comparing.compare(view, a.version, b.version, limit)
      yield* finish({
        json: { command: "compare", ...json },
        text,
        code: json.equal ? Code.ok : Code.different
      })
    }).pipe(Effect.provide(Stored.layer(place)))
  })
).pipe(Command.withDescription("Compare two versions of a view row by row, at the same offsets"))
