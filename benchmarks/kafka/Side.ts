/**
 * One side of the Kafka benchmark, in a process of its own that stays for all rounds, so that each is compiled for itself and warm:
 * `Side.ts ours|raw platformatic|kafkajs BROKER`. It takes jobs by message and answers with seconds.
 */
import { fork } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"
import type { Answer, Client, Driver, Job, Whose } from "./Client.ts"
import * as Ours from "./Ours.ts"
import * as RawKafkaJs from "./RawKafkaJs.ts"
import * as RawPlatformatic from "./RawPlatformatic.ts"
import { pool, type Pool } from "./Records.ts"

const open = (whose: Whose, driver: Driver, broker: string, records: Pool): Promise<Client> => {
  if (whose === "ours") return Ours.open(driver, broker, records)
  return driver === "platformatic" ? RawPlatformatic.open(broker, records) : RawKafkaJs.open(broker, records)
}

interface Request {
  readonly job: Job
  readonly topic: string
  readonly records: number
}

/** Starts a side's process. Closing ends it. */
export const start = (whose: Whose, driver: Driver, broker: string): Client => {
  const child = fork(import.meta.filename, [whose, driver, broker], {
    execArgv: ["--disable-warning=TimeoutNegativeWarning"]
  })
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
  return {
    run: async (job, topic, records) => {
      const answer = new Promise<Answer>((resolve) => child.once("message", (m) => resolve(m as Answer)))
      child.send({ job, topic, records } satisfies Request)
      const first = await Promise.race([answer, ended])
      if (first === null || typeof first === "number")
        throw new Error(`${job} of ${whose} ${driver} ended with exit code ${first}`)
      return first
    },
    close: async () => {
      if (child.connected) child.disconnect()
      await ended
    }
  }
}

if (import.meta.main) {
  const [whose, driver, broker] = process.argv.slice(2)
  const client = await open(whose as Whose, driver as Driver, broker!, pool())
  process.on("message", (request: Request) => {
    client.run(request.job, request.topic, request.records).then(
      (answer) => process.send!(answer),
      (cause: unknown) => {
        console.error(cause)
        process.exit(1)
      }
    )
  })
  // Closing waits for the broker, which may be gone.
  process.once("disconnect", () => void Promise.race([client.close(), sleep(5_000)]).finally(() => process.exit(0)))
}
