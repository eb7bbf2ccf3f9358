/**
 * The records of the Kafka benchmark: 150 bytes (a key of 8, a value of 142), partitioned by key as Java does. A pool of them, made from a
 * seed, is written again and again, so each record that is read is checked against the one that must stand at its place.
 */
import { BatchBuilder, keyOf, type ProducerBatch, valueOf } from "@headrace/core/Batch"
import * as Partitioner from "@headrace/core/Partitioner"

export const partitions = 4
/** Of topics for these records: they stay, though their times are the pool's own. */
export const topic = {
  partitions,
  configs: { "retention.ms": "-1", "message.timestamp.after.max.ms": "9223372036854775807" }
} as const

export const keySize = 8
export const valueSize = 142

/** Records of a batch of the pool: what a caller hands over at once. */
export const batchRecords = 1_000
/** Records of the pool. */
const poolRecords = 20_000

/** The same record in the form of the client libraries. */
export interface Message {
  readonly key: Buffer
  readonly value: Buffer
  readonly partition: number
}

export interface Pool {
  readonly batches: ReadonlyArray<ProducerBatch>
  readonly messages: ReadonlyArray<ReadonlyArray<Message>>
  /** By partition, in order: the first 32 bits of the values, which are the record's number in the pool. */
  readonly expected: ReadonlyArray<Uint32Array>
  /** By record of the pool: the last 32 bits of the value. */
  readonly tails: Uint32Array
}

/** The pool, the same in every process. */
export const pool = (): Pool => {
  let state = 20260325
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0
    const m = Math.imul(state ^ (state >>> 15), state | 1)
    const x = m ^ (m + Math.imul(m ^ (m >>> 7), m | 61))
    return (x ^ (x >>> 14)) >>> 0
  }
  const tails = new Uint32Array(poolRecords)
  const expected = Array.from({ length: partitions }, () => [] as Array<number>)
  const builder = new BatchBuilder(batchRecords)
  const batches: Array<ProducerBatch> = []
  const messages: Array<ReadonlyArray<Message>> = []
  let chunk: Array<Message> = []
  for (let i = 0; i < poolRecords; i++) {
    const key = Buffer.from(random().toString(36).padStart(keySize, "0"))
    const value = Buffer.alloc(valueSize)
    value.writeUInt32LE(i, 0)
    for (let at = 4; at < valueSize; at++) value[at] = 32 + (random() % 95)
    tails[i] = value.readUInt32LE(valueSize - 4)
    const partition = Partitioner.partitionOf(key, partitions)
    expected[partition]!.push(i)
    builder.add(key, value, 1_774_396_800_000 + i)
    chunk.push({ key, value, partition })
    if (builder.count === batchRecords) {
      batches.push(builder.take())
      messages.push(chunk)
      chunk = []
    }
  }
  return { batches, messages, expected: expected.map((e) => Uint32Array.from(e)), tails }
}

/** Checks what is read: every record must be the one whose turn it is in its partition. */
export class Checker {
  readonly #pool: Pool
  readonly #at: Array<number> = Array.from({ length: partitions }, () => 0)
  #count = 0
  #sum = 0

  constructor(pool: Pool) {
    this.#pool = pool
  }

  get count(): number {
    return this.#count
  }

  /** The sum of the tails, with the partition's part in it: equal contents have equal sums. */
  get sum(): string {
    return `${this.#count} ${this.#sum}`
  }

  /** A value, by its first and its last 32 bits. */
  add(partition: number, head: number, tail: number): void {
    const expected = this.#pool.expected[partition]!
    const at = this.#at[partition]!
    if (expected[at] !== head || this.#pool.tails[head] !== tail)
      throw new Error(`partition ${partition} holds record ${head} where record ${expected[at]} belongs`)
    this.#at[partition] = at + 1 === expected.length ? 0 : at + 1
    this.#count++
    this.#sum = (this.#sum + tail * (partition + 1)) % 2 ** 52
  }
}

/** Whether a batch's records are byte for byte those of the pool from record `at` of the partition on. */
export const isEqual = (batch: ProducerBatch, partition: number, at: number, { batches, expected }: Pool): boolean => {
  const own = expected[partition]!
  for (let i = 0; i < batch.count; i++) {
    const record = own[(at + i) % own.length]!
    const [from, index] = [batches[Math.floor(record / batchRecords)]!, record % batchRecords]
    const [key, value] = [keyOf(batch, i), valueOf(batch, i)]
    if (key === null || value === null) return false
    if (Buffer.compare(key, keyOf(from, index)!) !== 0 || Buffer.compare(value, valueOf(from, index)!) !== 0)
      return false
  }
  return true
}
