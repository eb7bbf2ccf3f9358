/** The part of the suite for members of consumer groups, by both protocols. */
import { assert, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { KafkaDriver, type Member, type MemberOptions, type TopicInfo } from "../Driver.ts"
import { newTopic, reasonOf, unique } from "./Fixtures.ts"

/** A group whose members say what they have; `problem` is the first thing that must not be. */
const groupOf = (topic: TopicInfo, shared: Partial<MemberOptions> = {}) =>
  Effect.gen(function* () {
    const kafka = yield* KafkaDriver
    const group = yield* unique("group")
    /** Who has each partition, by what the members were told. */
    const owners = new Map<number, string>()
    let problem: string | undefined

    const join = (name: string, options: Partial<MemberOptions> = {}) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const member: Member = yield* Scope.provide(
          kafka.member({
            group,
            topics: [topic.name],
            ...shared,
            ...options,
            onAssigned: (partitions) =>
              Effect.sync(() => {
                for (const { partition } of partitions) {
                  if (owners.has(partition)) problem = `${partition} is both ${owners.get(partition)}'s and ${name}'s`
                  owners.set(partition, name)
                }
              }),
            onRevoked: (partitions, how): Effect.Effect<void> =>
              Effect.gen(function* () {
                if (how === "lost") problem = `${name} lost ${partitions.length} partitions`
                // What is in flight is finished and committed; it takes a while.
                yield* Effect.sleep(100)
                yield* Effect.orDie(
                  member.commit(
                    partitions.map(({ partition }) => ({ topic: topic.name, partition, offset: partition + 10 }))
                  )
                )
                for (const { partition } of partitions) owners.delete(partition)
              })
          }),
          scope
        )
        return { member, leave: Scope.close(scope, Exit.void) }
      })

    const counts = () => {
      const found = new Map<string, number>()
      for (const owner of owners.values()) found.set(owner, (found.get(owner) ?? 0) + 1)
      return [...found]
        .map(([name, count]) => `${name}:${count}`)
        .sort()
        .join(" ")
    }
    /** Waits until the members have so many partitions each. */
    const until = (expected: string) =>
      Effect.repeat(
        Effect.andThen(
          Effect.sleep(20),
          Effect.sync(() => problem !== undefined || counts() === expected)
        ),
        { until: (done) => done }
      ).pipe(
        Effect.timeoutOrElse({
          duration: 30_000,
          orElse: () => Effect.die(new Error(`waited for ${expected}, there is ${counts()}`))
        }),
        Effect.andThen(Effect.sync(() => assert.isUndefined(problem)))
      )
    return { group, owners, join, until }
  })

