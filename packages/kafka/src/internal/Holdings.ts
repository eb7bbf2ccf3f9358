/**
 * The partitions that a group's member has, and those that it shall have: whichever the protocol. A fiber brings the one to the other: first
 * it revokes, which may take its time, and says when that is done; then it takes what is new.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { MemberOptions, TopicPartition } from "../Driver.ts"
import { KafkaError, MemberLost } from "../KafkaError.ts"

/** A partition with what tells this creation of its topic from another where the protocol has it; else the topic's name. */
export interface Holding extends TopicPartition {
  readonly id: string
}

export type Holds = ReadonlyMap<string, Holding>

const keyOf = ({ id, partition }: Holding) => `${id} ${partition}`

/** By what makes them equal. */
export const holds = (partitions: Iterable<Holding>): Holds =>
  new Map(Array.from(partitions, (partition) => [keyOf(partition), partition]))

const plain = (owned: Iterable<Holding>): ReadonlyArray<TopicPartition> =>
  Array.from(owned, ({ partition, topic }) => ({ topic, partition }))

export interface Holdings {
  readonly owned: () => Holds
  /** What it has or may take at any time: nobody else may get that. */
  readonly claimed: () => ReadonlyArray<Holding>
  readonly partitions: Effect.Effect<ReadonlyArray<TopicPartition>>
  /** What the member shall have. */
  readonly aim: (target: Holds) => Effect.Effect<void>
  /** Lets all go, and ends when that is done. */
  readonly release: Effect.Effect<void>
  /** All is gone already. */
  readonly lose: Effect.Effect<void>
  /** Fails with `MemberLost` as soon as any of these partitions is another's, or was meanwhile. */
  readonly guard: (partitions: ReadonlyArray<TopicPartition>) => Effect.Effect<void, KafkaError>
}

/** `revoked` and `taken` run after each such change. */
export const make = (
  { group, onAssigned, onRevoked }: MemberOptions,
  { revoked, taken }: { readonly revoked: Effect.Effect<void>; readonly taken: Effect.Effect<void> }
): Effect.Effect<Holdings, never, Scope.Scope> =>
  Effect.gen(function* () {
    const changed = yield* Latch.make(false)
    const turn = yield* Semaphore.make(1)
    let owned = new Map<string, Holding>()
    let target: Holds = new Map()

    const reconcile = turn.withPermit(
      Effect.gen(function* () {
        const mine = owned
        const going = [...mine].filter(([key]) => !target.has(key))
        if (going.length > 0) {
          yield* onRevoked(plain(going.map(([, partition]) => partition)), "revoked")
          for (const [key] of going) mine.delete(key)
          yield* revoked
        }
        // All was lost meanwhile.
        if (owned !== mine) return
        const coming = [...target].filter(([key]) => !mine.has(key))
        if (coming.length > 0) {
          for (const [key, partition] of coming) mine.set(key, partition)
          yield* onAssigned(plain(coming.map(([, partition]) => partition)))
          yield* taken
        }
      })
    )
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.andThen(
          Effect.andThen(changed.await, changed.close),
          Effect.suspend(() => reconcile)
        )
      )
    )

    const find = ({ partition, topic }: TopicPartition) =>
      [...owned.values()].find((own) => own.topic === topic && own.partition === partition)
    return {
      owned: () => owned,
      claimed: () => [...new Map([...target, ...owned]).values()],
      partitions: Effect.sync(() => plain(owned.values())),
      aim: (wanted) =>
        Effect.suspend(() => {
          target = wanted
          return Effect.asVoid(changed.open)
        }),
      release: Effect.suspend(() => {
        target = new Map()
        return reconcile
      }),
      lose: Effect.suspend(() => {
        const gone = plain(owned.values())
        owned = new Map()
        target = new Map()
        return gone.length === 0 ? Effect.void : onRevoked(gone, "lost")
      }),
      guard: (partitions) => {
        const first = partitions.map(find)
        return Effect.suspend(() => {
          const other = partitions.find((partition, i) => first[i] === undefined || find(partition) !== first[i])
          if (other === undefined) return Effect.void
          const detail = `topic "${other.topic}" partition ${other.partition} isn't its own any more`
          return Effect.fail(new KafkaError({ reason: new MemberLost({ group, detail }) }))
        })
      }
    }
  })
