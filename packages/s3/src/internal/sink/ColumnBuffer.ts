/** Rows of one file that aren't encoded yet, by column. Numbers stay in a `Float64Array` until the first null. */
import type { Column } from "@headrace/core/Batch"
import type { ColumnType } from "@headrace/core/TopicSchema"

const isNumber = (type: ColumnType): boolean => type.kind !== "string" && type.kind !== "boolean"

export class ColumnBuffer {
  readonly #numeric: boolean
  #numbers: Float64Array | undefined
  #values: Array<unknown> = []
  #length = 0

  constructor(type: ColumnType) {
    this.#numeric = isNumber(type)
    if (this.#numeric) this.#numbers = new Float64Array(64)
  }

  get length(): number {
    return this.#length
  }

  /** Adds the values of the rows `rows[from, to)`; nulls where there is no such column. Gives their size in memory, in bytes. */
  append(source: Column | undefined, rows: Int32Array, from: number, to: number): number {
    const count = to - from
    if (source === undefined) {
      this.#spill()
      for (let i = from; i < to; i++) this.#values.push(null)
      this.#length += count
      return count
    }
    if (this.#numbers !== undefined && this.#appendNumbers(source, rows, from, to)) return 8 * count
    this.#spill()
    let bytes = 8 * count
    for (let i = from; i < to; i++) {
      const value = source[rows[i]!] ?? null
      if (typeof value === "string") bytes += value.length + 8
      this.#values.push(value)
    }
    this.#length += count
    return bytes
  }

  /** Whether all of the values were numbers; nothing is added otherwise. */
  #appendNumbers(source: Column, rows: Int32Array, from: number, to: number): boolean {
    const end = this.#length + to - from
    let numbers = this.#numbers!
    if (end > numbers.length) {
      const grown = new Float64Array(Math.max(2 * numbers.length, end))
      grown.set(numbers.subarray(0, this.#length))
      numbers = this.#numbers = grown
    }
    let at = this.#length
    if (source instanceof Float64Array) for (let i = from; i < to; i++) numbers[at++] = source[rows[i]!]!
    else
      for (let i = from; i < to; i++) {
        const value = source[rows[i]!]
        if (typeof value !== "number") return false
        numbers[at++] = value
      }
    this.#length = end
    return true
  }

  #spill(): void {
    if (this.#numbers === undefined) return
    this.#values = Array.from(this.#numbers.subarray(0, this.#length))
    this.#numbers = undefined
  }

  /** What was added, as a view that is valid until more is. */
  view(): Column {
    return this.#numbers?.subarray(0, this.#length) ?? this.#values
  }

  clear(): void {
    this.#length = 0
    this.#values = []
    if (this.#numeric) this.#numbers ??= new Float64Array(64)
  }
}
