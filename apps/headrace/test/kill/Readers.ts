/** Two readers in processes of their own: one stays connected, the other one opens the store again and again. */
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Child from "../support/Child.ts"

/** What a reader saw. */
interface Seen {
  readonly reads: number
  readonly failures: ReadonlyArray<string>
  readonly halfStates: ReadonlyArray<string>
  /** Versions met with, by status, and reads of `<view>` by the version that it was. */
  readonly seen: { readonly building: number; readonly ready: number }
  readonly promoted: Readonly<Record<string, number>>
}

export interface Readers {
  /** Ends them, and gives what they saw. */
  readonly stop: () => Promise<ReadonlyArray<Seen>>
}

/** A reader that has begun; `end` is kept until it ends. */
interface Reading {
  readonly end: Promise<Seen>
}

/** Starts one; done when it has read for the first time. */
const start = (store: string, stop: string, kind: "stays" | "reopens") =>
  new Promise<Reading>((begun, failed) => {
    const [program, args] = Child.commandOf(join(import.meta.dirname, "reader.ts"), store, stop, kind)
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] })
    let [out, errors] = ["", ""]
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()))
    const end = new Promise<Seen>((resolve, reject) => {
      child.on("error", reject)
      child.on("close", (code) =>
        code === 0 ? resolve(JSON.parse(out) as Seen) : reject(new Error(`a reader ended with ${code}: ${errors}`))
      )
    })
    end.catch(failed)
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString()
      if (errors.includes("reading")) begun({ end })
    })
  })

/** Starts them; both have read once when this is done. */
export const make = async (folder: string, store: string): Promise<Readers> => {
  const file = join(folder, "stop")
  const all = await Promise.all([start(store, file, "stays"), start(store, file, "reopens")])
  return {
    stop: () => {
      writeFileSync(file, "")
      return Promise.all(all.map((reading) => reading.end))
    }
  }
}
