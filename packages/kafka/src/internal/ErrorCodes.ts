/** Kafka's error codes: their names, and what is to be done about each. */
import {
  Fenced,
  InvalidInput,
  KafkaError,
  MemberLost,
  NotAuthorized,
  type Reason,
  RecordTooLarge,
  Timeout,
  TopicExists,
  TopicNotFound,
  TransactionAborted,
  UnsupportedByBroker,
  Unknown
} from "../KafkaError.ts"

/** Those that are named in the code. */
export const Code = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  messageTooLarge: 10,
  coordinatorLoading: 14,
  recordListTooLarge: 18,
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  topicExists: 36,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  invalidProducerEpoch: 47,
  invalidTxnState: 48,
  invalidProducerIdMapping: 49,
  concurrentTransactions: 51,
  unknownProducerId: 59,
  memberIdRequired: 79,
  fencedInstanceId: 82,
  producerFenced: 90,
  unknownTopicId: 100,
  inconsistentTopicId: 103,
  fencedMemberEpoch: 110,
  unreleasedInstanceId: 111,
  staleMemberEpoch: 113,
  transactionAbortable: 120
} as const

const names: Readonly<Record<number, string>> = {
  [-1]: "UNKNOWN_SERVER_ERROR",
  1: "OFFSET_OUT_OF_RANGE",
  2: "CORRUPT_MESSAGE",
  3: "UNKNOWN_TOPIC_OR_PARTITION",
  5: "LEADER_NOT_AVAILABLE",
  6: "NOT_LEADER_OR_FOLLOWER",
  7: "REQUEST_TIMED_OUT",
  8: "BROKER_NOT_AVAILABLE",
  9: "REPLICA_NOT_AVAILABLE",
  10: "MESSAGE_TOO_LARGE",
  13: "NETWORK_EXCEPTION",
  14: "COORDINATOR_LOAD_IN_PROGRESS",
  15: "COORDINATOR_NOT_AVAILABLE",
  16: "NOT_COORDINATOR",
  17: "INVALID_TOPIC_EXCEPTION",
  18: "RECORD_LIST_TOO_LARGE",
  19: "NOT_ENOUGH_REPLICAS",
  20: "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  22: "ILLEGAL_GENERATION",
  23: "INCONSISTENT_GROUP_PROTOCOL",
  24: "INVALID_GROUP_ID",
  25: "UNKNOWN_MEMBER_ID",
  26: "INVALID_SESSION_TIMEOUT",
  27: "REBALANCE_IN_PROGRESS",
  29: "TOPIC_AUTHORIZATION_FAILED",
  30: "GROUP_AUTHORIZATION_FAILED",
  31: "CLUSTER_AUTHORIZATION_FAILED",
  32: "INVALID_TIMESTAMP",
  35: "UNSUPPORTED_VERSION",
  36: "TOPIC_ALREADY_EXISTS",
  37: "INVALID_PARTITIONS",
  38: "INVALID_REPLICATION_FACTOR",
  40: "INVALID_CONFIG",
  41: "NOT_CONTROLLER",
  42: "INVALID_REQUEST",
  43: "UNSUPPORTED_FOR_MESSAGE_FORMAT",
  44: "POLICY_VIOLATION",
  45: "OUT_OF_ORDER_SEQUENCE_NUMBER",
  46: "DUPLICATE_SEQUENCE_NUMBER",
  47: "INVALID_PRODUCER_EPOCH",
  48: "INVALID_TXN_STATE",
  49: "INVALID_PRODUCER_ID_MAPPING",
  50: "INVALID_TRANSACTION_TIMEOUT",
  51: "CONCURRENT_TRANSACTIONS",
  53: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
  56: "KAFKA_STORAGE_ERROR",
  59: "UNKNOWN_PRODUCER_ID",
  69: "GROUP_ID_NOT_FOUND",
  73: "TOPIC_DELETION_DISABLED",
  74: "FENCED_LEADER_EPOCH",
  75: "UNKNOWN_LEADER_EPOCH",
  76: "UNSUPPORTED_COMPRESSION_TYPE",
  78: "OFFSET_NOT_AVAILABLE",
  79: "MEMBER_ID_REQUIRED",
  81: "GROUP_MAX_SIZE_REACHED",
  82: "FENCED_INSTANCE_ID",
  87: "INVALID_RECORD",
  88: "UNSTABLE_OFFSET_COMMIT",
  89: "THROTTLING_QUOTA_EXCEEDED",
  90: "PRODUCER_FENCED",
  100: "UNKNOWN_TOPIC_ID",
  103: "INCONSISTENT_TOPIC_ID",
  110: "FENCED_MEMBER_EPOCH",
  111: "UNRELEASED_INSTANCE_ID",
  112: "UNSUPPORTED_ASSIGNOR",
  113: "STALE_MEMBER_EPOCH",
  120: "TRANSACTION_ABORTABLE"
}

