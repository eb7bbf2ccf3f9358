/** The jars of a Kafka broker. */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { BrokerError, Missing } from "./BrokerError.ts"
import * as Command from "./Command.ts"
import * as Jars from "./Jars.ts"

/** The version of Kafka that both ways of running have. */
export const version = "4.4.0"

/** Fails with what is missing for a broker process: Java 17 and Maven. */
export const check: Effect.Effect<void, BrokerError> = Effect.gen(function* () {
  const missing = (what: string) =>
    new BrokerError({ reason: new Missing({ what, todo: "install a JDK of version 17 or newer, and Maven" }) })
  const printed = yield* Command.run(Jars.java, ["-version"], { seconds: 20 }).pipe(
    Effect.mapError(() => missing("there is no java"))
  )
  const major = Number(/version "(?:1\.)?(\d+)/.exec(printed)?.[1] ?? 0)
  if (major < 17) return yield* missing(`java is of version ${major}, Kafka ${version} needs 17`)
  if (!(yield* Command.works("mvn", ["-v"]))) return yield* missing("there is no mvn")
})

/** The folder of the jars; the first call downloads them. Safe to call from several processes at once. */
export const libs: Effect.Effect<string, BrokerError> = Jars.download({
  name: `kafka-${version}`,
  pom: path.join(import.meta.dirname, "../images/kafka/pom.xml"),
  properties: { "kafka.version": version },
  whole: `kafka_2.13-${version}.jar`
})
