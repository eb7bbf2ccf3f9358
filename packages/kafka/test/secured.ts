/** Secured brokers for tests: what only an administrator sets up, by the client libraries, and tokens. */
import { Connection, alterUserScramCredentialsV0 } from "@platformatic/kafka"
import { Effect, Redacted } from "effect"
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, ResourcePatternTypes, logLevel } from "kafkajs"
import { pbkdf2Sync, randomBytes } from "node:crypto"

export interface Admin {
  readonly bootstrap: string
  readonly ca: string
  readonly username: string
  readonly password: string
}

const iterations = 4_096

/** Makes a user known to SCRAM-SHA-256 and SCRAM-SHA-512. */
export const addScramUser = ({ bootstrap, ca, password, username }: Admin, name: string, secret: string) =>
  Effect.promise(async () => {
    const [host, port] = bootstrap.split(":")
    const connection = new Connection("tests", {
      tls: { ca },
      tlsServerName: false,
      sasl: { mechanism: "PLAIN", username, password }
    })
    await connection.connect(host!, Number(port))
    for (const [mechanism, hash, bytes] of [
      [1, "sha256", 32],
      [2, "sha512", 64]
    ] as const) {
      const salt = randomBytes(16)
      const saltedPassword = pbkdf2Sync(secret, salt, iterations, bytes, hash)
      await alterUserScramCredentialsV0.api.async(
        connection,
        [],
        [{ name, mechanism, iterations, salt, saltedPassword }]
      )
    }
    await connection.close()
  })

/** Lets a principal do an operation on a topic. */
export const allow = (
  { bootstrap, ca, password, username }: Admin,
  principal: string,
  operation: "DESCRIBE" | "READ" | "WRITE",
  topic: string
) =>
  Effect.promise(async () => {
    const client = new Kafka({
      brokers: [bootstrap],
      ssl: { ca },
      sasl: { mechanism: "plain", username, password },
      logLevel: logLevel.NOTHING
    })
    const admin = client.admin()
    await admin.connect()
    await admin.createAcls({
      acl: [
        {
          resourceType: AclResourceTypes.TOPIC,
          resourceName: topic,
          resourcePatternType: ResourcePatternTypes.LITERAL,
          principal,
          host: "*",
          operation: AclOperationTypes[operation],
          permissionType: AclPermissionTypes.ALLOW
        }
      ]
    })
    await admin.disconnect()
  })

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** A token that is valid for some seconds from `now`, epoch milliseconds; unsigned. */
export const token = (subject: string, now: number, seconds: number): Redacted.Redacted =>
  Redacted.make(`${part({ alg: "none" })}.${part({ sub: subject, iat: now / 1000, exp: now / 1000 + seconds })}.`)
