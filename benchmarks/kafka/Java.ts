/** Kafka's own Java clients, by the performance tools that come with them. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { Effect } from "effect"
import * as Jars from "integration-suite/Jars"
import { keySize, valueSize } from "./Records.ts"

const version = "4.3.1"

/** The folder of the jars of Kafka Streams and the performance tools. */
export const libs = Jars.download({
  name: `kafka-benchmarks-${version}`,
  pom: join(import.meta.dirname, "../kafka-streams/pom.xml"),
  properties: { "kafka.version": version },
  whole: `kafka-tools-${version}.jar`
})

/** Runs a class, or a source file, to its end and gives what it printed. */
export const run = async (args: ReadonlyArray<string>): Promise<string> => {
  const jars = join(await Effect.runPromise(libs), "*")
  const options = ["-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", jars]
  return (await promisify(execFile)(Jars.java, [...options, ...args], { maxBuffer: 1 << 26 })).stdout
}

const rate = (found: string | undefined, printed: string): number => {
  const value = Number(found)
  if (found === undefined || !(value > 0)) throw new Error(`no rate in what the performance tool printed:\n${printed}`)
  return value
}

/** Writes records of the same size, without keys; records a second. */
export const produce = async (broker: string, topic: string, records: number): Promise<number> => {
  const printed = await run([
    "org.apache.kafka.tools.ProducerPerformance",
    `--bootstrap-server=${broker}`,
    `--topic=${topic}`,
    `--num-records=${records}`,
    `--record-size=${keySize + valueSize}`,
    "--throughput=-1",
    "--command-property",
    "acks=all"
  ])
  return rate(/records sent, ([\d.]+) records\/sec/.exec(printed.trim().split("\n").at(-1)!)?.[1], printed)
}

/** Reads the topic; records a second from the assignment on. */
export const consume = async (broker: string, topic: string, records: number): Promise<number> => {
  const printed = await run([
    "org.apache.kafka.tools.ConsumerPerformance",
    `--bootstrap-server=${broker}`,
    `--topic=${topic}`,
    `--num-records=${records}`,
    "--hide-header",
    "--timeout=60000",
    "--command-property",
    "isolation.level=read_committed"
  ])
  return rate(printed.trim().split("\n").at(-1)?.split(", ").at(-1), printed)
}
