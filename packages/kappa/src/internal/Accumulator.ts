/**
 * Accumulators: the deltas of one aggregate since the last commit, by slot. A slot is a (key, window) that was touched.
 *
 * Each works on a whole batch in one plain loop. Sums are exact: what leaves the safe integers is carried into a `bigint` per slot.
 */
import type { Column } from "@headrace/core/Batch"
import type { StateValue } from "@headrace/core/ViewStore"

export interface Accumulator {
  /** Adds `values[rows[j]]` to `slots[j]` for each `j` below `count`; a null value is skipped. */
  readonly add: (values: Column, rows: Int32Array, slots: Int32Array, count: number) => void
  /** Makes room for slots below `size`. */
  readonly reserve: (size: number) => void
  /** The physical columns of the first `size` slots; starts anew. */
  readonly take: (size: number) => ReadonlyArray<ReadonlyArray<StateValue>>
}

const grown = (old: Float64Array<ArrayBuffer>, size: number, fill: number): Float64Array<ArrayBuffer> => {
  if (size <= old.length) return old
  const next = new Float64Array(Math.max(size, 2 * old.length)).fill(fill, old.length)
  next.set(old)
  return next
}

/** Counts records, or those for which the input gave true. */
export const count = (conditional: boolean): Accumulator => {
  let counts = new Float64Array(256)
  return {
    add: (values, rows, slots, n) => {
      const c = counts
      if (!conditional) for (let j = 0; j < n; j++) c[slots[j]!]!++
      else for (let j = 0; j < n; j++) if (values[rows[j]!] === true) c[slots[j]!]!++
    },
    reserve: (size) => {
      counts = grown(counts, size, 0)
    },
    take: (size) => {
      const taken = Array.from(counts.subarray(0, size))
      counts.fill(0, 0, size)
      return [taken]
    }
  }
}

/** Sums exactly; null until there is a value. NaN marks a slot without one. */
export const sum = (): Accumulator => {
  let sums = new Float64Array(256).fill(Number.NaN)
  let carried = new Map<number, bigint>()
  return {
    add: (values, rows, slots, n) => {
      const s = sums
      for (let j = 0; j < n; j++) {
        const value = values[rows[j]!]
        if (value === null) continue
        const slot = slots[j]!
        const old = s[slot]!
        if (old !== old) {
          s[slot] = value as number
          continue
        }
        const next = old + (value as number)
        if (next <= Number.MAX_SAFE_INTEGER && next >= -Number.MAX_SAFE_INTEGER) s[slot] = next
        else {
          carried.set(slot, (carried.get(slot) ?? 0n) + BigInt(old))
          s[slot] = value as number
        }
      }
    },
    reserve: (size) => {
      sums = grown(sums, size, Number.NaN)
    },
    take: (size) => {
      const taken = Array.from<number, StateValue>(sums.subarray(0, size), (v) => (v !== v ? null : v))
      for (const [slot, more] of carried) {
        const total = more + BigInt(taken[slot] as number)
        taken[slot] = Number.isSafeInteger(Number(total)) ? Number(total) : total
      }
      carried = new Map()
      sums.fill(Number.NaN, 0, size)
      return [taken]
    }
  }
}

/** The smallest or the largest number; null until there is a value. */
export const extreme = (sign: 1 | -1): Accumulator => {
  let best = new Float64Array(256).fill(Number.NaN)
  return {
    add: (values, rows, slots, n) => {
      const b = best
      for (let j = 0; j < n; j++) {
        const value = values[rows[j]!] as number | null
        if (value === null) continue
        const slot = slots[j]!
        const old = b[slot]!
        if (old !== old || sign * value < sign * old) b[slot] = value
      }
    },
    reserve: (size) => {
      best = grown(best, size, Number.NaN)
    },
    take: (size) => {
      const taken = Array.from<number, StateValue>(best.subarray(0, size), (v) => (v !== v ? null : v))
      best.fill(Number.NaN, 0, size)
      return [taken]
    }
  }
}

/** Sum and count of the values that are there. */
export const average = (): Accumulator => {
  const total = sum()
  let counts = new Float64Array(256)
  return {
    add: (values, rows, slots, n) => {
      total.add(values, rows, slots, n)
      const c = counts
      for (let j = 0; j < n; j++) if (values[rows[j]!] !== null) c[slots[j]!]!++
    },
    reserve: (size) => {
      total.reserve(size)
      counts = grown(counts, size, 0)
    },
    take: (size) => {
      const taken = Array.from(counts.subarray(0, size))
      counts.fill(0, 0, size)
      return [...total.take(size), taken]
    }
  }
}

/** The set of values per slot. It has no physical column: its values join a set in the store. */
export interface DistinctAccumulator extends Accumulator {
  readonly takeSets: (size: number) => ReadonlyArray<ReadonlySet<StateValue>>
  /** Values held now, over all slots. */
  readonly held: () => number
}

export const distinct = (): DistinctAccumulator => {
  let sets: Array<Set<StateValue>> = []
  let held = 0
  return {
    add: (values, rows, slots, n) => {
      for (let j = 0; j < n; j++) {
        const value = values[rows[j]!] as StateValue
        if (value === null) continue
        const set = sets[slots[j]!]!
        const before = set.size
        set.add(value)
        held += set.size - before
      }
    },
    reserve: (size) => {
      while (sets.length < size) sets.push(new Set())
    },
    take: () => [],
    takeSets: (size) => {
      const taken = sets.slice(0, size)
      sets = []
      held = 0
      return taken
    },
    held: () => held
  }
}
