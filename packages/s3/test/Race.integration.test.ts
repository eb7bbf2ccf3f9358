/**
 * 64 writers create one object through proxies that reset connections, lose responses and throttle: one wins, and every writer knows whether it
 * is the one. `HEADRACE_S3_RACE_ROUNDS` is how many keys they fight for.
 */
import { assert, it } from "@effect/vitest"
import type { Service } from "@headrace/s3"
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Effect, Random } from "effect"
import * as FaultProxy from "integration-suite/FaultProxy"
import { access, bucket } from "integration-suite/S3Access"
import { versitygw } from "./servers.ts"

const rounds = Number(process.env["HEADRACE_S3_RACE_ROUNDS"] ?? 12)
const writers = 64
const clients = 4

const text = (s: string) => new TextEncoder().encode(s)

/** A client behind a proxy of its own; of ten writes about four meet a fault, and one head in ten. */
const client = (name: string, drawn: () => number) =>
  Effect.gen(function* () {
    const proxy = yield* FaultProxy.start(versitygw)
    const store = yield* S3ObjectStore.make({
      ...access(proxy.endpoint),
      bucket: name,
      retries: 8,
      timeout: "10 seconds"
    })
    proxy.faults = ({ method }) => {
      const luck = drawn()
      if (method === "HEAD") return luck < 0.1 ? { kind: "reset" } : undefined
      if (method !== "PUT") return undefined
      if (luck < 0.2) return { kind: "loseResponse" }
      if (luck < 0.3) return { kind: "reset" }
      if (luck < 0.35) return { kind: "slowDown" }
      return luck < 0.4 ? { kind: "cutRequest", after: 3 } : undefined
    }
    return store
  })

const clientsOf = (name: string, seed: number) =>
  Effect.gen(function* () {
    const random = yield* Random.Random
    return yield* Effect.forEach(Array.from({ length: clients }), () => client(name, () => random.nextDoubleUnsafe()))
  }).pipe(Random.withSeed(seed))

type Told = "won" | "lost" | "unknown"

/** What each writer was told, checked against what is there. */
const check = (told: ReadonlyArray<Told>, content: string, round: number) => {
  const won = told.flatMap((outcome, i) => (outcome === "won" ? [`writer ${i}`] : []))
  const unknown = told.flatMap((outcome, i) => (outcome === "unknown" ? [`writer ${i}`] : []))
  assert.isAtMost(won.length, 1, `round ${round}: ${won.join(", ")}`)
  // Who isn't told reads the object, and knows.
  const winners = [...won, ...unknown.filter((writer) => writer === content)]
  assert.deepStrictEqual(winners, [content], `round ${round}`)
  return unknown.length
}

const settle = <E extends { readonly reason: { readonly _tag: string } }, R>(
  effect: Effect.Effect<"created" | "exists" | "replaced" | "changed", E, R>
): Effect.Effect<Told, E, R> =>
  effect.pipe(
    Effect.map((outcome): Told => (outcome === "created" || outcome === "replaced" ? "won" : "lost")),
    Effect.catchIf(
      ({ reason }) => reason._tag === "Unknown",
      () => Effect.succeed("unknown" as const)
    )
  )

const fight = (
  stores: ReadonlyArray<Service>,
  write: (store: Service, content: Uint8Array) => Effect.Effect<Told, unknown>
) =>
  Effect.forEach(
    Array.from({ length: writers }, (_, i) => i),
    (i) => write(stores[i % clients]!, text(`writer ${i}`)),
    { concurrency: "unbounded" }
  )

it.live(
  `lets one of ${writers} creators win, ${rounds} times`,
  () =>
    Effect.gen(function* () {
      const name = yield* bucket(versitygw)
      const reader = yield* S3ObjectStore.make({ ...access(versitygw), bucket: name })
      const stores = yield* clientsOf(name, 7)
      let unknown = 0
      for (let round = 0; round < rounds; round++) {
        const key = `race/${round}`
        const told = yield* fight(stores, (store, content) => settle(store.putIfAbsent(key, content)))
        unknown += check(told, new TextDecoder().decode(yield* reader.get(key)), round)
      }
      // Creators can only be left in doubt by a head that never comes.
      assert.isAtMost(unknown, rounds * writers * 0.01)
    }),
  3_600_000
)

it.live(
  `lets one of ${writers} replacers win, ${rounds} times`,
  () =>
    Effect.gen(function* () {
      const name = yield* bucket(versitygw)
      const reader = yield* S3ObjectStore.make({ ...access(versitygw), bucket: name })
      const stores = yield* clientsOf(name, 11)
      for (let round = 0; round < rounds; round++) {
        const key = `race/${round}`
        yield* reader.put(key, text("base"))
        const { etag } = (yield* reader.head(key))!
        const told = yield* fight(stores, (store, content) => settle(store.putIfMatch(key, content, etag!)))
        check(told, new TextDecoder().decode(yield* reader.get(key)), round)
      }
    }),
  3_600_000
)
