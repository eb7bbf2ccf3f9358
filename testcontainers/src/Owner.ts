/**
 * Names that say which process a server belongs to, so that the next run removes what a killed one left behind: `headrace-<what>-<pid>-<random>`.
 */
import { randomUUID } from "node:crypto"

type What = "kafka" | "s3"

/** A new name that belongs to this process. */
export const name = (what: What): string => `headrace-${what}-${process.pid}-${randomUUID().slice(0, 8)}`

/** Whether the process that a name belongs to is gone. False for names that aren't of this form. */
export const isOrphan = (what: What, of: string): boolean => {
  const pid = new RegExp(`^headrace-${what}-(\\d+)-`).exec(of)?.[1]
  if (pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (cause) {
    return cause instanceof Error && "code" in cause && cause.code === "ESRCH"
  }
}
