/**
 * What a failed request means. The SDK's errors hold requests, headers and raw responses; of them only the code, the message, the status and the
 * request's id are kept, so that no signature, key or token ends up in an error or a log.
 */
import * as Data from "effect/Data"
import {
  BucketNotFound,
  CredentialsRejected,
  InvalidKey,
  Io,
  NoSpace,
  NotFound,
  ObjectStoreError,
  PermissionDenied,
  Throttled,
  Unavailable
} from "../../ObjectStoreError.ts"

export type Kind =
  | "absent"
  | "noBucket"
  | "noUpload"
  | "precondition"
  | "range"
  | "conflict"
  | "throttled"
  | "unavailable"
  | "credentials"
  | "denied"
  | "full"
  | "badKey"
  | "other"

/** A request that failed. `refused`: for certain nothing was changed by it; else it may have taken effect. */
export class Failure extends Data.TaggedError("S3Failure")<{
  readonly kind: Kind
  readonly refused: boolean
  readonly status: number | undefined
  readonly cause: Error
}> {}

const kinds: Readonly<Record<string, Kind>> = {
  NoSuchKey: "absent",
  NotFound: "absent",
  NoSuchBucket: "noBucket",
  NoSuchUpload: "noUpload",
  PreconditionFailed: "precondition",
  InvalidRange: "range",
  ConditionalRequestConflict: "conflict",
  OperationAborted: "conflict",
  SlowDown: "throttled",
  RequestLimitExceeded: "throttled",
  RequestThrottled: "throttled",
  Throttling: "throttled",
  ThrottlingException: "throttled",
  TooManyRequests: "throttled",
  TooManyRequestsException: "throttled",
  RequestTimeout: "unavailable",
  ExpiredToken: "credentials",
  ExpiredTokenException: "credentials",
  TokenRefreshRequired: "credentials",
  InvalidToken: "credentials",
  InvalidAccessKeyId: "credentials",
  SignatureDoesNotMatch: "credentials",
  RequestTimeTooSkewed: "credentials",
  CredentialsProviderError: "credentials",
  AccessDenied: "denied",
  QuotaExceeded: "full",
  InsufficientStorage: "full",
  KeyTooLong: "badKey",
  KeyTooLongError: "badKey",
  ObjectParentIsFile: "badKey",
  ExistingObjectIsDirectory: "badKey"
}

const byStatus = (status: number): Kind => {
  switch (status) {
    case 401:
    case 403:
      return "denied"
    case 404:
      return "absent"
    case 409:
      return "conflict"
    case 412:
      return "precondition"
    case 416:
      return "range"
    case 429:
    case 503:
      return "throttled"
    case 507:
      return "full"
    default:
      // A response of status 200 that ended within its body is no answer either.
      return status >= 500 || status < 300 ? "unavailable" : "other"
  }
}

/** Codes of connections that were never made: the server can't have seen the request. */
const neverSent = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "ConnectionRefused"]

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && name in value
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined

/** What was thrown by the SDK or by reading a body. */
export const fromCause = (cause: unknown): Failure => {
  if (cause instanceof Failure) return cause
  const name = cause instanceof Error ? cause.name : ""
  const code = field(cause, "code")
  const metadata = field(cause, "$metadata")
  const statusOf = field(metadata, "httpStatusCode")
  const status = typeof statusOf === "number" ? statusOf : undefined
  const id = field(metadata, "requestId")
  const told = cause instanceof Error ? cause.message : String(cause)
  const details = [
    ...(status === undefined ? [] : [`HTTP ${status}`]),
    ...(typeof code === "string" ? [code] : []),
    ...(typeof id === "string" ? [`request ${id}`] : [])
  ]
  const shown = [name === "Error" || told.startsWith(name) ? "" : `${name}: `, told].join("")
  const error = new Error(details.length === 0 ? shown : `${shown} (${details.join(", ")})`)
  // A programming error is none of the network's.
  const bug =
    status === undefined && (cause instanceof TypeError || cause instanceof RangeError) && typeof code !== "string"
  const kind = kinds[name] ?? (status === undefined ? (bug ? "other" : "unavailable") : byStatus(status))
  const refused =
    kind === "unavailable"
      ? typeof code === "string" && neverSent.includes(code)
      : // Without a code of S3's own, a 503 may come from something between that had passed the request on.
        !(kind === "throttled" && kinds[name] === undefined && status !== 429)
  return new Failure({ kind, refused, status, cause: error })
}

/** A request that got no answer in time. */
export const timedOut = (what: string, seconds: number): Failure =>
  new Failure({
    kind: "unavailable",
    refused: false,
    status: undefined,
    cause: new Error(`no ${what} within ${seconds} s`)
  })

/** A body that isn't what its head announced. */
export const cut = (problem: string): Failure =>
  new Failure({ kind: "unavailable", refused: false, status: undefined, cause: new Error(problem) })

/** Whether to try again. */
export const isTransient = ({ kind }: Failure): boolean =>
  kind === "throttled" || kind === "unavailable" || kind === "conflict"

/** The error of the port. */
export const toError =
  (place: { readonly bucket: string; readonly endpoint: string }, key: string, operation: string) =>
  ({ cause, kind }: Failure): ObjectStoreError => {
    switch (kind) {
      case "absent":
        return new ObjectStoreError({ reason: new NotFound({ key }) })
      case "noBucket":
        return new ObjectStoreError({ reason: new BucketNotFound(place) })
      case "credentials":
        return new ObjectStoreError({ reason: new CredentialsRejected({ bucket: place.bucket, cause }) })
      case "denied":
        return new ObjectStoreError({ reason: new PermissionDenied({ key, operation, cause }) })
      case "throttled":
        return new ObjectStoreError({ reason: new Throttled({ key, operation, cause }) })
      case "unavailable":
      case "conflict":
        return new ObjectStoreError({ reason: new Unavailable({ key, operation, cause }) })
      case "full":
        return new ObjectStoreError({ reason: new NoSpace({ key, operation, cause }) })
      case "badKey":
        return new ObjectStoreError({
          reason: new InvalidKey({ key, problem: `the store refuses it (${cause.message})` })
        })
      default:
        return new ObjectStoreError({ reason: new Io({ key, operation, cause }) })
    }
  }
