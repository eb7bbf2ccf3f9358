/** Folders, records and processes of the tests. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { BatchBuilder } from "@headrace/core/Batch"
import * as Records from "@headrace/core/contract/Records"
import type { Service } from "@headrace/core/EventLog"
import { Effect, Stream } from "effect"

/** Records `[from, to)` with their number as value. */
export const numbered = (from: number, to: number) => {
  const builder = new BatchBuilder()
  for (let i = from; i < to; i++) builder.add(`k${i}`, `${i}`, i)
  return builder.take()
}

/** Their values. */
export const texts = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}`)

/** The values of a partition of topic "t", from an offset to another, or to the end. */
export const valuesOf = (log: Service, from: number, until?: number, partition = 0) =>
  Effect.map(
    Stream.runCollect(log.read({ topic: "t", partition, from, ...(until === undefined ? {} : { until }) })),
    (batches) => batches.flatMap((b) => Records.ofBatch(b).map((r) => Records.textOf(r.value)))
  )

/** A folder that is removed with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "headrace-embedded-"))),
  (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
)

const script = fileURLToPath(new URL("./child.ts", import.meta.url))

/** A child process that runs a command of `child.ts` on this runtime; it is killed with the scope. */
export interface Child {
  /** Resolves with the child's first line that starts with `text`; fails when it ends without one. */
  readonly line: (text: string) => Effect.Effect<string>
  /** What it has printed so far, in lines. */
  readonly lines: () => ReadonlyArray<string>
  readonly send: (text: string) => Effect.Effect<void>
  readonly kill: Effect.Effect<void>
  /** Its exit code when it has ended, or the signal. */
  readonly ended: Effect.Effect<number | string>
}

export const child = (command: string, ...args: ReadonlyArray<string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const flags = process.versions["deno"] === undefined ? [] : ["run", "-A"]
        return spawn(process.execPath, [...flags, script, command, ...args], { stdio: ["pipe", "pipe", "inherit"] })
      }),
      (process) => Effect.sync(() => process.kill("SIGKILL"))
    ),
    (process): Child => {
      let output = ""
      let exit: number | string | undefined
      const waiting = new Set<() => void>()
      const wake = () => {
        for (const resume of waiting) resume()
      }
      process.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString()
        wake()
      })
      process.stdin.on("error", wake)
      process.on("close", (code, signal) => {
        exit = code ?? signal ?? "unknown"
        wake()
      })
      const lines = () => output.split("\n").slice(0, -1)
      const when = <A>(test: () => Effect.Effect<A> | undefined) =>
        Effect.callback<A>((resume) => {
          const check = () => {
            const found = test()
            if (found === undefined) return
            waiting.delete(check)
            resume(found)
          }
          waiting.add(check)
          check()
          return Effect.sync(() => waiting.delete(check))
        })
      return {
        lines,
        line: (text) =>
          when(() => {
            const found = lines().find((line) => line.startsWith(text))
            if (found !== undefined) return Effect.succeed(found)
            return exit === undefined
              ? undefined
              : Effect.die(new Error(`"${command}" ended with ${exit} before it said "${text}": ${output}`))
          }),
        send: (text) => Effect.sync(() => void process.stdin.write(`${text}\n`)),
        kill: Effect.sync(() => void process.kill("SIGKILL")),
        ended: when(() => (exit === undefined ? undefined : Effect.succeed(exit)))
      }
    }
  )
