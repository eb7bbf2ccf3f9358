/** Slots: the (window, keys) that were touched since the last commit, numbered as they come. */
import type { Column } from "@headrace/core/Batch"
import type { StateValue } from "@headrace/core/ViewStore"

type Level = Map<StateValue, unknown>

export class Slots {
  #windows: Array<number> = []
  #keys: Array<Array<StateValue>>
  #root: Map<number, unknown> = new Map()
  #count = 0
  readonly #depth: number

  /** `depth` is the number of keys. */
  constructor(depth: number) {
    this.#depth = depth
    this.#keys = Array.from({ length: depth }, () => [])
  }

  get count(): number {
    return this.#count
  }

  /** Writes the slot of each of the first `n` rows into `slots`. `windows` holds the window start of `rows[j]` at `j`. */
  assign(keys: ReadonlyArray<Column>, rows: Int32Array, windows: Float64Array, slots: Int32Array, n: number): void {
    const last = this.#depth - 1
    let window = Number.NaN
    let top: unknown
    for (let j = 0; j < n; j++) {
      const row = rows[j]!
      if (windows[j] !== window) {
        window = windows[j]!
        top = this.#root.get(window)
        if (top === undefined) {
          top = last < 0 ? this.#add(window) : new Map()
          this.#root.set(window, top)
        }
      }
      if (last < 0) {
        slots[j] = top as number
        continue
      }
      let level = top as Level
      for (let k = 0; k < last; k++) {
        const key = keys[k]![row] as StateValue
        let next = level.get(key)
        if (next === undefined) {
          next = new Map()
          level.set(key, next)
        }
        level = next as Level
      }
      const key = keys[last]![row] as StateValue
      let slot = level.get(key) as number | undefined
      if (slot === undefined) {
        slot = this.#add(window)
        for (let k = 0; k <= last; k++) this.#keys[k]!.push(keys[k]![row] as StateValue)
        level.set(key, slot)
      }
      slots[j] = slot
    }
  }

  /** Hands over keys and windows of all slots and starts anew. */
  take(): {
    readonly count: number
    readonly keys: ReadonlyArray<ReadonlyArray<StateValue>>
    readonly windows: ReadonlyArray<number>
  } {
    const taken = { count: this.#count, keys: this.#keys, windows: this.#windows }
    this.#keys = Array.from({ length: this.#depth }, () => [])
    this.#windows = []
    this.#root = new Map()
    this.#count = 0
    return taken
  }

  #add(window: number): number {
    this.#windows.push(window)
    return this.#count++
  }
}
