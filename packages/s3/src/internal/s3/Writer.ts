/**
 * Tokens that say who wrote an object, in its metadata as `x-amz-meta-headrace-writer`.
 *
 * Not drawn from `Random`: two processes that were given one seed would then take each other's objects for their own.
 */
import { randomUUID } from "node:crypto"

/** The name within the object's metadata. */
export const header = "headrace-writer"

export type Kind = "create" | "replace" | "upload"

/** A new token at each call. */
export const tokens = (): ((kind: Kind) => string) => {
  const process = randomUUID()
  let count = 0
  return (kind) => `${kind}-${process}-${count++}`
}

/** Whether an object with this token was created while its key was free. */
export const isCreate = (token: string | undefined): boolean => token?.startsWith("create-") === true
