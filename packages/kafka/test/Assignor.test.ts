import { assert, describe, it } from "@effect/vitest"
import type { Assignor, TopicPartition } from "@headrace/kafka"
import { Effect, Schema } from "effect"
import { type Assignment, assignors, type Candidate, type Counts } from "../src/internal/Assignor.ts"
import * as ConsumerProtocol from "../src/internal/ConsumerProtocol.ts"

const integer = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const topics = ["x", "y", "z"]
const keyOf = ({ partition, topic }: TopicPartition) => `${topic} ${partition}`
const keys = (own: ReadonlyArray<TopicPartition> | undefined) => (own ?? []).map(keyOf)

const candidate = (
  n: number,
  own: ReadonlyArray<string>,
  owned: Assignment = new Map(),
  generation = 1
): Candidate => ({
  memberId: `m${n}`,
  order: `m${n}`,
  topics: own,
  owned: owned.get(`m${n}`) ?? [],
  generation
})

/** Fails unless every partition that anybody wants is given once, and to somebody who wants its topic. */
const complete = (members: ReadonlyArray<Candidate>, counts: Counts, assignment: Assignment) => {
  const wanted = new Set(members.flatMap(({ topics }) => topics))
  const expected = [...counts].flatMap(([topic, count]) =>
    wanted.has(topic) ? Array.from({ length: count }, (_, partition) => keyOf({ topic, partition })) : []
  )
  assert.deepStrictEqual([...assignment.values()].flatMap(keys).sort(), expected.sort())
  for (const { memberId, topics } of members)
    for (const { topic } of assignment.get(memberId)!) assert.include(topics, topic)
}

/** Rounds as members go through them: each lets go what it wasn't given before the next. Gives the end, and how often what changed hands. */
const settle = (members: ReadonlyArray<Candidate>, counts: Counts) => {
  let held = new Map(members.map(({ memberId, owned }) => [memberId, new Set(keys(owned))]))
  let now = members
  for (let round = 1; ; round++) {
    assert.isBelow(round, 4, "two rounds move everything")
    const assignment = assignors["cooperative-sticky"](now, counts)
    for (const [memberId, own] of assignment)
      for (const partition of own)
        for (const [other, theirs] of held)
          assert.isFalse(other !== memberId && theirs.has(keyOf(partition)), "given away while another has it")
    const still = [...held].some(([id, own]) => [...own].some((key) => !keys(assignment.get(id)).includes(key)))
    held = new Map([...assignment].map(([memberId, own]) => [memberId, new Set(keys(own))]))
    now = now.map((member) => ({ ...member, owned: assignment.get(member.memberId)!, generation: round }))
    if (!still) return assignment
  }
}

