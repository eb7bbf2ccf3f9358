/** Compares what a version holds with the reference fold of the records before the offsets at which it stands. */
import { StateHash } from "@headrace/core"
import { ViewStore } from "@headrace/core/ViewStore"
import { Effect, Stream } from "effect"
import * as Reference from "../reference/ReferenceFold.ts"
import type { Schedule } from "./Schedule.ts"
import { describe } from "./Shapes.ts"

/** A state that isn't the reference's, or something that should have been refused. */
export class Mismatch extends Error {}

const print = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? `${v}n` : v)) ?? "nothing"

/** The first element that differs, for people. */
const firstDifference = (
  what: string,
  actual: ReadonlyArray<unknown>,
  expected: ReadonlyArray<unknown>
): string | undefined => {
  const all = Array.from({ length: Math.max(actual.length, expected.length) })
  const at = all.findIndex((_, i) => print(actual[i]) !== print(expected[i]))
  return at < 0
    ? undefined
    : `${what} (${actual.length}, expected ${expected.length}): ${print(actual[at])}, expected ${print(expected[at])}`
}

type Coordinates = { readonly partition: number; readonly offset: number }

/** What differs between a version's state and the reference at the version's own offsets, if anything does. */
const differenceOf = Effect.fnUntraced(function* (
  { shape, topic }: Schedule,
  number: number,
  ends: ReadonlyArray<number> | undefined
) {
  const store = yield* ViewStore
  const { positions } = yield* store.version(shape, number)
  const stands = positions.map((p) => p.next)
  if (ends !== undefined && print(stands) !== print(ends))
    return `it stands at ${print(stands)} instead of ${print(ends)}`
  const prefix = topic.partitions.map((records, p) => records.slice(0, stands[p]))
  const expected = Reference.fold(describe(shape, topic), prefix)
  if ((yield* StateHash.ofVersion(store, shape, number)) === Reference.stateHash(expected)) return undefined

  const late = yield* Stream.runCollect(store.late(shape, number))
  const dead = yield* Stream.runCollect(store.dead(shape, number))
  const lines = <A extends Coordinates>(all: ReadonlyArray<A>, of: (row: A) => string) =>
    all.map((row) => [row.partition, row.offset, of(row)])
  const columns = (row: { readonly columns: string }) => row.columns
  const reason = (row: { readonly reason: string }) => row.reason
  return (
    firstDifference("positions", positions, expected.positions) ??
    firstDifference("rows", yield* Stream.runCollect(store.rows(shape, number)), expected.rows) ??
    firstDifference("late records", lines(late, columns), lines(expected.late, columns)) ??
    firstDifference("dead letters", lines(dead, reason), lines(expected.dead, reason)) ??
    "only the hashes differ"
  )
})

/**
 * The version's state hash must be that of the reference at the version's own offsets: this holds after every commit, so after every crash.
 * `ends`, where given, is where it must stand.
 */
export const version = Effect.fnUntraced(function* (
  schedule: Schedule,
  number: number,
  what: string,
  ends?: ReadonlyArray<number>
) {
  const difference = yield* differenceOf(schedule, number, ends)
  if (difference !== undefined)
    throw new Mismatch(`${what}: ${schedule.shape} version ${number} isn't the reference's: ${difference}`)
})
