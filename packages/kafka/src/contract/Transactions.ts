/** The part of the suite for transactions. */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { KafkaDriver } from "../Driver.ts"
import { at, item, newTopic, numbered, readAll, reasonOf, texts, unique } from "./Fixtures.ts"

/** Registers its tests. */
export const transactions = (it: Vitest.MethodsNonLive<KafkaDriver>): void => {
  it.effect("covers aborted records and markers by its positions, and gives committed records only", () =>
    Effect.gen(function* () {
      const kafka = yield* KafkaDriver
      const topic = yield* newTopic()
      const plain = yield* kafka.producer()
      const tx = yield* kafka.transactional({ transactionalId: yield* unique("id") })
      const consumer = yield* kafka.consumer()
      yield* plain.send([item(topic, numbered(0, 2))])
      yield* tx.begin
      yield* tx.send([item(topic, numbered(0, 3, "aborted"))])
      yield* plain.send([item(topic, numbered(2, 4))])
      yield* tx.send([item(topic, numbered(3, 5, "aborted"))])
      // Nothing beyond the open transaction is stable.
      const [open] = yield* consumer.fetch([at(topic, 2)], { maxWaitMillis: 1 })
      assert.deepInclude(open!.batch, { base: 2, next: 2, count: 0 })
      assert.strictEqual(open!.end, 2)
      assert.deepStrictEqual(yield* kafka.admin.offsets(topic.name, "latest"), [2])
      yield* tx.abort
      yield* tx.begin
      yield* tx.send([item(topic, numbered(4, 6))])
      yield* tx.commit
      // 0-1, 2-4 aborted, 5-6, 7-8 aborted, 9 the abort's marker, 10-11, 12 the commit's.
      const all = yield* readAll(consumer, topic)
      assert.deepStrictEqual(all.values, texts(0, 6))
      assert.deepStrictEqual(all.offsets, [0, 1, 5, 6, 10, 11])
      assert.strictEqual(all.nexts.at(-1), 13)
      assert.deepStrictEqual(yield* kafka.admin.offsets(topic.name, "latest"), [13])
      // From every offset, markers and aborted records included.
      for (let from = 0; from <= 13; from++) {
        const read = yield* readAll(consumer, topic, from)
        assert.deepStrictEqual(
          read.offsets,
          [0, 1, 5, 6, 10, 11].filter((offset) => offset >= from),
          `from ${from}`
        )
        assert.strictEqual(read.nexts.at(-1), 13)
      }
      const uncommitted = yield* kafka.consumer({ isolation: "uncommitted" })
      assert.strictEqual((yield* readAll(uncommitted, topic)).values.length, 11)
    })
  )

  it.effect("commits offsets with the transaction, or not at all", () =>
    Effect.gen(function* () {
      const kafka = yield* KafkaDriver
      const topic = yield* newTopic({ partitions: 2 })
      const group = yield* unique("group")
      const tx = yield* kafka.transactional({ transactionalId: yield* unique("id") })
      assert.deepStrictEqual(yield* kafka.admin.groupOffsets(group, topic.name), new Map())
      for (const [end, offset] of [
        ["commit", 5],
        ["abort", 9],
        ["commit", 11]
      ] as const) {
        yield* tx.begin
        yield* tx.send([item(topic, numbered(0, 1, end))])
        yield* tx.sendOffsets({ group }, [{ topic: topic.name, partition: 1, offset }])
        yield* tx[end]
        const expected = end === "abort" ? 5 : offset
        assert.deepStrictEqual(yield* kafka.admin.groupOffsets(group, topic.name), new Map([[1, expected]]))
      }
      // Nothing but offsets, and nothing at all.
      yield* tx.begin
      yield* tx.sendOffsets({ group }, [{ topic: topic.name, partition: 0, offset: 1 }])
      yield* tx.commit
      yield* tx.begin
      yield* tx.commit
      yield* tx.begin
      yield* tx.abort
      assert.strictEqual((yield* kafka.admin.groupOffsets(group, topic.name)).get(0), 1)
      const foreign = { group, memberId: "nobody", generation: 3 }
      yield* tx.begin
      const lost = yield* reasonOf(tx.sendOffsets(foreign, [{ topic: topic.name, partition: 0, offset: 2 }]))
      assert.deepInclude(lost, { _tag: "MemberLost", group })
      yield* tx.abort
    })
  )

  it.effect("refuses calls out of order", () =>
    Effect.gen(function* () {
      const kafka = yield* KafkaDriver
      const topic = yield* newTopic()
      const tx = yield* kafka.transactional({ transactionalId: yield* unique("id") })
      for (const call of [tx.commit, tx.abort, Effect.asVoid(tx.send([item(topic, numbered(0, 1))]))])
        assert.strictEqual((yield* reasonOf(call))._tag, "InvalidInput")
      yield* tx.begin
      assert.strictEqual((yield* reasonOf(tx.begin))._tag, "InvalidInput")
      yield* tx.send([item(topic, numbered(0, 1))])
      yield* tx.commit
      const producer = yield* kafka.producer()
      const twice = [item(topic, numbered(0, 1)), item(topic, numbered(0, 1))]
      assert.strictEqual((yield* reasonOf(producer.send(twice)))._tag, "InvalidInput")
      const consumer = yield* kafka.consumer()
      assert.strictEqual((yield* reasonOf(consumer.fetch([at(topic, 0), at(topic, 0)])))._tag, "InvalidInput")
      assert.strictEqual((yield* reasonOf(consumer.fetch([at(topic, -1)])))._tag, "InvalidInput")
      assert.deepStrictEqual((yield* readAll(consumer, topic)).values, ["0"])
    })
  )

  it.effect("fences the zombie: a second producer with its transactional id takes over", () =>
    Effect.gen(function* () {
      const kafka = yield* KafkaDriver
      const topic = yield* newTopic()
      const transactionalId = yield* unique("id")
      const zombie = yield* kafka.transactional({ transactionalId })
      yield* zombie.begin
      yield* zombie.send([item(topic, numbered(0, 3, "zombie"))])
      const heir = yield* kafka.transactional({ transactionalId })
      yield* heir.begin
      yield* heir.send([item(topic, numbered(0, 2, "heir"))])
      for (const call of [
        Effect.asVoid(zombie.send([item(topic, numbered(3, 4, "zombie"))])),
        zombie.commit,
        zombie.abort,
        zombie.begin
      ])
        assert.deepInclude(yield* reasonOf(call), { _tag: "Fenced", transactionalId })
      yield* heir.commit
      assert.deepStrictEqual((yield* readAll(yield* kafka.consumer(), topic)).values, texts(0, 2, "heir"))
      // One that is fenced between its transactions finds out with its first send or commit.
      const third = yield* kafka.transactional({ transactionalId })
      yield* heir.begin
      assert.strictEqual((yield* reasonOf(heir.send([item(topic, numbered(2, 3, "heir"))])))._tag, "Fenced")
      yield* third.begin
      yield* third.abort
    })
  )

  it.effect("re-initialises after the broker ended a transaction that took too long", () =>
    Effect.gen(function* () {
      const kafka = yield* KafkaDriver
      const topic = yield* newTopic()
      const consumer = yield* kafka.consumer()
      const options = { transactionalId: yield* unique("id"), transactionTimeoutMillis: 1_000 }
      const tx = yield* kafka.transactional(options)
      yield* tx.begin
      yield* tx.send([item(topic, numbered(0, 3, "late"))])
      // The broker looks for such transactions now and then; the marker moves the stable end.
      for (let stable = 0; stable === 0;) {
        yield* Effect.sleep(200)
        stable = (yield* consumer.fetch([at(topic, 0)], { maxWaitMillis: 1 }))[0]!.end
      }
      const reason = yield* reasonOf(tx.commit)
      assert.strictEqual((yield* reasonOf(tx.send([item(topic, numbered(3, 4, "late"))])))._tag, reason._tag)
      let next = tx
      // With transactions of version 1 a broker doesn't tell this from a takeover.
      if (reason._tag === "Fenced") {
        assert.include(reason.message, "1000 ms")
        next = yield* kafka.transactional(options)
      } else {
        assert.strictEqual(reason._tag, "TransactionAborted")
        yield* tx.abort
      }
      yield* next.begin
      yield* next.send([item(topic, numbered(0, 2, "next"))])
      yield* next.commit
      assert.deepStrictEqual((yield* readAll(consumer, topic)).values, texts(0, 2, "next"))
    })
  )

  it.effect("fences the zombie whichever its first call is, and never harms its heir", () =>
    Effect.gen(function* () {
      const kafka = yield* KafkaDriver
      const topic = yield* newTopic()
      let n = 0
      for (const call of ["send", "sendOffsets", "commit", "abort"] as const)
        for (const heirIs of ["new", "open", "done"] as const) {
          const transactionalId = yield* unique("id")
          const zombie = yield* kafka.transactional({ transactionalId })
          yield* zombie.begin
          yield* zombie.send([item(topic, numbered(0, 1, "zombie"))])
          const heir = yield* kafka.transactional({ transactionalId })
          if (heirIs !== "new") {
            yield* heir.begin
            yield* heir.send([item(topic, numbered(n, n + 1, "heir"))])
            n++
          }
          if (heirIs === "done") yield* heir.commit
          const calls = {
            send: Effect.asVoid(zombie.send([item(topic, numbered(1, 2, "zombie"))])),
            sendOffsets: zombie.sendOffsets({ group: transactionalId }, [
              { ...item(topic, numbered(0, 1)), offset: 1 }
            ]),
            commit: zombie.commit,
            abort: zombie.abort
          }
          const outcome = yield* Effect.match(calls[call], {
            onFailure: ({ reason }) => reason._tag,
            onSuccess: () => "success"
          })
          assert.strictEqual(outcome, "Fenced", `${call}, the heir's transaction ${heirIs}`)
          if (heirIs !== "open") yield* heir.begin
          yield* heir.send([item(topic, numbered(n, n + 1, "heir"))])
          n++
          yield* heir.commit
        }
      assert.deepStrictEqual((yield* readAll(yield* kafka.consumer(), topic)).values, texts(0, n, "heir"))
    })
  )

  it.effect("aborts what is open when its scope closes", () =>
    Effect.gen(function* () {
      const kafka = yield* KafkaDriver
      const topic = yield* newTopic()
      const scope = yield* Scope.make()
      const tx = yield* Scope.provide(kafka.transactional({ transactionalId: yield* unique("id") }), scope)
      const producer = yield* Scope.provide(kafka.producer(), scope)
      const consumer = yield* Scope.provide(kafka.consumer(), scope)
      yield* tx.begin
      yield* tx.send([item(topic, numbered(0, 3))])
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(yield* readAll(yield* kafka.consumer(), topic), { values: [], offsets: [], end: 4 })
      for (const call of [producer.send([item(topic, numbered(0, 1))]), consumer.fetch([at(topic, 0)])])
        assert.strictEqual((yield* reasonOf<unknown, never>(call))._tag, "InvalidInput")
    })
  )
}
