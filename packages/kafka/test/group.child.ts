/**
 * A member of two groups in a process of its own, `group.child.ts JOB`: one copies the source exactly once, the other at least once, each
 * record into the partition that it came from. Leaves at SIGTERM. Says `ready` at its first record, and what failed.
 */
import { writeSync } from "node:fs"
import type { RecordBatch } from "@headrace/core/Batch"
import { KafkaDriver, type KafkaError, KafkaSink, KafkaSource } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Cause, Effect, Stream } from "effect"
import type { Job } from "./groups.ts"

const job = JSON.parse(process.argv[2] ?? "{}") as Job
const say = (text: string) => writeSync(1, `${text}\n`)

const optionsOf = (output: string) => ({
  group: output,
  topics: [job.source],
  protocol: job.protocol,
  sessionTimeoutMillis: job.sessionTimeoutMillis,
  rebalanceTimeoutMillis: 10_000,
  maxWaitMillis: 100
})

const droppingLost = <A, R>(effect: Effect.Effect<A, KafkaError, R>) =>
  Effect.catchReason(effect, "KafkaError", "MemberLost", ({ message }) => Effect.sync(() => say(`lost ${message}`)))

const itemsOf = (output: string, batch: RecordBatch) => [{ topic: output, partition: batch.partition, records: batch }]

let { fault } = job
/** Meets the fault when it is due. */
const at = (point: "records" | "offsets") =>
  Effect.sync(() => {
    if (fault?.at !== point) return
    const { signal } = fault
    fault = undefined
    say("stops")
    process.kill(process.pid, signal)
  })

const exactlyOnce = (output: string) =>
  Effect.gen(function* () {
    const { transaction } = yield* KafkaSink.transactional({
      topic: output,
      transactionalId: job.transactionalId,
      transactionTimeoutMillis: job.transactionTimeoutMillis
    })
    const sink: KafkaSink.Transactional = {
      transaction: (work) =>
        transaction((own) =>
          work({
            ...own,
            send: (items) => Effect.tap(own.send(items), at("records")),
            sendOffsets: (metadata, offsets) => Effect.tap(own.sendOffsets(metadata, offsets), at("offsets"))
          })
        )
    }
    yield* Stream.runForEach(KafkaSource.group(optionsOf(output)), ({ batch, commitWith }) =>
      commitWith(sink, ({ send }) => send(itemsOf(output, batch))).pipe(
        Effect.tap(Effect.sync(() => say("ready"))),
        droppingLost
      )
    )
  })

const atLeastOnce = (output: string) =>
  Effect.gen(function* () {
    const { send } = yield* (yield* KafkaDriver).producer()
    yield* Stream.runForEach(KafkaSource.group(optionsOf(output)), ({ batch, commit }) =>
      Effect.andThen(send(itemsOf(output, batch)), commit).pipe(droppingLost)
    )
  })

const stop = new AbortController()
process.once("SIGTERM", () => stop.abort())
const driver = job.driver === "kafkajs" ? KafkaJs.layer : Platformatic.layer
const program = Effect.all(
  [
    ...(job.exactlyOnce === undefined ? [] : [exactlyOnce(job.exactlyOnce)]),
    ...(job.atLeastOnce === undefined ? [] : [atLeastOnce(job.atLeastOnce)])
  ],
  { concurrency: "unbounded", discard: true }
).pipe(Effect.scoped, Effect.provide(driver({ brokers: job.brokers })))
const exit = await Effect.runPromiseExit(program, { signal: stop.signal })
if (exit._tag === "Failure" && !stop.signal.aborted) say(`failed ${Cause.pretty(exit.cause)}`)
process.exit(0)
