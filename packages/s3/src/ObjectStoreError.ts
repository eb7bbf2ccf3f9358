/**
 * The one error of the object store port. `reason` says what happened; its message names the key and what to do next.
 *
 * Handle a case with `Effect.catchReason("ObjectStoreError", "NotFound", …)`; drivers add reasons, not signatures.
 */
import * as Schema from "effect/Schema"

/** There is no object with this key. */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { key: Schema.String }) {
  override get message(): string {
    return `there is no object "${this.key}"; check the key and the store's folder or bucket`
  }
}

/** The store refused the operation for lack of rights (EACCES, EPERM, EROFS; HTTP 401 and 403). Nothing was changed. */
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>()("PermissionDenied", {
  key: Schema.String,
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? ` (${this.cause.message})` : ""
    return `no permission to ${this.operation} "${this.key}"${detail}; grant this process read and write access to it`
  }
}

/** The store is full (ENOSPC, EDQUOT). The object was not written. */
export class NoSpace extends Schema.TaggedError<NoSpace>()("NoSpace", {
  key: Schema.String,
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `no space left to ${this.operation} "${this.key}"; free space or raise the quota, then try again`
  }
}

/**
 * The driver can't tell whether the operation took effect: a lost response, or a failed flush after the object became visible. The caller
 * reads the key back and compares; neither "it happened" nor "it didn't" may be assumed.
 */
export class Unknown extends Schema.TaggedError<Unknown>()("Unknown", {
  key: Schema.String,
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `it is unknown whether ${this.operation} of "${this.key}" took effect; read the object back and compare it`
  }
}

/** The key or prefix breaks the rules of {@link checkKey}, or the driver can't hold it (too long, or it names a folder). Nothing was done. */
export class InvalidKey extends Schema.TaggedError<InvalidKey>()("InvalidKey", {
  key: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `"${this.key}" is no valid key: ${this.problem}; use slash-separated, non-empty segments`
  }
}

/** The range isn't `0 ≤ start ≤ end` in whole bytes. Nothing was read. */
export class InvalidRange extends Schema.TaggedError<InvalidRange>()("InvalidRange", {
  key: Schema.String,
  start: Schema.String,
  end: Schema.String
}) {
  override get message(): string {
    return `[${this.start}, ${this.end}) of "${this.key}" is no byte range; give whole numbers with 0 ≤ start ≤ end`
  }
}

/** The storage below can't do the operation at all, e.g. a file system without hard links. Nothing was changed. */
export class Unsupported extends Schema.TaggedError<Unsupported>()("Unsupported", {
  key: Schema.String,
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? ` (${this.cause.message})` : ""
    return `this storage can't ${this.operation} "${this.key}"${detail}; use a local file system with hard links, Amazon S3, or a server that passes the contract suite`
  }
}

/** The bucket isn't there (any more). Nothing was read or written. */
export class BucketNotFound extends Schema.TaggedError<BucketNotFound>()("BucketNotFound", {
  bucket: Schema.String,
  endpoint: Schema.String
}) {
  override get message(): string {
    return `there is no bucket "${this.bucket}" at ${this.endpoint}; create it, or correct the bucket's name, the region or the endpoint`
  }
}

/** The store doesn't take the credentials: wrong, expired, or none were found. Nothing was read or written. */
export class CredentialsRejected extends Schema.TaggedError<CredentialsRejected>()("CredentialsRejected", {
  bucket: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? ` (${this.cause.message})` : ""
    return `the credentials for bucket "${this.bucket}" were not accepted${detail}; renew them, or correct the access key, the secret or this machine's clock`
  }
}

/** The store asks for fewer requests (HTTP 429; 503 SlowDown), after every retry. Nothing was changed. */
export class Throttled extends Schema.TaggedError<Throttled>()("Throttled", {
  key: Schema.String,
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? ` (${this.cause.message})` : ""
    return `the store throttles: could not ${this.operation} "${this.key}"${detail}; send fewer requests at once, or allow more retries`
  }
}

/**
 * The store didn't answer, or not whole: no connection, a reset, a time-out, a server error, a body that ended early; after every retry. Of a
 * write or a delete it isn't known whether it took effect, but it can be done again.
 */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  key: Schema.String,
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? ` (${this.cause.message})` : ""
    return `the store is unavailable: could not ${this.operation} "${this.key}"${detail}; check the endpoint and the network, then try again`
  }
}

/** The object was replaced after the caller, or the first of several reads, saw it. What was read is discarded. */
export class Changed extends Schema.TaggedError<Changed>()("Changed", {
  key: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `"${this.key}" is no longer the object with etag ${this.expected}; read its head again and start over`
  }
}

/** Any other failure of the storage. An object under the key is as it was: whole and old, or whole and absent. */
export class Io extends Schema.TaggedError<Io>()("Io", {
  key: Schema.String,
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? `: ${this.cause.message}` : ""
    return `could not ${this.operation} "${this.key}"${detail}; look at the storage, then try again`
  }
}

/** What went wrong. */
export const Reason = Schema.Union([
  NotFound,
  PermissionDenied,
  NoSpace,
  Unknown,
  InvalidKey,
  InvalidRange,
  Unsupported,
  BucketNotFound,
  CredentialsRejected,
  Throttled,
  Unavailable,
  Changed,
  Io
])
/** Any of the reasons. */
export type Reason = typeof Reason.Type

/** The one error of the port. */
export class ObjectStoreError extends Schema.TaggedError<ObjectStoreError>()("ObjectStoreError", { reason: Reason }) {
  override get message(): string {
    return this.reason.message
  }
}
