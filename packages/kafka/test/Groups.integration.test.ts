/** A topic read by a consumer group: what the group's source promises, by both protocols on both drivers. */
import { assert, layer } from "@effect/vitest"
import { KafkaDriver, KafkaSink, KafkaSource, type KafkaError } from "@headrace/kafka"
import { newTopic, reasonOf, unique } from "@headrace/kafka/contract/Fixtures"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Deferred, Effect, Fiber, Layer, Queue, Random, Stream } from "effect"
import * as Client from "../src/internal/Client.ts"
import * as PlatformaticTransport from "../src/internal/platformaticTransport.ts"
import { withBroker } from "./broker.ts"
import { type Fault, faulty } from "./faults.ts"
import { contents, type Job, numbered, start, valuesOf } from "./groups.ts"

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

/** Runs a member of its own; what it is given comes out of the queue, and `leave` ends it. */
const member = (options: KafkaSource.GroupOptions) =>
  Effect.gen(function* () {
    const queue = yield* Queue.unbounded<KafkaSource.Delivery>()
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(KafkaSource.group(options), (delivery) => Queue.offer(queue, delivery))
    )
    return { next: Queue.take(queue), leave: Fiber.interrupt(fiber), fiber }
  })

const within = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.timeout(effect, 30_000)

withBroker((brokers) => {
  for (const [name, driver] of [
    ["@platformatic/kafka", Platformatic.layer],
    ["kafkajs", KafkaJs.layer]
  ] as const)
    for (const protocol of ["consumer", "classic"] as const)
      layer(driver({ brokers }), { timeout: "60 seconds", excludeTestServices: true })(
        `groups: ${name}, ${protocol}`,
        (it) => {
          const shared = { protocol, sessionTimeoutMillis: 3_000, maxWaitMillis: 50 }
          const send = (topic: string, partition: number, from: number, to: number) =>
            Effect.scoped(
              Effect.gen(function* () {
                const { send } = yield* (yield* KafkaDriver).producer()
                yield* send([{ topic, partition, records: numbered(from, to) }])
              })
            )
          const committed = (group: string, topic: string) =>
            Effect.flatMap(KafkaDriver, ({ admin }) => admin.groupOffsets(group, topic))

          it.effect("begins where the group is; a start that the group hasn't is committed at once", () =>
            Effect.gen(function* () {
              const { name: topic } = yield* newTopic()
              const options = { ...shared, group: topic, topics: [topic] }
              yield* send(topic, 0, 0, 10)
              const first = yield* member({ ...options, start: "latest" })
              yield* Effect.repeat(Effect.andThen(Effect.sleep(20), committed(topic, topic)), {
                until: (offsets) => offsets.get(0) === 10
              })
              yield* first.leave
              yield* send(topic, 0, 10, 20)
              const second = yield* member({ ...options, start: "latest" })
              const delivery = yield* within(second.next)
              assert.deepStrictEqual(valuesOf(delivery.batch), range(10, 20), "what came while nobody was there")
              yield* delivery.commit
              assert.deepStrictEqual(yield* committed(topic, topic), new Map([[0, 20]]))
              yield* second.leave
              yield* send(topic, 0, 20, 25)
              const third = yield* member(options)
              assert.deepStrictEqual(valuesOf((yield* within(third.next)).batch), range(20, 25))
              yield* third.leave
              // Not committed: it comes again.
              const fourth = yield* member(options)
              assert.deepStrictEqual(valuesOf((yield* within(fourth.next)).batch), range(20, 25))
              yield* fourth.leave
            })
          )

          it.effect("checkpoint capture: commits in any order, never beyond a batch that isn't handled", () =>
            Effect.gen(function* () {
              const { name: topic } = yield* newTopic()
              const own = yield* member({ ...shared, group: topic, topics: [topic] })
              const deliveries: Array<KafkaSource.Delivery> = []
              for (const from of [0, 10, 20]) {
                yield* send(topic, 0, from, from + 10)
                deliveries.push(yield* within(own.next))
              }
              const [a, b, c] = deliveries
              yield* c!.commit
              yield* b!.commit
              assert.deepStrictEqual(yield* committed(topic, topic), new Map([[0, 0]]))
              yield* a!.commit
              assert.deepStrictEqual(yield* committed(topic, topic), new Map([[0, 30]]))
              yield* b!.commit
              assert.deepStrictEqual(yield* committed(topic, topic), new Map([[0, 30]]))
              yield* own.leave
              const reason = yield* reasonOf(a!.commit)
              assert.strictEqual(reason._tag, "MemberLost")
            })
          )

          it.effect(
            "ordered per partition: a transaction refuses a batch before an earlier one, and aborts with its work",
            () =>
              Effect.gen(function* () {
                const { name: topic } = yield* newTopic()
                const { name: output } = yield* newTopic()
                const sink = yield* KafkaSink.transactional({ topic: output, transactionalId: output })
                const own = yield* member({ ...shared, group: topic, topics: [topic] })
                yield* send(topic, 0, 0, 10)
                const a = yield* within(own.next)
                yield* send(topic, 0, 10, 20)
                const b = yield* within(own.next)
                const copy = ({ batch, commitWith }: KafkaSource.Delivery) =>
                  commitWith(sink, ({ write }) => write(batch))
                assert.strictEqual((yield* reasonOf(copy(b)))._tag, "InvalidInput")
                const failed = a.commitWith(sink, ({ write }) => Effect.andThen(write(a.batch), Effect.fail("no")))
                assert.strictEqual(yield* Effect.flip(failed), "no")
                assert.deepStrictEqual(yield* committed(topic, topic), new Map([[0, 0]]))
                yield* copy(a)
                yield* copy(b)
                assert.strictEqual((yield* reasonOf(copy(b)))._tag, "InvalidInput", "not twice")
                assert.deepStrictEqual(yield* committed(topic, topic), new Map([[0, 20]]))
                yield* Effect.repeat(Effect.andThen(Effect.sleep(20), contents(output)), {
                  until: ([found]) => found!.values.length >= 20
                })
                assert.deepStrictEqual((yield* contents(output))[0]!.values, range(0, 20))
                yield* own.leave
              })
          )

          it.effect(
            "a partition that goes waits for the commits of what is at work, for so long, and is fenced then",
            () =>
              Effect.gen(function* () {
                for (const inTime of [true, false]) {
                  const { name: topic } = yield* newTopic({ partitions: 2 })
                  const options = { ...shared, group: topic, topics: [topic], finishMillis: inTime ? 20_000 : 500 }
                  const a = yield* member(options)
                  yield* send(topic, 0, 0, 10)
                  yield* send(topic, 1, 0, 10)
                  const mine = [yield* within(a.next), yield* within(a.next)]
                  const b = yield* member(options)
                  // Each has one in the end; which one goes isn't told.
                  yield* Effect.sleep(3_000)
                  const commits: Array<string> = []
                  for (const { commit } of mine)
                    commits.push(
                      yield* Effect.match(commit, {
                        onSuccess: () => "committed",
                        onFailure: ({ reason }) => reason._tag
                      })
                    )
                  for (const partition of [0, 1]) yield* send(topic, partition, 10, 20)
                  const theirs = yield* within(b.next)
                  assert.deepStrictEqual(
                    commits.sort(),
                    inTime ? ["committed", "committed"] : ["MemberLost", "committed"]
                  )
                  assert.deepStrictEqual(valuesOf(theirs.batch).slice(0, 10), inTime ? range(10, 20) : range(0, 10))
                  yield* a.leave
                  yield* b.leave
                }
              })
          )

          it.effect(
            "rebalance without loss: members come and go, each record is handled once and in its partition's order",
            () =>
              Effect.gen(function* () {
                const { name: topic } = yield* newTopic({ partitions: 4 })
                const options = { ...shared, group: topic, topics: [topic] }
                const handled = range(0, 4).map((): Array<number> => [])
                const done = yield* Deferred.make<void>()
                const total = 120
                const join = Effect.forkChild(
                  Stream.runForEach(KafkaSource.group(options), ({ batch, commit }) =>
                    Effect.gen(function* () {
                      // Who is interrupted has not begun, or goes on to the end.
                      yield* Effect.sleep(yield* Random.nextIntBetween(1, 20))
                      yield* Effect.uninterruptible(
                        Effect.andThen(
                          Effect.sync(() => handled[batch.partition]!.push(...valuesOf(batch))),
                          commit
                        )
                      )
                      if (handled.every((own) => own.length >= total)) yield* Deferred.succeed(done, undefined)
                    })
                  )
                )
                const writing = yield* Effect.forkChild(
                  Effect.forEach(
                    range(0, total),
                    (i) =>
                      Effect.andThen(
                        Effect.forEach(range(0, 4), (partition) => send(topic, partition, i, i + 1), {
                          concurrency: "unbounded"
                        }),
                        Effect.sleep(40)
                      ),
                    { discard: true }
                  )
                )
                const members: Array<Fiber.Fiber<void, KafkaError>> = [yield* join]
                for (const step of ["join", "join", "leave", "join", "leave", "leave"]) {
                  yield* Effect.sleep(1_200)
                  if (step === "join") members.push(yield* join)
                  else yield* Fiber.interrupt(members.shift()!)
                }
                yield* Fiber.join(writing)
                yield* within(Deferred.await(done))
                for (const own of handled) assert.deepStrictEqual(own, range(0, total))
                for (const fiber of members) yield* Fiber.interrupt(fiber)
                assert.deepStrictEqual(
                  [...(yield* committed(topic, topic)).values()],
                  range(0, 4).map(() => total)
                )
              })
          )

          it.effect.each([
            ["zombie fenced: stopped inside its transaction, it wakes when another has its work", "records", "SIGSTOP"],
            [
              "zombie fenced: stopped with its offsets sent, it wakes when its transaction is over",
              "offsets",
              "SIGSTOP"
            ],
            ["a member that is killed with its offsets sent leaves nothing of them", "offsets", "SIGKILL"]
          ] as const)("%s", ([, at, signal]) =>
            Effect.gen(function* () {
              const { name: source } = yield* newTopic()
              const { name: output } = yield* newTopic()
              yield* send(source, 0, 0, 50)
              const job: Job = {
                brokers,
                driver: name === "kafkajs" ? "kafkajs" : "platformatic",
                protocol,
                sessionTimeoutMillis: 3_000,
                source,
                exactlyOnce: output,
                transactionalId: yield* unique("id"),
                // Where offsets are pending, the heir waits for the broker to end the transaction.
                transactionTimeoutMillis: at === "offsets" ? 3_000 : 60_000
              }
              const begin = (own: Job) =>
                Effect.acquireRelease(
                  Effect.sync(() => start(own)),
                  ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
                )
              const first = yield* begin({ ...job, fault: { at, signal } })
              yield* within(Effect.promise(() => first.said("stops")))
              const heir = yield* begin({ ...job, transactionalId: yield* unique("id") })
              yield* within(Effect.promise(() => heir.said("ready")))
              // Past the child: Deno's sends one signal, and the last one is to be SIGKILL.
              if (signal === "SIGSTOP") process.kill(first.child.pid!, "SIGCONT")
              // With a transaction that is over the producer is done for; else the batch is another's.
              const found = at === "records" ? "lost" : "failed"
              if (signal === "SIGSTOP") yield* within(Effect.promise(() => first.said(found)))
              yield* send(source, 0, 50, 60)
              yield* within(
                Effect.repeat(Effect.andThen(Effect.sleep(50), contents(output)), {
                  until: ([found]) => found!.values.length >= 60
                })
              )
              assert.deepStrictEqual((yield* contents(output))[0]!.values, range(0, 60))
              heir.child.kill("SIGTERM")
              yield* within(Effect.promise(() => heir.ended))
              assert.notInclude(heir.output(), "failed")
              if (found === "failed" && signal === "SIGSTOP")
                assert.match(first.output(), /is fenced|can't be committed/)
            })
          )
        }
      )

  for (const protocol of ["consumer", "classic"] as const) {
    const apis = { fetch: 1, commit: 8, find: 10, join: 11, heartbeat: 12, sync: 14, consumerHeartbeat: 68 }
    let asked = 0
    let broken = 0
    // Every so-many-th request of a group's member is lost, its answer is, or its connection breaks.
    const fault = (apiKey: number): Fault => {
      if (!Object.values(apis).includes(apiKey) || ++asked % 7 !== 0) return "none"
      broken++
      return (["request", "response", "break"] as const)[broken % 3]!
    }
    const flaky = Layer.effect(KafkaDriver, Client.make({ brokers }, faulty(PlatformaticTransport.transport, fault)))
    layer(flaky, { timeout: "60 seconds", excludeTestServices: true })(
      `groups: lossy connections, ${protocol}`,
      (it) => {
        it.effect("at-least-once through reconnect: nothing is lost, whatever breaks", () =>
          Effect.gen(function* () {
            const { name: topic } = yield* newTopic({ partitions: 2 })
            const { send } = yield* (yield* KafkaDriver).producer()
            const options = { protocol, sessionTimeoutMillis: 3_000, maxWaitMillis: 20, group: topic, topics: [topic] }
            const seen = new Set<string>()
            const total = 100
            const copying = yield* Effect.forkChild(
              Stream.runForEachWhile(KafkaSource.group(options), ({ batch, commit }) =>
                Effect.gen(function* () {
                  for (const value of valuesOf(batch)) seen.add(`${batch.partition} ${value}`)
                  yield* Effect.catchReason(commit, "KafkaError", "MemberLost", () => Effect.void)
                  return seen.size < 2 * total
                })
              )
            )
            for (const i of range(0, total)) {
              yield* send([0, 1].map((partition) => ({ topic, partition, records: numbered(i, i + 1) })))
              yield* Effect.sleep(30)
            }
            yield* within(Fiber.join(copying))
            assert.isAbove(broken, 10)
          })
        )
      }
    )
  }
})
