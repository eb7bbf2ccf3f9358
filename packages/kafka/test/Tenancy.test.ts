import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Tenancy } from "../src/internal/Tenancy.ts"

const integer = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("a partition's tenancy", () => {
  it.effect.prop(
    "checkpoint capture: what is due ends where the first batch is that isn't handled, in whichever order they are",
    {
      sizes: Schema.NonEmptyArray(integer(1, 5)),
      /** Hands one out, or handles the so-many-th of those at work, perhaps again. */
      steps: Schema.Array(integer(-3, 9))
    },
    ({ sizes, steps }) =>
      Effect.sync(() => {
        const first = 100
        const tenancy = new Tenancy(first)
        const batches: Array<{ readonly base: number; readonly next: number; handled: boolean }> = []
        let next = first
        let committed = first
        for (const step of steps) {
          if (step < 0) {
            const batch = { base: next, next: next + sizes[batches.length % sizes.length]!, handled: false }
            tenancy.hand(batch)
            batches.push(batch)
            next = batch.next
          } else if (batches.length > 0) {
            const batch = batches[step % batches.length]!
            tenancy.handle(batch)
            batch.handled = true
          }
          const open = batches.find(({ handled }) => !handled)
          const handled = open?.base ?? next
          assert.strictEqual(tenancy.handled, handled)
          assert.strictEqual(tenancy.handed, next)
          assert.strictEqual(tenancy.isSettled, open === undefined)
          assert.strictEqual(tenancy.due, handled > committed ? handled : undefined)
          if (step === 7 && tenancy.due !== undefined) {
            committed = tenancy.due
            tenancy.committed(committed)
          }
        }
      }),
    { arbitrary: { runs: 300 } }
  )
})