/** Registers its tests. */
export const groups = (it: Vitest.MethodsNonLive<KafkaDriver>): void => {
  const shared: ReadonlyArray<readonly [string, Partial<MemberOptions>]> = [
    ["consumer", { protocol: "consumer" }],
    ["classic", { protocol: "classic", sessionTimeoutMillis: 3_000 }],
    ["classic, range", { protocol: "classic", sessionTimeoutMillis: 3_000, assignors: ["range", "cooperative-sticky"] }]
  ]
  it.effect.each(shared)("a partition changes hands when it was let go, with its offset: %s", ([, options]) =>
    Effect.gen(function* () {
      const kafka = yield* KafkaDriver
      const topic = yield* newTopic({ partitions: 4 })
      const { group, join, owners, until } = yield* groupOf(topic, options)
      const a = yield* join("a")
      yield* until("a:4")
      const b = yield* join("b")
      yield* until("a:2 b:2")
      const committed = yield* kafka.admin.groupOffsets(group, topic.name)
      for (const [partition, owner] of owners)
        if (owner === "b") assert.strictEqual(committed.get(partition), partition + 10, "what a gave away it committed")
      const both = [...(yield* a.member.assignment), ...(yield* b.member.assignment)]
      assert.deepStrictEqual(both.map(({ partition }) => partition).sort(), [0, 1, 2, 3])
      // Offsets are the owners' own, in a transaction and outside of it.
      const tx = yield* kafka.transactional({ transactionalId: group })
      const { partition } = (yield* b.member.assignment)[0]!
      const offset = { topic: topic.name, partition, offset: 77 }
      yield* tx.begin
      yield* tx.sendOffsets(yield* b.member.metadata, [offset])
      yield* tx.commit
      assert.strictEqual((yield* kafka.admin.groupOffsets(group, topic.name)).get(partition), 77)
      assert.deepInclude(yield* reasonOf(a.member.commit([offset])), { _tag: "MemberLost", group })
      const stale = yield* a.member.metadata
      yield* a.leave
      yield* until("b:4")
      yield* tx.begin
      assert.deepInclude(yield* reasonOf(tx.sendOffsets(stale, [offset])), { _tag: "MemberLost", group })
      yield* tx.abort
      yield* b.leave
      yield* until("")
    })
  )

  it.effect.each(shared.slice(0, 2))(
    "goes along with a new generation in commits, inside a transaction too: %s",
    ([, options]) =>
      Effect.gen(function* () {
        const kafka = yield* KafkaDriver
        const topic = yield* newTopic({ partitions: 4 })
        const { group, join, until } = yield* groupOf(topic, options)
        const a = yield* join("a")
        yield* until("a:4")
        const old = yield* a.member.metadata
        yield* join("b")
        yield* until("a:2 b:2")
        const [kept] = yield* a.member.assignment
        const offset = { ...kept!, offset: 5 }
        const tx = yield* kafka.transactional({ transactionalId: group })
        let asked = 0
        yield* tx.begin
        yield* tx.sendOffsets(
          Effect.suspend(() => (asked++ < 3 ? Effect.succeed(old) : a.member.metadata)),
          [offset]
        )
        yield* tx.commit
        // Kafka 4.4 takes those of a former epoch while the partition stays with the member.
        if (options.protocol === "classic") assert.isAbove(asked, 3, "the former generation was refused")
        assert.strictEqual((yield* kafka.admin.groupOffsets(group, topic.name)).get(kept!.partition), 5)
        yield* a.member.commit([{ ...offset, offset: 6 }])
        assert.strictEqual((yield* kafka.admin.groupOffsets(group, topic.name)).get(kept!.partition), 6)
      })
  )

  it.effect.each(shared)("what leaves and what is added is shared out: %s", ([, options]) =>
    Effect.gen(function* () {
      const { admin } = yield* KafkaDriver
      const topic = yield* newTopic({ partitions: 5 })
      const { join, until } = yield* groupOf(topic, { ...options, partitionsMillis: 200 })
      const [a, b, c] = yield* Effect.forEach(["a", "b", "c"], (name) => join(name), { concurrency: "unbounded" })
      yield* Effect.sleep(0)
      const settled = Effect.repeat(
        Effect.andThen(
          Effect.sleep(20),
          Effect.map(
            Effect.forEach([a!, b!, c!], ({ member }) => member.assignment),
            (own) =>
              own
                .map(({ length }) => length)
                .sort()
                .join()
          )
        ),
        { until: (sizes) => sizes === "1,2,2" }
      )
      yield* settled
      yield* a!.leave
      const pair = Effect.map(
        Effect.forEach([b!, c!], ({ member }) => member.assignment),
        (own) =>
          own
            .map(({ length }) => length)
            .sort()
            .join()
      )
      yield* Effect.repeat(Effect.andThen(Effect.sleep(20), pair), { until: (sizes) => sizes === "2,3" })
      yield* admin.addPartitions(topic.name, 6)
      yield* Effect.repeat(Effect.andThen(Effect.sleep(20), pair), { until: (sizes) => sizes === "3,3" })
      yield* until("b:3 c:3")
    })
  )

  it.effect.each(shared.slice(0, 2))("a static member comes back to its partitions: %s", ([, options]) =>
    Effect.gen(function* () {
      const topic = yield* newTopic({ partitions: 4 })
      const { join, owners, until } = yield* groupOf(topic, options)
      yield* join("a", { instanceId: "one" })
      const b = yield* join("b", { instanceId: "two" })
      yield* until("a:2 b:2")
      const before = [...owners].filter(([, name]) => name === "b").map(([partition]) => partition)
      yield* b.leave
      yield* until("a:2")
      yield* Effect.sleep(300)
      yield* until("a:2")
      yield* join("b", { instanceId: "two" })
      yield* until("a:2 b:2")
      assert.sameMembers(
        [...owners].filter(([, name]) => name === "b").map(([partition]) => partition),
        before
      )
    })
  )

  it.effect("refuses what can't be a member", () =>
    Effect.gen(function* () {
      const kafka = yield* KafkaDriver
      const { name } = yield* newTopic()
      const { group, join } = yield* groupOf(yield* newTopic(), { protocol: "classic", assignors: ["range"] })
      yield* join("a")
      const reasons: Array<string> = []
      for (const options of [
        { group: "", topics: [name] },
        { group, topics: [] },
        { group, topics: [name], protocol: "classic", assignors: ["roundrobin"] },
        { group, topics: [name], protocol: "classic", sessionTimeoutMillis: 1 }
      ] as const) {
        const join = kafka.member({ ...options, onAssigned: () => Effect.void, onRevoked: () => Effect.void })
        const reason = yield* reasonOf(Effect.scoped(join))
        assert.strictEqual(reason._tag, "InvalidInput", reason.message)
        reasons.push(reason.message)
      }
      assert.include(reasons[2], "INCONSISTENT_GROUP_PROTOCOL")
    })
  )
}
