/** Servers as processes of this machine: signals, and the removal of what killed runs left. */
import * as Effect from "effect/Effect"
import type { ChildProcess } from "node:child_process"
import { readFile, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import type { BrokerError } from "./BrokerError.ts"
import * as Command from "./Command.ts"
import * as Jars from "./Jars.ts"
import * as Owner from "./Owner.ts"

/** The file in a server's folder that holds its process id. */
export const pidFile = "server.pid"

/**
 * By the process id: in Deno `child.kill` takes the child for ended after any signal, SIGSTOP too. A process that is gone already needs none;
 * its exit event tells.
 */
export const send = (child: ChildProcess, name: NodeJS.Signals): void => {
  if (child.pid === undefined) return
  try {
    process.kill(child.pid, name)
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ESRCH")) throw cause
  }
}

/** Servers of processes that are gone, and their folders. A process id may have a new owner: it must still run a server of that folder. */
export const removeOrphans = (what: Parameters<typeof Owner.name>[0]): Effect.Effect<void, BrokerError> =>
  Effect.gen(function* () {
    for (const name of yield* Jars.io("list", tmpdir(), () => readdir(tmpdir()))) {
      if (!Owner.isOrphan(what, name)) continue
      const folder = path.join(tmpdir(), name)
      const pid = yield* Effect.promise(() => readFile(path.join(folder, pidFile), "utf8").catch(() => ""))
      const command =
        pid === "" ? "" : yield* Command.run("ps", ["-o", "args=", "-p", pid]).pipe(Effect.orElseSucceed(() => ""))
      if (command.includes(folder)) process.kill(Number(pid), "SIGKILL")
      yield* Jars.io("delete", folder, () => rm(folder, { recursive: true, force: true }))
    }
  })
