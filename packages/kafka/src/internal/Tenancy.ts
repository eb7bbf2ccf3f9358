/**
 * What has become of a partition's batches while a group's member has it: pure. Batches are handed out in order and handled in any; what may
 * be committed is the end of the handled ones that have none before them still at work.
 */
import type { RecordBatch } from "@headrace/core/Batch"

/** The offsets that a batch covers. */
type Range = Pick<RecordBatch, "base" | "next">

export class Tenancy {
  #handed: number
  #handled: number
  #committed: number
  /** Handled ranges beyond `#handled`, ascending, none touching another. */
  #ahead: Array<Range> = []

  /** `committed` is the group's offset, with which the partition begins. */
  constructor(committed: number) {
    this.#handed = committed
    this.#handled = committed
    this.#committed = committed
  }

  /** All before this offset is handled. */
  get handled(): number {
    return this.#handled
  }

  /** All before this offset was handed out. */
  get handed(): number {
    return this.#handed
  }

  /** Whether all that was handed out is handled. */
  get isSettled(): boolean {
    return this.#handled === this.#handed
  }

  /** What is to be committed now, if anything. */
  get due(): number | undefined {
    return this.#handled > this.#committed ? this.#handled : undefined
  }

  hand({ next }: Range): void {
    this.#handed = next
  }

  /** Notes that a batch is handled; once more changes nothing. */
  handle({ base, next }: Range): void {
    if (next <= this.#handled || this.#ahead.some((own) => own.base <= base && next <= own.next)) return
    if (base > this.#handled) {
      let at = this.#ahead.findIndex((own) => own.base > base)
      if (at < 0) at = this.#ahead.length
      const before = this.#ahead[at - 1]
      const after = this.#ahead[at]
      const joinsBefore = before?.next === base
      const joinsAfter = after?.base === next
      const joined = { base: joinsBefore ? before.base : base, next: joinsAfter ? after.next : next }
      this.#ahead.splice(joinsBefore ? at - 1 : at, (joinsBefore ? 1 : 0) + (joinsAfter ? 1 : 0), joined)
      return
    }
    this.#handled = next
    while (this.#ahead[0]?.base === this.#handled) this.#handled = this.#ahead.shift()!.next
  }

  committed(offset: number): void {
    this.#committed = Math.max(this.#committed, offset)
  }
}
