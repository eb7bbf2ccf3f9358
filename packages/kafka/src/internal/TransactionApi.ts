/** The requests of producers' identities and transactions. */
import { type Api, byTopic, type PartitionCode, partitionCodes, throttled } from "./Api.ts"
import type { Writer } from "./Bytes.ts"

export interface ProducerIdentity {
  readonly producerId: bigint
  readonly epoch: number
}

export const initProducerId: Api<
  ProducerIdentity & { readonly transactionalId: string | null; readonly transactionTimeoutMillis: number },
  ProducerIdentity & { readonly code: number }
> = {
  name: "InitProducerId",
  key: 22,
  version: 4,
  write: (w, { epoch, producerId, transactionTimeoutMillis, transactionalId }) =>
    w.string(transactionalId).int32(transactionTimeoutMillis).int64(producerId).int16(epoch).tags(),
  read: (r) => ({ code: throttled(r).int16(), producerId: r.bigint64(), epoch: r.int16() })
}

export interface TransactionIdentity extends ProducerIdentity {
  readonly transactionalId: string
}

const identity = (w: Writer, { epoch, producerId, transactionalId }: TransactionIdentity): Writer =>
  w.string(transactionalId).int64(producerId).int16(epoch)

export const addPartitionsToTxn: Api<
  TransactionIdentity & { readonly partitions: ReadonlyArray<{ readonly topic: string; readonly partition: number }> },
  ReadonlyArray<PartitionCode>
> = {
  name: "AddPartitionsToTxn",
  key: 24,
  version: 3,
  write: (w, input) =>
    identity(w, input)
      .array(byTopic(input.partitions), ([topic, own]) =>
        w
          .string(topic)
          .array(own, ({ partition }) => w.int32(partition))
          .tags()
      )
      .tags(),
  read: (r) => partitionCodes(throttled(r))
}

export const addOffsetsToTxn: Api<TransactionIdentity & { readonly group: string }, { readonly code: number }> = {
  name: "AddOffsetsToTxn",
  key: 25,
  version: 3,
  write: (w, input) => identity(w, input).string(input.group).tags(),
  read: (r) => ({ code: throttled(r).int16() })
}

export const endTxn: Api<
  TransactionIdentity & { readonly commit: boolean },
  { readonly code: number; readonly next: ProducerIdentity | undefined }
> = {
  name: "EndTxn",
  key: 26,
  version: 3,
  write: (w, input) => identity(w, input).boolean(input.commit).tags(),
  read: (r) => ({ code: throttled(r).int16(), next: undefined })
}

/** The broker gives the producer a new epoch with each transaction (transaction version 2), so that nothing late can touch the next one. */
export const endTxnV5: typeof endTxn = {
  ...endTxn,
  version: 5,
  read: (r) => ({ code: throttled(r).int16(), next: { producerId: r.bigint64(), epoch: r.int16() } })
}

export interface CommittedOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export const txnOffsetCommit: Api<
  TransactionIdentity & {
    readonly group: string
    readonly generation: number
    readonly memberId: string
    readonly instanceId: string | null
    readonly offsets: ReadonlyArray<CommittedOffset>
  },
  ReadonlyArray<PartitionCode>
> = {
  name: "TxnOffsetCommit",
  key: 28,
  version: 3,
  write: (w, input) => {
    w.string(input.transactionalId).string(input.group).int64(input.producerId).int16(input.epoch)
    w.int32(input.generation)
      .string(input.memberId)
      .string(input.instanceId)
      .array(byTopic(input.offsets), ([topic, own]) =>
        w
          .string(topic)
          .array(own, ({ offset, partition }) => w.int32(partition).int64(offset).int32(-1).string("").tags())
          .tags()
      )
      .tags()
  },
  read: (r) => partitionCodes(throttled(r))
}

/** The same, adding the group to the transaction (transaction version 2). */
export const txnOffsetCommitV5: typeof txnOffsetCommit = { ...txnOffsetCommit, version: 5 }
