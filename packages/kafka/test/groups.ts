/** What the tests of consumer groups and their member processes share. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { BatchBuilder, type ProducerBatch, type RecordBatch, valueOf } from "@headrace/core/Batch"
import { KafkaDriver, KafkaSource } from "@headrace/kafka"
import { Effect, Stream } from "effect"

export interface Job {
  readonly brokers: ReadonlyArray<string>
  readonly driver: "platformatic" | "kafkajs"
  readonly protocol: "consumer" | "classic"
  readonly sessionTimeoutMillis: number
  readonly source: string
  /** Output topics, which name the groups too. */
  readonly exactlyOnce?: string
  readonly atLeastOnce?: string
  readonly transactionalId: string
  readonly transactionTimeoutMillis: number
  /** Stops or kills itself inside its first transaction: when its records are sent, or its offsets too. */
  readonly fault?: { readonly at: "records" | "offsets"; readonly signal: "SIGSTOP" | "SIGKILL" }
}

/** Records whose values are their numbers. */
export const numbered = (from: number, to: number): ProducerBatch => {
  const builder = new BatchBuilder(to - from)
  for (let i = from; i < to; i++) builder.add(null, `${i}`, 1_700_000_000_000)
  return builder.take()
}

export const valuesOf = (batch: RecordBatch) =>
  Array.from({ length: batch.count }, (_, i) => Number(new TextDecoder().decode(valueOf(batch, i)!)))

/** What there is of committed records now: values and times by partition, in order. */
export const contents = (topic: string) =>
  Effect.gen(function* () {
    const { partitions } = yield* (yield* KafkaDriver).admin.describeTopic(topic)
    const found = Array.from({ length: partitions }, () => ({
      values: [] as Array<number>,
      times: [] as Array<number>
    }))
    yield* Stream.runForEach(KafkaSource.stream({ topic, until: "now", maxWaitMillis: 50 }), (batch) =>
      Effect.sync(() => {
        const own = found[batch.partition]!
        for (const value of valuesOf(batch)) own.values.push(value)
        for (const time of batch.timestamps) own.times.push(time)
      })
    )
    return found
  })

const script = join(import.meta.dirname, "group.child.ts")

/** A member process: `said` waits for a line, `ended` for its end. */
export const start = (job: Job) => {
  const deno = process.versions["deno"] === undefined ? [] : ["run", "-A"]
  const child = spawn(process.execPath, [...deno, script, JSON.stringify(job)], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  let output = ""
  const waiting = new Set<() => void>()
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString()
    for (const check of waiting) check()
  })
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()))
  const said = (line: string) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (output.includes(line)) resolve()
      }
      waiting.add(check)
      check()
    })
  return { child, ended, said, output: () => output }
}