describe("assignors", () => {
  it.effect.prop(
    "cooperative-sticky: every partition once, balanced within one, and no more moves than balance needs",
    { counts: Schema.Array(integer(0, 12)).check(Schema.isMaxLength(3)), steps: Schema.NonEmptyArray(integer(0, 6)) },
    ({ counts: sizes, steps }) =>
      Effect.sync(() => {
        const counts: Counts = new Map(sizes.map((size, i) => [topics[i]!, size]))
        const total = sizes.reduce((sum, size) => sum + size, 0)
        let before: Assignment = new Map()
        let present: ReadonlyArray<number> = [0]
        for (const step of steps) {
          // The member with this number joins or leaves.
          present =
            present.includes(step) && present.length > 1
              ? present.filter((n) => n !== step)
              : [...new Set([...present, step])]
          const members = present.map((n) => candidate(n, topics, before))
          const after = settle(members, counts)
          complete(members, counts, after)
          const loads = [...after.values()].map(({ length }) => length)
          assert.isAtMost(Math.max(...loads) - Math.min(...loads), 1)
          // What somebody has beyond the largest fair share, or can't keep for others to have the least, moves; the rest stays.
          const least = Math.floor(total / members.length)
          const larger = total % members.length
          const had = members.map(({ owned }) => owned.length).sort((a, b) => b - a)
          const kept = had.reduce((sum, own, i) => sum + Math.min(own, least + (i < larger ? 1 : 0)), 0)
          const stayed = members.reduce(
            (sum, { memberId, owned }) =>
              sum + keys(owned).filter((key) => keys(after.get(memberId)).includes(key)).length,
            0
          )
          assert.strictEqual(stayed, kept)
          before = after
        }
      }),
    { arbitrary: { runs: 200 } }
  )

  it.effect.prop(
    "any of them: every partition once, whatever the members want",
    {
      counts: Schema.Array(integer(0, 7)).check(Schema.isMinLength(3), Schema.isMaxLength(3)),
      wants: Schema.NonEmptyArray(integer(1, 7)).check(Schema.isMaxLength(6))
    },
    ({ counts: sizes, wants }) =>
      Effect.sync(() => {
        const counts: Counts = new Map(sizes.map((size, i) => [topics[i]!, size]))
        const members = wants.map((bits, n) =>
          candidate(
            n,
            topics.filter((_, i) => (bits & (1 << i)) !== 0)
          )
        )
        for (const name of ["range", "roundrobin"] as const) complete(members, counts, assignors[name](members, counts))
        complete(members, counts, settle(members, counts))
      }),
    { arbitrary: { runs: 200 } }
  )

  it("of two who claim a partition the one of the later generation keeps it, once the other has let it go", () => {
    const counts: Counts = new Map([["x", 1]])
    const claim: Assignment = new Map(["m0", "m1"].map((id) => [id, [{ topic: "x", partition: 0 }]]))
    const members = [candidate(0, ["x"], claim, 4), candidate(1, ["x"], claim, 5)]
    const assign = assignors["cooperative-sticky"]
    assert.deepStrictEqual([...assign(members, counts).values()], [[], []], "m0 still works on it")
    assert.deepStrictEqual(assign([{ ...members[0]!, owned: [] }, members[1]!], counts).get("m1"), claim.get("m1"))
  })

  it("range gives neighbours, roundrobin takes turns", () => {
    const counts: Counts = new Map([
      ["x", 3],
      ["y", 3]
    ])
    const by = (name: Assignor) => assignors[name]([candidate(1, ["x", "y"]), candidate(0, ["x", "y"])], counts)
    assert.deepStrictEqual(keys(by("range").get("m0")), ["x 0", "x 1", "y 0", "y 1"])
    assert.deepStrictEqual(keys(by("roundrobin").get("m0")), ["x 0", "x 2", "y 1"])
  })
})

describe("what members of a classic group tell each other", () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
  const owned = [
    { topic: "t", partition: 2 },
    { topic: "t", partition: 258 }
  ]

  it("is in the bytes of Kafka's consumer protocol", () => {
    const subscription = { topics: ["t", "ü"], owned, generation: 7 }
    const bytes = ConsumerProtocol.writeSubscription(subscription)
    // Version, topics, user data, owned partitions, generation.
    const topic = "000174"
    const partitions = `00000001${topic}000000020000000200000102`
    assert.strictEqual(hex(bytes), `000200000002${topic}0002c3bc0000000400000007${partitions}00000007`)
    assert.deepStrictEqual(ConsumerProtocol.readSubscription(bytes), subscription)
    const assignment = ConsumerProtocol.writeAssignment(owned)
    assert.strictEqual(hex(assignment), `0002${partitions}ffffffff`)
    assert.deepStrictEqual(ConsumerProtocol.readAssignment(assignment), owned)
    assert.deepStrictEqual(ConsumerProtocol.readAssignment(new Uint8Array()), [])
  })

  it("is read in older and newer forms", () => {
    const read = (text: string) => ConsumerProtocol.readSubscription(Buffer.from(text, "hex"))
    const head = "00000001000174"
    const none = { topics: ["t"], owned: [], generation: -1 }
    assert.deepStrictEqual(read(`0000${head}ffffffff`), none)
    // kafkajs says 1 and writes no owned partitions.
    assert.deepStrictEqual(read(`0001${head}00000000`), none)
    const partitions = "000000010001740000000100000003"
    const held = { ...none, owned: [{ topic: "t", partition: 3 }] }
    assert.deepStrictEqual(read(`0001${head}0000000400000009${partitions}`), { ...held, generation: 9 })
    assert.deepStrictEqual(read(`0003${head}ffffffff${partitions}000000050003726b31`), { ...held, generation: 5 })
  })
})
