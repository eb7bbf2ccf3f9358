/** Node's error codes as reasons of the port. */
import {
  InvalidKey,
  Io,
  NoSpace,
  NotFound,
  ObjectStoreError,
  PermissionDenied,
  Unsupported
} from "../ObjectStoreError.ts"

export const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string" ? cause.code : ""

/** The reason of a failed file operation. `operation` is the verb of the message: "read", "write", "create", "list", "delete". */
export const fromErrno =
  (key: string, operation: string) =>
  (cause: unknown): ObjectStoreError => {
    const reading = operation === "read"
    switch (codeOf(cause)) {
      case "ENOENT":
        return new ObjectStoreError({ reason: reading ? new NotFound({ key }) : new Io({ key, operation, cause }) })
      case "EISDIR":
      case "ENOTDIR":
      case "EEXIST":
        return new ObjectStoreError({
          reason: reading
            ? new NotFound({ key })
            : new InvalidKey({ key, problem: "it is the folder of another key, or another key is its folder" })
        })
      case "ENAMETOOLONG":
        return new ObjectStoreError({
          reason: new InvalidKey({ key, problem: "a segment or the whole is too long for this file system" })
        })
      case "EACCES":
      case "EPERM":
      case "EROFS":
        return new ObjectStoreError({ reason: new PermissionDenied({ key, operation, cause }) })
      case "ENOSPC":
      case "EDQUOT":
        return new ObjectStoreError({ reason: new NoSpace({ key, operation, cause }) })
      case "ENOTSUP":
      case "EOPNOTSUPP":
      case "ENOSYS":
        return new ObjectStoreError({ reason: new Unsupported({ key, operation, cause }) })
      default:
        return new ObjectStoreError({ reason: new Io({ key, operation, cause }) })
    }
  }
