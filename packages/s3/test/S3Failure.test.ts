/** How failures of the SDK are read: by code, by status, by the system's code; and what of them is kept. */
import { assert, describe, it } from "@effect/vitest"
import { fromCause, isTransient, timedOut, toError } from "../src/internal/s3/Failure.ts"

const thrown = (name: string, status?: number, extra: object = {}) =>
  Object.assign(new Error("it failed"), {
    name,
    $metadata: { httpStatusCode: status, requestId: "r-1" },
    $response: { headers: { authorization: "AWS4 secret" } },
    ...extra
  })

describe("S3 failures", () => {
  const cases: ReadonlyArray<readonly [Error, kind: string, refused: boolean, transient: boolean, reason: string]> = [
    [thrown("NoSuchKey", 404), "absent", true, false, "NotFound"],
    [thrown("NotFound", 404), "absent", true, false, "NotFound"],
    [thrown("NoSuchBucket", 404), "noBucket", true, false, "BucketNotFound"],
    [thrown("PreconditionFailed", 412), "precondition", true, false, "Io"],
    [thrown("ConditionalRequestConflict", 409), "conflict", true, true, "Unavailable"],
    [thrown("SlowDown", 503), "throttled", true, true, "Throttled"],
    [thrown("503", 503), "throttled", false, true, "Throttled"],
    [thrown("Unknown", 429), "throttled", true, true, "Throttled"],
    [thrown("InternalError", 500), "unavailable", false, true, "Unavailable"],
    [thrown("SyntaxError", 200), "unavailable", false, true, "Unavailable"],
    [thrown("ExpiredToken", 400), "credentials", true, false, "CredentialsRejected"],
    [thrown("SignatureDoesNotMatch", 403), "credentials", true, false, "CredentialsRejected"],
    [thrown("CredentialsProviderError"), "credentials", true, false, "CredentialsRejected"],
    [thrown("AccessDenied", 403), "denied", true, false, "PermissionDenied"],
    [thrown("Forbidden", 403), "denied", true, false, "PermissionDenied"],
    [thrown("QuotaExceeded", 403), "full", true, false, "NoSpace"],
    [thrown("KeyTooLongError", 400), "badKey", true, false, "InvalidKey"],
    [thrown("PermanentRedirect", 301), "other", true, false, "Io"],
    [Object.assign(new Error("reset"), { code: "ECONNRESET" }), "unavailable", false, true, "Unavailable"],
    [Object.assign(new Error("refused"), { code: "ECONNREFUSED" }), "unavailable", true, true, "Unavailable"],
    [new TypeError("x is not a function"), "other", true, false, "Io"],
    [timedOut("answer", 3), "unavailable", false, true, "Unavailable"]
  ]
  for (const [cause, kind, refused, transient, reason] of cases) {
    it(`${cause.name} ${cause.message} is ${kind}`, () => {
      const failure = fromCause(cause)
      assert.deepStrictEqual([failure.kind, failure.refused, isTransient(failure)], [kind, refused, transient])
      const error = toError({ bucket: "b", endpoint: "e" }, "the/key", "write")(failure)
      assert.strictEqual(error.reason._tag, reason)
      assert.include(error.message, ["BucketNotFound", "CredentialsRejected"].includes(reason) ? `"b"` : `"the/key"`)
    })
  }

  it("keeps the code, the status and the request's id, and no header", () => {
    const { cause } = fromCause(thrown("InternalError", 500))
    assert.strictEqual(cause.message, "InternalError: it failed (HTTP 500, request r-1)")
    assert.deepStrictEqual(Object.keys(cause), [])
  })
})
