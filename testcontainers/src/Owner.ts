/**
 * Names that say which process a broker belongs to, so that the next run removes what a killed one left behind: `headrace-kafka-<pid>-<random>`.
 */
import { randomUUID } from "node:crypto"

const prefix = "headrace-kafka-"

/** A new name that belongs to this process. */
export const name = (): string => `${prefix}${process.pid}-${randomUUID().slice(0, 8)}`

/** Whether the process that a name belongs to is gone. False for names that aren't of this form. */
export const isOrphan = (of: string): boolean => {
  const pid = new RegExp(`^${prefix}(\\d+)-`).exec(of)?.[1]
  if (pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (cause) {
    return cause instanceof Error && "code" in cause && cause.code === "ESRCH"
  }
}
