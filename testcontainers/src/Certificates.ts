/**
 * Certificates for brokers and clients under test, made by `openssl` for a day: an authority of the test's own, and what it signs. PEM texts; the
 * files are gone when an effect here ends.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import type { BrokerError } from "./BrokerError.ts"
import * as Command from "./Command.ts"
import * as Jars from "./Jars.ts"

/** A certificate and its private key. */
export interface Pair {
  readonly certificate: string
  /** PKCS #8. */
  readonly key: string
}

const folder: Effect.Effect<string, BrokerError, Scope.Scope> = Effect.acquireRelease(
  Jars.io("make a folder in", tmpdir(), () => mkdtemp(path.join(tmpdir(), "headrace-certificates-"))),
  (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
)

const openssl = (cwd: string, ...args: ReadonlyArray<string>) => Command.run("openssl", args, { cwd, seconds: 60 })
const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

const read = (cwd: string): Effect.Effect<Pair, BrokerError> =>
  Jars.io("read certificates in", cwd, async () => ({
    certificate: await readFile(path.join(cwd, "own.crt"), "utf8"),
    key: await readFile(path.join(cwd, "own.key"), "utf8")
  }))

/** A new authority. */
export const authority = (name: string): Effect.Effect<Pair, BrokerError> =>
  Effect.gen(function* () {
    const cwd = yield* folder
    const subject = ["-subj", `/CN=${name}`, "-days", "1"]
    yield* openssl(cwd, "req", "-x509", ...newKey, ...subject, "-keyout", "own.key", "-out", "own.crt")
    return yield* read(cwd)
  }).pipe(Effect.scoped)

/** A certificate that the authority signs; `names` are its subject's others, such as `IP:127.0.0.1`. */
export const issue = (by: Pair, name: string, names: ReadonlyArray<string>): Effect.Effect<Pair, BrokerError> =>
  Effect.gen(function* () {
    const cwd = yield* folder
    const files = {
      "ca.crt": by.certificate,
      "ca.key": by.key,
      extensions: `basicConstraints=CA:FALSE\n${names.length > 0 ? `subjectAltName=${names.join(",")}\n` : ""}`
    }
    for (const [file, text] of Object.entries(files))
      yield* Jars.io("write", file, () => writeFile(path.join(cwd, file), text, { mode: 0o600 }))
    yield* openssl(cwd, "req", ...newKey, "-subj", `/CN=${name}`, "-keyout", "own.key", "-out", "own.csr")
    const signer = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", "extensions"]
    yield* openssl(cwd, "x509", "-req", "-in", "own.csr", ...signer, "-out", "own.crt")
    return yield* read(cwd)
  }).pipe(Effect.scoped)
