/** The root command with the flags that all commands share, and what every command does with them. */
import { Effect, Ref, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { type Code, ExitCode, json as print, Streams } from "./Output.ts"
import * as Progress from "./Progress.ts"

export const root = Command.make("headrace").pipe(
  Command.withSharedFlags({
    project: Flag.String("project").pipe(
      Flag.withMetavar("DIR"),
      Flag.withDescription("The project's folder, with headrace.config.ts in it"),
      Flag.withDefault(".")
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print the result as one JSON object, the last line of standard output"),
      Flag.withDefault(false)
    ),
    quiet: Flag.Boolean("quiet").pipe(Flag.withDescription("Show no progress and no notes"), Flag.withDefault(false))
  }),
  Command.withDescription(
    "Views of a retained log: run them live, replay them from history, compare, promote, roll back"
  )
)

/** The argument that names a view. */
export const viewArgument = Argument.String("view").pipe(Argument.withDescription("The name of a view"))

/** The flag that picks one of a view's versions. */
export const versionFlag = Flag.Int("version").pipe(Flag.withMetavar("N"), Flag.optional)

/** The flag that limits how much is shown. */
export const limitFlag = (what: string, limit: number) =>
  Flag.Int("limit").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription(`Show at most so many ${what}`),
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
    Flag.withDefault(limit)
  )

/** A result: an object for machines, text for people, and how the process ends. */
export interface Result {
  readonly json: object
  readonly text: string
  readonly code?: Code
}

/** Prints a command's result, once, as the last thing it does. */
export const finish = Effect.fnUntraced(function* ({ code = 0, json, text }: Result) {
  const flags = yield* root
  const { out } = yield* Streams
  out(`${flags.json ? print(json) : text}\n`)
  yield* Ref.set(yield* ExitCode, code)
})

/** Gives what says something beside the result, on standard error, unless `--quiet`. */
export const notes = Effect.gen(function* () {
  const { quiet } = yield* root
  const { err } = yield* Streams
  return (text: string): Effect.Effect<void> => (quiet ? Effect.void : Effect.sync(() => err(`${text}\n`)))
})

/** Progress on standard error, unless `--quiet`. */
export const progress = Effect.fnUntraced(function* (options: Pick<Progress.Options, "title" | "total" | "unit">) {
  const { quiet } = yield* root
  const { err, terminal } = yield* Streams
  return yield* Progress.make({ ...options, quiet, terminal, write: err })
})

/** How this process is named to whoever meets a version that it holds. */
export const ownerOf = (command: string): string => `"headrace ${command}", process ${process.pid}`
