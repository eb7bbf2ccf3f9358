/**
 * The driver port: what Headrace needs of a Kafka client. Drivers are `drivers/Platformatic` and `drivers/KafkaJs`; the comments here are the
 * specification, and `contract/DriverContract` the suite that every driver runs.
 *
 * **Who closes.** Consumers, producers and members live in the scope that they are made in, the driver in its layer's; closing releases
 * their connections and leaves the log as it is. A transaction that is open then is aborted.
 * **Interruption.** A read, a fetch or an admin call may be interrupted at any time. Of a send or a commit the request that is under way runs
 * to its answer or time-out first, so that its outcome is known to the producer, which stays usable.
 * **Trying again.** A driver asks again by itself, with growing pauses, for `requestTimeoutMillis` (`deliveryTimeoutMillis` where it sends), when a leader or coordinator has moved, a
 * connection broke, or the broker asks to wait; a repeated send is recognised by the broker, since every producer is idempotent.
 * **Errors** are `KafkaError`s. Offsets are safe integers, times epoch milliseconds, sizes bytes.
 */
import type { ProducerBatch, RecordBatch } from "@headrace/core/Batch"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { KafkaError } from "./KafkaError.ts"

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd"

/** Where to read on in a partition. */
export interface Position {
  readonly topic: string
  /** The id that {@link Admin.describeTopic} gave: a topic made anew under the same name fails with `TopicRecreated`. */
  readonly topicId: string
  readonly partition: number
  readonly offset: number
  /** At most this many bytes of this partition, as they are once decompressed, but at least its next batch. Default 1 MiB. */
  readonly maxBytes?: number
}

export interface FetchOptions {
  /** At most this many bytes in all, as the broker sends them, but at least one batch. Default 16 MiB. */
  readonly maxBytes?: number
  /** Wait this long for the first record when there is none. Default 500. */
  readonly maxWaitMillis?: number
  /** Wait for this many bytes, up to `maxWaitMillis`. Default 1. */
  readonly minBytes?: number
}

/** What a fetch found in a partition. */
export interface Fetched {
  /**
   * Covers `[position.offset, next)`, where `next` is the position to read on from: beyond the markers of transactions, aborted records and
   * compacted ones that the fetch passed over. `count` may be 0, with `next` further on or not.
   */
  readonly batch: RecordBatch
  /** The first offset that the partition holds. */
  readonly begin: number
  /** Readers at this isolation can read up to here now: before the first open transaction, or the high watermark. */
  readonly end: number
}

/** Reads fixed partitions; holds no positions. One fetch at a time. */
export interface Consumer {
  /**
   * One answer for each position whose partition could be read now, in no particular order. Fails with `OffsetOutOfRange` and the exact missing range, `TopicRecreated`,
   * `TopicNotFound` or `CorruptBatch` when any of the positions can't be read on from.
   */
  readonly fetch: (
    positions: ReadonlyArray<Position>,
    options?: FetchOptions
  ) => Effect.Effect<ReadonlyArray<Fetched>, KafkaError>
}

export interface ConsumerOptions {
  /** `committed` (the default) gives only records of committed transactions and those outside of any. */
  readonly isolation?: "committed" | "uncommitted"
  /** Whether to verify each batch's CRC-32C. Default true. */
  readonly checkCrcs?: boolean
}

/** Records for a partition: one Kafka batch, there whole or not at all. */
export interface SendItem {
  readonly topic: string
  readonly partition: number
  readonly records: ProducerBatch
}

/** Where the records of a {@link SendItem} went: offsets `[base, next)`. */
export interface Appended {
  readonly topic: string
  readonly partition: number
  readonly base: number
  readonly next: number
}

export interface ProducerOptions {
  /** Default `none`. */
  readonly compression?: Compression
}

/** An idempotent producer that waits for all in-sync replicas. */
export interface Producer {
  /**
   * Appends the items, at most one a partition; answers in their order. Sends to a partition take effect in the order of the calls, whether
   * or not they run at the same time. Fails with `RecordTooLarge` before anything of that item is sent when it exceeds `max.request.size`, or by
   * the broker's word. After `OutcomeUnknown` the producer is usable and in order, but the records may be there.
   */
  readonly send: (items: ReadonlyArray<SendItem>) => Effect.Effect<ReadonlyArray<Appended>, KafkaError>
}

