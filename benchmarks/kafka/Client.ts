/** What every side of the Kafka benchmark can do. */

export const drivers = ["platformatic", "kafkajs"] as const
export type Driver = (typeof drivers)[number]
export type Whose = "ours" | "raw"

/** `source` reads the topic's records, the others write so many of them. */
export const jobs = ["source", "sink", "transactions"] as const
export type Job = (typeof jobs)[number]

export interface Answer {
  readonly seconds: number
  /** Count and sum of what was read. */
  readonly sum: string
}

/** A client, connected. Jobs run one at a time. */
export interface Client {
  readonly run: (job: Job, topic: string, records: number) => Promise<Answer>
  readonly close: () => Promise<void>
}

/** Records of a transaction. */
export const transactionRecords = 5_000
