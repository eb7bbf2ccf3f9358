/**
 * A codec that decodes nothing: it gives the records' own bytes as columns, from the archive and from the tail alike. The archive reads the
 * kept bytes for a schema that isn't the one its files were decoded by, and no file was decoded by this one.
 */
import { type ColumnBatch, type Header, keyOf, valueOf } from "@headrace/core/Batch"
import type { Codec } from "@headrace/core/Codec"
import { Effect } from "effect"

export const codec: Codec = {
  schema: { columns: [], fingerprint: "bytes" },
  decode: (batch) =>
    Effect.sync(() => {
      const bytes = { ...batch, bytes: batch.bytes.slice() }
      const of = <A>(f: (i: number) => A) => Array.from({ length: batch.count }, (_, i) => f(i))
      return {
        topic: batch.topic,
        partition: batch.partition,
        base: batch.base,
        next: batch.next,
        count: batch.count,
        offsets: batch.offsets.slice(),
        columns: {
          key: of((i) => keyOf(bytes, i)),
          value: of((i) => valueOf(bytes, i)),
          headers: of((i) => batch.headers?.[i] ?? []),
          timestamp: batch.timestamps.slice()
        },
        kinds: undefined,
        poison: new Map()
      }
    })
}

/** A record with its coordinates. */
export interface Raw {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: ReadonlyArray<Header>
}

/** The record at a place of a batch that this codec gave. */
export const recordOf = (batch: ColumnBatch, partition: number, i: number): Raw => {
  const { headers, key, timestamp, value } = batch.columns
  return {
    partition,
    offset: batch.offsets[i]!,
    timestamp: timestamp![i] as number,
    key: key![i] as Uint8Array | null,
    value: value![i] as Uint8Array | null,
    headers: headers![i] as ReadonlyArray<Header>
  }
}