export interface TransactionalOptions extends ProducerOptions {
  readonly transactionalId: string
  /** The broker aborts a transaction that takes longer. Default 60,000. */
  readonly transactionTimeoutMillis?: number
}

/** Whose offsets a transaction commits. The last three fence a member that has lost its partitions. */
export interface GroupMetadata {
  readonly group: string
  readonly memberId?: string
  readonly generation?: number
  readonly instanceId?: string | undefined
}

export interface PartitionOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/**
 * A transactional producer. Making one takes the transactional id over: a transaction that its predecessor left open is aborted, and the
 * predecessor's every further call fails with `Fenced`. The order of calls is begin, then any of send and sendOffsets, then commit or abort;
 * another order fails with `InvalidInput`. After `TransactionAborted` only abort helps, and after `Fenced` nothing.
 */
export interface TransactionalProducer {
  readonly begin: Effect.Effect<void, KafkaError>
  /** As {@link Producer.send}, inside the transaction. */
  readonly send: (items: ReadonlyArray<SendItem>) => Effect.Effect<ReadonlyArray<Appended>, KafkaError>
  /**
   * Commits offsets of a group with the transaction. Metadata that comes as an effect is asked for again when the group has a new generation
   * meanwhile, which a member that keeps its partitions goes along with; the effect fails with `MemberLost` when it doesn't keep them.
   */
  readonly sendOffsets: (
    group: GroupMetadata | Effect.Effect<GroupMetadata, KafkaError>,
    offsets: ReadonlyArray<PartitionOffset>
  ) => Effect.Effect<void, KafkaError>
  /** Ends when the broker has decided to commit. Readers of committed records see it some milliseconds later, once its markers are written. */
  readonly commit: Effect.Effect<void, KafkaError>
  readonly abort: Effect.Effect<void, KafkaError>
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/**
 * By name those of Kafka's Java client, and the same on the wire. `cooperative-sticky` moves as little as balance allows and lets the rest
 * run through a rebalance; `range` and `roundrobin` stop every member for it.
 */
export type Assignor = "cooperative-sticky" | "range" | "roundrobin"

export interface MemberOptions {
  readonly group: string
  readonly topics: ReadonlyArray<string>
  /**
   * `consumer` is KIP-848 (Kafka 4): the broker assigns. `classic` is the protocol that all brokers and clients have: one of the members
   * assigns. Default: `consumer` where the broker has it on. A group moves from one to the other member by member.
   */
  readonly protocol?: "consumer" | "classic"
  /** How long `onRevoked` may take before the group goes on without this member. Default 60,000. */
  readonly rebalanceTimeoutMillis?: number
  /** A classic group gives a member up that it hasn't heard of for this long; for others the broker decides. Default 45,000. */
  readonly sessionTimeoutMillis?: number
  /** What this member of a classic group can be assigned by; all members must have one in common. Default `["cooperative-sticky"]`. */
  readonly assignors?: readonly [Assignor, ...ReadonlyArray<Assignor>]
  /** How often the leader of a classic group looks for added partitions. Default 30,000. */
  readonly partitionsMillis?: number
  /**
   * Makes the member a static one: it doesn't leave when it closes, and who joins under the same id within the session time gets its
   * partitions, without a rebalance.
   */
  readonly instanceId?: string
  /** These partitions are this member's from now on. Runs after `onRevoked` of the ones that went, one call at a time. */
  readonly onAssigned: (partitions: ReadonlyArray<TopicPartition>) => Effect.Effect<void>
  /**
   * These partitions go. `revoked`: they stay this member's until the effect ends, so that what is in flight can be finished and committed.
   * `lost`: they are gone already, perhaps while their revocation is under way; nothing may be committed for them.
   */
  readonly onRevoked: (partitions: ReadonlyArray<TopicPartition>, how: "revoked" | "lost") => Effect.Effect<void>
}

/**
 * A member of a consumer group. A partition changes hands when its former owner has let it go. A member that the group gave up loses its
 * partitions and joins again by itself.
 */
export interface Member {
  /** For `sendOffsets` of a transaction: as of now, so that a commit for partitions that are lost is refused. Fails with `MemberLost` while it isn't one. */
  readonly metadata: Effect.Effect<GroupMetadata, KafkaError>
  readonly assignment: Effect.Effect<ReadonlyArray<TopicPartition>>
  /** Commits offsets outside of a transaction. Fails with `MemberLost` when a partition isn't its own any more. */
  readonly commit: (offsets: ReadonlyArray<PartitionOffset>) => Effect.Effect<void, KafkaError>
  /** Fails when the member can't go on: no rights, a broker without the protocol. Never succeeds. */
  readonly failed: Effect.Effect<never, KafkaError>
}

export interface TopicInfo {
  readonly name: string
  /** Unique to this creation of the topic. */
  readonly id: string
  /** Of Kafka's own, e.g. `__consumer_offsets`. */
  readonly internal: boolean
  readonly partitions: number
}

export interface CreateTopicOptions {
  readonly partitions: number
  /** Default: the broker's. */
  readonly replicationFactor?: number
  /** By Kafka's names, e.g. `{ "retention.ms": "-1" }`. */
  readonly configs?: Readonly<Record<string, string>>
}

/** Which offset of a partition is wanted; a timestamp stands for the first record at or after it. */
export type OffsetAt = "earliest" | "latest" | { readonly timestamp: number }

export interface Admin {
  readonly topics: Effect.Effect<ReadonlyArray<TopicInfo>, KafkaError>
  readonly describeTopic: (topic: string) => Effect.Effect<TopicInfo, KafkaError>
  /** Ends when every partition of the new topic has a leader. */
  readonly createTopic: (topic: string, options: CreateTopicOptions) => Effect.Effect<TopicInfo, KafkaError>
  /** Makes it this many partitions; ends when every one has a leader. Keys are then distributed anew. */
  readonly addPartitions: (topic: string, partitions: number) => Effect.Effect<TopicInfo, KafkaError>
  /** Ends when the topic can't be described any more. */
  readonly deleteTopic: (topic: string) => Effect.Effect<void, KafkaError>
  /** A topic's settings, defaults included. */
  readonly topicConfigs: (topic: string) => Effect.Effect<Readonly<Record<string, string>>, KafkaError>
  /**
   * One offset for each partition of a topic, by partition. `latest` is the end for readers of committed records. Beyond a partition's last
   * record a timestamp gives its end. Who knows how many partitions there are saves asking for it.
   */
  readonly offsets: (
    topic: string,
    at: OffsetAt,
    partitions?: number
  ) => Effect.Effect<ReadonlyArray<number>, KafkaError>
  /** Removes the records before an offset; gives the partition's new first offset. */
  readonly deleteRecords: (topic: string, partition: number, before: number) => Effect.Effect<number, KafkaError>
  /** A group's committed offsets of a topic, by partition; those without one are left out. Waits for open transactions that change them. */
  readonly groupOffsets: (group: string, topic: string) => Effect.Effect<ReadonlyMap<number, number>, KafkaError>
}

export interface Service {
  /** The client library's name. */
  readonly name: string
  readonly admin: Admin
  readonly consumer: (options?: ConsumerOptions) => Effect.Effect<Consumer, KafkaError, Scope.Scope>
  readonly producer: (options?: ProducerOptions) => Effect.Effect<Producer, KafkaError, Scope.Scope>
  readonly transactional: (
    options: TransactionalOptions
  ) => Effect.Effect<TransactionalProducer, KafkaError, Scope.Scope>
  /** Joins a group; the scope's end revokes what it has and leaves. Fails with `UnsupportedByBroker` where the wanted protocol isn't on. */
  readonly member: (options: MemberOptions) => Effect.Effect<Member, KafkaError, Scope.Scope>
}

/** The port. */
export class KafkaDriver extends Context.Service<KafkaDriver, Service>()("@headrace/kafka/KafkaDriver") {}
