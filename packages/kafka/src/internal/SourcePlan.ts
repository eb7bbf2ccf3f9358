/**
 * What a source reads next and how much it holds: pure. Each partition has a position, perhaps an end, and the bytes that wait for the
 * reader; a partition that is full, or at its end, isn't fetched, and nothing is when all together are full.
 */
import { type RecordBatch, slice } from "@headrace/core/Batch"
import type { Position, TopicPartition } from "../Driver.ts"

export interface Limits {
  /** Bytes that wait, per partition and in all. One fetch may go beyond by a Kafka batch a partition. */
  readonly partitionBytes: number
  readonly totalBytes: number
  /** A partition that has a batch waiting isn't fetched: what comes meanwhile is one batch then, not many small ones. Default false. */
  readonly oneAhead?: boolean
}

/** A partition of one creation of a topic. */
interface Place extends TopicPartition {
  readonly topicId: string
}

interface State {
  readonly place: Place
  position: number
  readonly until: number
  waiting: number
}

/** Less room than this isn't worth a round trip. */
const smallestFetch = 64 << 10
/** More than this at once is no faster; what is decompressed is in memory twice for a moment. */
const largestFetch = 4 << 20
/** A larger answer is in memory several times while the client library puts it together, and no faster. */
export const answerBytes = 16 << 20

/** A partition as a key. */
export const partitionKey = ({ partition, topic }: TopicPartition): string => `${topic} ${partition}`

/** What a batch holds in memory: its bytes, two numbers and two ranges a record. */
export const sizeOf = (batch: RecordBatch): number => batch.bytes.byteLength + 32 * batch.count

export class SourcePlan {
  readonly #limits: Limits
  readonly #partitions = new Map<string, State>()
  #waiting = 0
  #first = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Adds a partition, to be read from `from` up to `until`. */
  add(place: Place, from: number, until = Infinity): void {
    this.#partitions.set(partitionKey(place), { place, position: from, until, waiting: 0 })
  }

  /** Takes a partition out, with what waits of it. */
  remove(partition: TopicPartition): void {
    const key = partitionKey(partition)
    this.#waiting -= this.#partitions.get(key)?.waiting ?? 0
    this.#partitions.delete(key)
  }

  has(partition: TopicPartition): boolean {
    return this.#partitions.has(partitionKey(partition))
  }

  get count(): number {
    return this.#partitions.size
  }

  /** Bytes that wait for the reader. */
  get waiting(): number {
    return this.#waiting
  }

  /** Whether every partition is at its end; what waits may still be taken. */
  get done(): boolean {
    for (const { position, until } of this.#partitions.values()) if (position < until) return false
    return true
  }

  /** What to fetch now, with what there is room for. Partitions take turns at the front: a broker fills its answer in this order. */
  positions(): ReadonlyArray<Position> {
    const room = this.#limits.totalBytes - this.#waiting
    if (room <= 0) return []
    const { oneAhead = false, partitionBytes } = this.#limits
    const most = oneAhead ? 1 : partitionBytes
    const open = [...this.#partitions.values()].filter(
      ({ position, until, waiting }) => position < until && waiting < most
    )
    if (open.length === 0) return []
    this.#first = (this.#first + 1) % open.length
    const share = Math.max(Math.floor(room / open.length), smallestFetch)
    return [...open.slice(this.#first), ...open.slice(0, this.#first)].map(({ place, position, waiting }) => ({
      ...place,
      offset: position,
      maxBytes: Math.max(Math.min(share, partitionBytes - waiting, largestFetch), smallestFetch)
    }))
  }

  /** Notes what a fetch gave; the batch to hand on, cut at the partition's end, or nothing when it covers nothing new. */
  fetched(batch: RecordBatch): RecordBatch | undefined {
    const state = this.#partitions.get(partitionKey(batch))
    if (state === undefined || batch.base !== state.position || batch.next <= batch.base) return undefined
    const own = slice(batch, batch.base, state.until, batch.count + 1)
    state.position = own.next
    const size = sizeOf(own)
    state.waiting += size
    this.#waiting += size
    return own
  }

  /** Notes that the reader has taken a batch. */
  taken(batch: RecordBatch): void {
    const size = sizeOf(batch)
    this.#partitions.get(partitionKey(batch))!.waiting -= size
    this.#waiting -= size
  }
}
