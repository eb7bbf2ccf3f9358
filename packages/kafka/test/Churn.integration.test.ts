/**
 * Rebalance churn: every few seconds a member process joins, leaves or gets SIGKILL, while numbered records are written into 8 partitions.
 * Two groups copy them, one exactly once and one at least once. `HEADRACE_CHURN_SECONDS` (default 24) and `HEADRACE_CHURN_STEP_SECONDS`
 * (default 2) say how long, for each protocol; the full length is 180 and 5.
 */
import { assert, it } from "@effect/vitest"
import { BatchBuilder } from "@headrace/core/Batch"
import { KafkaDriver } from "@headrace/kafka"
import { newTopic, unique } from "@headrace/kafka/contract/Fixtures"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Effect, Fiber } from "effect"
import { withBroker } from "./broker.ts"
import { contents, type Job, start } from "./groups.ts"

const seconds = Number(process.env["HEADRACE_CHURN_SECONDS"] ?? 24)
const stepSeconds = Number(process.env["HEADRACE_CHURN_STEP_SECONDS"] ?? 2)
const partitions = 8
const longestStall = 15_000

type Step = "join" | "leave" | "kill"

/** Between two and four members; whoever has been there longest goes. */
const steps: ReadonlyArray<Step> = ["join", "leave", "join", "join", "kill", "leave", "join", "leave", "join", "kill"]

/** The longest time between two records of a partition, in milliseconds by the broker's clock. */
const longestGap = (found: ReadonlyArray<{ readonly times: ReadonlyArray<number> }>) =>
  Math.max(...found.map(({ times }) => Math.max(...times.map((time, i) => time - (times[i - 1] ?? time)))))

withBroker((brokers) => {
  for (const protocol of ["consumer", "classic"] as const)
    it.live(
      `rebalance churn, ${protocol}: nothing lost, nothing twice, in order, no stall over ${longestStall / 1000} s`,
      () =>
        Effect.gen(function* () {
          const { admin, producer } = yield* KafkaDriver
          const { name: source } = yield* newTopic({ partitions })
          const configs = { "message.timestamp.type": "LogAppendTime" }
          const { name: exactlyOnce } = yield* newTopic({ partitions, configs })
          const { name: atLeastOnce } = yield* newTopic({ partitions, configs })
          const members: Array<ReturnType<typeof start>> = []
          const all: Array<ReturnType<typeof start>> = []
          yield* Effect.addFinalizer(() => Effect.sync(() => all.forEach(({ child }) => child.kill("SIGKILL"))))
          const join = Effect.gen(function* () {
            const job: Job = {
              brokers,
              driver: all.length % 2 === 0 ? "platformatic" : "kafkajs",
              protocol,
              sessionTimeoutMillis: 6_000,
              source,
              exactlyOnce,
              atLeastOnce,
              transactionalId: yield* unique("churn"),
              transactionTimeoutMillis: 4_000
            }
            const own = start(job)
            members.push(own)
            all.push(own)
            return own
          })
          const leave = (own: ReturnType<typeof start>) =>
            Effect.promise(() => {
              own.child.kill("SIGTERM")
              return own.ended
            })

          let sent = 0
          const { send } = yield* producer()
          const writing = yield* Effect.forkChild(
            Effect.forever(
              Effect.gen(function* () {
                const builder = new BatchBuilder()
                for (let i = sent; i < sent + 5; i++) builder.add(null, `${i}`, 1_700_000_000_000)
                const records = builder.take()
                const items = Array.from({ length: partitions }, (_, partition) => ({
                  topic: source,
                  partition,
                  records
                }))
                yield* Effect.uninterruptible(
                  Effect.andThen(
                    send(items),
                    Effect.sync(() => (sent += 5))
                  )
                )
                yield* Effect.sleep(20)
              })
            )
          )

          const first = [yield* join, yield* join]
          yield* Effect.promise(() => Promise.all(first.map(({ said }) => said("ready"))))
          const counts = { join: 0, leave: 0, kill: 0 }
          for (let i = 0; i < Math.floor(seconds / stepSeconds); i++) {
            yield* Effect.sleep(stepSeconds * 1_000)
            const step = steps[i % steps.length]!
            counts[step]++
            if (step === "join") yield* join
            else {
              const own = members.shift()!
              if (step === "kill") own.child.kill("SIGKILL")
              else yield* Effect.forkChild(leave(own))
            }
          }
          yield* Fiber.interrupt(writing)
          const complete = (topic: string) =>
            Effect.map(contents(topic), (found) => found.every(({ values }) => new Set(values).size >= sent))
          yield* Effect.repeat(
            Effect.andThen(
              Effect.sleep(250),
              Effect.zipWith(complete(exactlyOnce), complete(atLeastOnce), (a, b) => a && b)
            ),
            { until: (done) => done }
          ).pipe(Effect.timeoutOption(30_000))
          yield* Effect.forEach(members, leave, { concurrency: "unbounded" })

          const expected = Array.from({ length: sent }, (_, i) => i)
          const once = yield* contents(exactlyOnce)
          for (const { values } of once) assert.deepStrictEqual(values, expected)
          const atLeast = yield* contents(atLeastOnce)
          // In the order of first copies.
          for (const { values } of atLeast) assert.deepStrictEqual([...new Set(values)], expected)
          const again = atLeast.reduce((sum, { values }) => sum + values.length - sent, 0)
          for (const topic of [exactlyOnce, atLeastOnce])
            assert.deepStrictEqual(
              [...(yield* admin.groupOffsets(topic, source)).values()],
              Array(partitions).fill(sent)
            )
          for (const own of all) assert.notInclude(own.output(), "failed")
          const stalls = [once, atLeast].map(longestGap)
          console.log(
            `churn, ${protocol}: ${sent * partitions} records, ${counts.join} joined, ${counts.leave} left, ${counts.kill} killed; ` +
              `longest stall of a partition ${stalls[0]} ms exactly once, ${stalls[1]} ms at least once (${again} copied again)`
          )
          const words = all.map(({ child, output }) => `${child.pid}: ${output().replaceAll("ready\n", "")}`)
          assert.isBelow(Math.max(...stalls), longestStall, words.join("\n"))
        }).pipe(Effect.scoped, Effect.provide(Platformatic.layer({ brokers }))),
      seconds * 1_000 + 120_000
    )
})