export const nameOf = (code: number): string => names[code] ?? `error code ${code}`

/** The broker wants to be asked again, after a look at who leads or coordinates. */
const passing: ReadonlySet<number> = new Set([5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 74, 75, 78, 88, 89])

/** Whether a request that got this code can succeed when it is sent again. */
export const isPassing = (code: number): boolean => passing.has(code)

const outdated: ReadonlySet<number> = new Set([Code.staleMemberEpoch, Code.illegalGeneration, Code.rebalanceInProgress])

/** Whether a commit came under a generation that the group has left behind, or is just about to begin: its member soon knows. */
export const isOutdated = (code: number): boolean => outdated.has(code)

/** What a request was about. */
export interface About {
  readonly operation: string
  readonly topic?: string
  readonly partition?: number
  readonly group?: string
  readonly transactionalId?: string
  readonly size?: number
  readonly address?: string
  readonly millis?: number
}

/** The reason for a code that isn't none. */
export const reasonOf = (code: number, about: About, detail = ""): Reason => {
  const { address = "", group = "", operation, topic = "", transactionalId = "" } = about
  const text = detail === "" ? nameOf(code) : `${nameOf(code)}: ${detail}`
  if (isPassing(code)) return new Timeout({ operation, millis: about.millis ?? 0, detail: text })
  switch (code) {
    case 3:
      return new TopicNotFound({ topic })
    case 10:
    case 18:
      return new RecordTooLarge({ topic, partition: about.partition ?? -1, size: about.size ?? 0, limit: 0 })
    case 17:
    case 23:
    case 26:
    case 37:
    case 38:
    case 40:
    case 44:
    case 50:
      return new InvalidInput({ detail: `${operation} was refused: ${text}` })
    case 29:
      return new NotAuthorized({ resource: `topic "${topic}"`, operation })
    case 30:
      return new NotAuthorized({ resource: `group "${group}"`, operation })
    case 31:
      return new NotAuthorized({ resource: "the cluster", operation })
    case 82:
      return new MemberLost({ group, detail: `${text}: another member has taken its instance id over` })
    case 53:
      return new NotAuthorized({ resource: `transactional id "${transactionalId}"`, operation })
    case 32:
      return new InvalidInput({
        detail: `a record for topic "${topic}" partition ${about.partition ?? -1} has a time that the topic refuses: correct it, or raise message.timestamp.after.max.ms (an hour beyond the broker's clock by default) or message.timestamp.before.max.ms`
      })
    case 35:
      return new UnsupportedByBroker({ address, feature: operation })
    case 36:
      return new TopicExists({ topic })
    case 47:
    case 49:
    case 90:
      return new Fenced({ transactionalId, detail: text })
    case 48:
    case 120:
      return new TransactionAborted({ transactionalId, detail: text })
    default:
      return new Unknown({ operation, code: nameOf(code), detail })
  }
}

export const errorOf = (code: number, about: About, detail = ""): KafkaError =>
  new KafkaError({ reason: reasonOf(code, about, detail) })
