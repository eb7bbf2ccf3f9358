/** The peak of a process's memory. */
import { readFileSync } from "node:fs"

/** The peak of a process's own resident memory, in MB. (`getrusage` counts the peak of the parent before the child was executed.) */
export const peak = (pid: number | "self" = "self"): number => {
  const kilobytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  return Number(kilobytes) / 1024
}
