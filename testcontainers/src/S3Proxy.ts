/** S3Proxy, an S3 server in Java, with its objects in memory: its jar and its settings. */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { BrokerError } from "./BrokerError.ts"
import * as Jars from "./Jars.ts"
import * as KafkaJars from "./KafkaJars.ts"
import { accessKeyId, secretAccessKey } from "./S3Keys.ts"

export const version = "4.1.0"

/** Fails with what is missing: Java 17 and Maven. */
export { check } from "./KafkaJars.ts"

const name = `s3proxy-${version}-jar-with-dependencies.jar`

/** The jar; the first call downloads it. Safe to call from several processes at once. */
export const jar: Effect.Effect<string, BrokerError> = KafkaJars.check.pipe(
  Effect.andThen(
    Jars.download({
      name: `s3proxy-${version}`,
      pom: path.join(import.meta.dirname, "../images/s3proxy/pom.xml"),
      properties: { "s3proxy.version": version },
      whole: name
    })
  ),
  Effect.map((folder) => path.join(folder, name))
)

/** Its settings, a file. */
export const settings = (port: number): string =>
  Object.entries({
    "s3proxy.endpoint": `http://127.0.0.1:${port}`,
    "s3proxy.authorization": "aws-v2-or-v4",
    "s3proxy.identity": accessKeyId,
    "s3proxy.credential": secretAccessKey,
    "jclouds.provider": "transient-nio2"
  })
    .map(([key, value]) => `${key}=${value}\n`)
    .join("")
