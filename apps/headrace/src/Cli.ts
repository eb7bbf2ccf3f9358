/** The command line as a function from arguments to an exit code. Every error ends here, as one line. */
import { readFileSync } from "node:fs"
import { NodeServices } from "@effect/platform-node"
import { Cause, Effect, Exit, Logger, Predicate, Ref } from "effect"
import { CliError, CliOutput, Command } from "effect/cli"
import { check } from "./commands/check.ts"
import { archive } from "./commands/archive.ts"
import { compare } from "./commands/compare.ts"
import { deadLetters } from "./commands/deadLetters.ts"
import { drop } from "./commands/drop.ts"
import { late } from "./commands/late.ts"
import { log } from "./commands/log.ts"
import { promote, rollback } from "./commands/promote.ts"
import { replay } from "./commands/replay.ts"
import { run as runViews } from "./commands/run.ts"
import { status } from "./commands/status.ts"
import { Code, ExitCode, json, oneLine, Streams, Usage } from "./Output.ts"
import { root } from "./Root.ts"

const command = root.pipe(
  Command.withSubcommands([
    check,
    runViews,
    replay,
    compare,
    promote,
    rollback,
    drop,
    status,
    late,
    deadLetters,
    archive,
    log
  ])
)

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  readonly version: string
}

/** The innermost reason's tag: what a program tells errors apart by. */
const tagOf = (error: unknown): string => {
  let at = error
  while (Predicate.hasProperty(at, "reason") && Predicate.hasProperty(at.reason, "_tag")) at = at.reason
  return Predicate.hasProperty(at, "_tag") ? String(at._tag) : "Error"
}

const messageOf = (error: unknown): string => oneLine(error instanceof Error ? error.message : String(error))

/** Help and versions to standard output; a wrong invocation is an error like any other, and handled below. */
const presenter = (streams: Streams) =>
  CliOutput.layerPresenter({
    present: (event) =>
      Effect.sync(() => {
        const formatter = CliOutput.defaultFormatter({ colors: false })
        if (event._tag === "Help") streams.out(`${formatter.formatHelpDoc(event.helpDoc)}\n`)
        else if (event._tag === "Version") streams.out(`${event.name} ${event.version}\n`)
      })
  })

/** Runs one command and gives its exit code. It never fails; interrupted, it ends the command first. */
export const run = (args: ReadonlyArray<string>): Effect.Effect<Code> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const streams = yield* Streams
      const asJson = args.includes("--json")
      const code = yield* Ref.make<Code | undefined>(undefined)
      const fail = (tag: string, message: string) => {
        streams.err(`error: ${message}\n`)
        if (asJson) streams.out(`${json({ error: { tag, message } })}\n`)
      }
      const exit = yield* Command.runWith(command, { version })(args).pipe(
        Effect.provideService(ExitCode, code),
        Effect.provide([presenter(streams), NodeServices.layer, Logger.layer([toStderr])]),
        restore,
        Effect.exit
      )
      const finished = yield* Ref.get(code)
      if (Exit.isSuccess(exit)) return finished ?? Code.ok
      const { cause } = exit
      const error = cause.reasons.find(Cause.isFailReason)?.error
      if (cause.reasons.some(Cause.isDieReason)) {
        const detail = Cause.pretty(cause)
        fail("Defect", `this is a defect of Headrace, please report it with what follows and the command that you ran`)
        streams.err(`${detail}\n`)
        return Code.error
      }
      if (error === undefined) {
        if (finished === undefined) fail("Interrupted", "interrupted; what was committed stands")
        else streams.err("interrupted\n")
        return Code.interrupted
      }
      if (!CliError.isCliError(error)) {
        fail(tagOf(error), messageOf(error))
        return error instanceof Usage ? Code.usage : Code.error
      }
      if (error._tag !== "ShowHelp") fail("Usage", messageOf(error))
      else if (error.errors.length > 0) {
        const help = `see "${[...error.commandPath, "--help"].join(" ")}"`
        fail("Usage", `${error.errors.map(messageOf).join("; ")}; ${help}`)
      } else if (asJson) fail("Usage", "a command is missing")
      return Code.usage
    })
  )

const toStderr = Logger.withConsoleError(Logger.formatLogFmt)
