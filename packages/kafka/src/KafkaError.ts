/**
 * The one error of Kafka. `reason` says what happened; its message names what it concerns and what to do next, and `retryable` whether the
 * same call can succeed later without anybody changing anything. What a driver could try again itself, it has tried already.
 *
 * Handle a case with `Effect.catchReason("KafkaError", "OffsetOutOfRange", …)`.
 */
import { OffsetOutOfRange, PartitionNotFound, TopicExists, TopicNotFound } from "@headrace/core/EventLog"
import * as Schema from "effect/Schema"

export { OffsetOutOfRange, PartitionNotFound, TopicExists, TopicNotFound }

/** No broker answered: a wrong address, a broker that is down, or a network between that fails. */
export class BrokerUnavailable extends Schema.TaggedError<BrokerUnavailable>()("BrokerUnavailable", {
  /** `host:port`, or a list of them. */
  address: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `no answer from Kafka at ${this.address} (${this.detail}): check the address, that the broker runs, and that its advertised listener can be reached from here`
  }
}

/** The broker refused the credentials, or the connection's security isn't the listener's. */
export class AuthenticationFailed extends Schema.TaggedError<AuthenticationFailed>()("AuthenticationFailed", {
  address: Schema.String,
  mechanism: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `Kafka at ${this.address} refused the connection with ${this.mechanism} (${this.detail}): check the user, its secret, the mechanism and the listener's port`
  }
}

/** The principal has no right to this. */
export class NotAuthorized extends Schema.TaggedError<NotAuthorized>()("NotAuthorized", {
  /** For example `topic "orders"`. */
  resource: Schema.String,
  operation: Schema.String
}) {
  override get message(): string {
    return `no right to ${this.operation} on ${this.resource}: add an ACL for this principal`
  }
}

/** A record, or the batch that it was in, is larger than the topic or the broker allows. */
export class RecordTooLarge extends Schema.TaggedError<RecordTooLarge>()("RecordTooLarge", {
  topic: Schema.String,
  partition: Schema.Int,
  /** In bytes, as sent. */
  size: Schema.Int,
  /** In bytes; 0 when it isn't known here. */
  limit: Schema.Int
}) {
  override get message(): string {
    const limit = this.limit > 0 ? `the limit of ${this.limit} bytes` : "what the topic allows"
    return `${this.size} bytes for topic "${this.topic}" partition ${this.partition} exceed ${limit}: raise the topic's max.message.bytes, or send less at once`
  }
}

/** Another producer took over this transactional id, or the broker ended a transaction that took too long. This producer is done for. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", {
  transactionalId: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `the producer with transactional id "${this.transactionalId}" is fenced (${this.detail}): close it and commit nothing; make a new one only if this process still owns the work`
  }
}

/** A transaction can't be committed any more; nothing of it will be seen. Abort it, then begin anew. */
export class TransactionAborted extends Schema.TaggedError<TransactionAborted>()("TransactionAborted", {
  transactionalId: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `the transaction of "${this.transactionalId}" can't be committed (${this.detail}): abort it and begin again from the last committed offsets`
  }
}

/** No answer in time to something that can be asked again. */
export class Timeout extends Schema.TaggedError<Timeout>()("Timeout", {
  operation: Schema.String,
  millis: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.operation} got no answer within ${this.millis} ms (${this.detail}): look at the broker's load, or raise the time-out`
  }
}

/** Whether records were appended, or a transaction was committed, is unknown: the answer was lost and asking again didn't help. */
export class OutcomeUnknown extends Schema.TaggedError<OutcomeUnknown>()("OutcomeUnknown", {
  operation: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `it is unknown whether ${this.operation} took effect (${this.detail}): read the topic back before sending the same again`
  }
}

/** The topic was deleted and made anew: offsets of the former one mean nothing in this one. */
export class TopicRecreated extends Schema.TaggedError<TopicRecreated>()("TopicRecreated", {
  topic: Schema.String,
  expected: Schema.String,
  found: Schema.String
}) {
  override get message(): string {
    return `topic "${this.topic}" has id ${this.found}, not ${this.expected}: it was deleted and made anew; rebuild what was made from the former one, or start from its beginning with a new state`
  }
}

/** The client library below can't do this. */
export class UnsupportedByDriver extends Schema.TaggedError<UnsupportedByDriver>()("UnsupportedByDriver", {
  driver: Schema.String,
  feature: Schema.String
}) {
  override get message(): string {
    return `the driver "${this.driver}" can't do ${this.feature}: use the other driver`
  }
}

/** The broker is too old for this, or has it turned off. */
export class UnsupportedByBroker extends Schema.TaggedError<UnsupportedByBroker>()("UnsupportedByBroker", {
  address: Schema.String,
  feature: Schema.String
}) {
  override get message(): string {
    return `Kafka at ${this.address} doesn't support ${this.feature}: upgrade the broker (3.1 or newer is needed), or turn the feature on`
  }
}

/** The caller asked for what can't be. Nothing was sent. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>()("InvalidInput", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/** The broker gave bytes that fail their checksum or can't be read. */
export class CorruptBatch extends Schema.TaggedError<CorruptBatch>()("CorruptBatch", {
  topic: Schema.String,
  partition: Schema.Int,
  /** The first offset of the damaged batch. */
  offset: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `the batch at offset ${this.offset} of topic "${this.topic}" partition ${this.partition} can't be read (${this.detail}): check the broker's disk, or read on after it`
  }
}

/** The group moved on without this member; it has lost its partitions. */
export class MemberLost extends Schema.TaggedError<MemberLost>()("MemberLost", {
  group: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `this member is no longer in group "${this.group}" (${this.detail}): commit nothing more for the partitions it had, and join again`
  }
}

/** The broker answered with an error that has no reason of its own here. */
export class Unknown extends Schema.TaggedError<Unknown>()("Unknown", {
  operation: Schema.String,
  /** Kafka's name of it, e.g. `POLICY_VIOLATION`. */
  code: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.operation} failed with ${this.code}${this.detail === "" ? "" : ` (${this.detail})`}: see Kafka's list of error codes and the broker's log`
  }
}

/** What went wrong. */
export const Reason = Schema.Union([
  BrokerUnavailable,
  AuthenticationFailed,
  NotAuthorized,
  TopicNotFound,
  TopicExists,
  PartitionNotFound,
  OffsetOutOfRange,
  RecordTooLarge,
  Fenced,
  TransactionAborted,
  Timeout,
  OutcomeUnknown,
  TopicRecreated,
  UnsupportedByDriver,
  UnsupportedByBroker,
  InvalidInput,
  CorruptBatch,
  MemberLost,
  Unknown
])
export type Reason = typeof Reason.Type

const retryable: ReadonlySet<Reason["_tag"]> = new Set<Reason["_tag"]>(["BrokerUnavailable", "Timeout"])

/** The one error of Kafka. */
export class KafkaError extends Schema.TaggedError<KafkaError>()("KafkaError", { reason: Reason }) {
  /** Whether the same call can succeed later without anybody changing anything. */
  get retryable(): boolean {
    return retryable.has(this.reason._tag)
  }
  override get message(): string {
    return this.reason.message
  }
}
