/** Programs that the harness runs to their end. An interruption kills the program. */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { BrokerError, CommandFailed } from "./BrokerError.ts"

/** Runs a program and gives what it printed; fails when it isn't there, exits with another code than 0, or takes longer than `seconds`. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: {
    readonly cwd?: string
    readonly seconds?: number
    readonly env?: Readonly<Record<string, string>>
  } = {}
): Effect.Effect<string, BrokerError> =>
  Effect.callback((resume) => {
    const child = execFile(
      command,
      args,
      {
        cwd: options.cwd,
        env: { ...process.env, ...options.env },
        timeout: (options.seconds ?? 300) * 1000,
        killSignal: "SIGKILL",
        maxBuffer: 64 << 20
      },
      (error, stdout, stderr) => {
        const output = `${stdout}${stderr}`
        if (error === null) return resume(Effect.succeed(output))
        const problem =
          error.code === "ENOENT"
            ? "is not on this machine"
            : error.killed === true
              ? `took longer than ${options.seconds ?? 300} s`
              : `failed with ${error.code ?? error.signal ?? error.message}`
        const line = [command, ...args].join(" ").slice(0, 200)
        resume(Effect.fail(new BrokerError({ reason: new CommandFailed({ command: line, problem, output }) })))
      }
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Whether a program runs and exits with 0. */
export const works = (command: string, args: ReadonlyArray<string>): Effect.Effect<boolean> =>
  run(command, args, { seconds: 20 }).pipe(
    Effect.as(true),
    Effect.orElseSucceed(() => false)
  )
