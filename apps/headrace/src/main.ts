#!/usr/bin/env node
/** The program `headrace`: runs the command that its arguments name. The first signal ends it well, the second one at once. */
import { Cause, Effect, Exit } from "effect"
import { run } from "./Cli.ts"
import { Code } from "./Output.ts"

// A reader that has seen enough (`| head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(Code.ok)
  throw error
})

const fiber = Effect.runFork(run(process.argv.slice(2)))

let stopping = false
const stop = () => {
  if (stopping) process.exit(Code.interrupted)
  stopping = true
  fiber.interruptUnsafe()
}
process.on("SIGINT", stop)
process.on("SIGTERM", stop)

fiber.addObserver((exit) => {
  const interrupted = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
  const code = Exit.isSuccess(exit) ? exit.value : interrupted ? Code.interrupted : Code.error
  // What was written must be out before the process ends; handles that a project's module left open don't keep it.
  process.stdout.write("", () => process.exit(code))
})
