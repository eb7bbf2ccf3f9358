/** What the processes of the output tests and the tests themselves share: a job, and the engine that does it. */
import { join } from "node:path"
import { OneLog } from "@headrace/archive"
import { CommitPoint, SqliteViewStore } from "@headrace/embedded"
import { KafkaChanges, KafkaDriver, KafkaLog } from "@headrace/kafka"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Log } from "@headrace/kappa"
import { Effect, Fiber, Layer } from "effect"
import { Order, sales } from "../../kappa/test/fixtures.ts"
import { type Fault, points as outside } from "../../kappa/test/streams.ts"

/** Where a process may die: around Kafka's transaction and the store's, and inside of both. */
export const points = [...outside, "all-sent", "committing"] as const
export type Point = (typeof points)[number]

export interface Job {
  readonly brokers: ReadonlyArray<string>
  /** Of the store. */
  readonly folder: string
  /** The topic that the view reads. */
  readonly source: string
  /** The topic of its changes, and of their progress. */
  readonly topic: string
  readonly progressTopic: string
  /** Die where, at the so-many-th time, and how. */
  readonly point?: Point
  readonly at?: number
  readonly signal?: "SIGKILL" | "SIGSTOP"
  readonly stepRecords: number
  /** Fold what there is without the output first. */
  readonly begun?: boolean
}

export const viewOf = ({ source }: Pick<Job, "source">) =>
  sales(1, { from: Log.topic(source, { value: Order }).pipe(Log.eventTime("ts", { outOfOrderness: "1 minute" })) })

/** The driver of a process that may die inside Kafka's transaction: with all sent, or with the commit on its way. */
const faultyDriver = (job: Job, fault: Fault<Point>) =>
  Layer.effect(
    KafkaDriver,
    Effect.map(KafkaDriver, (driver) =>
      KafkaDriver.of({
        ...driver,
        transactional: (options) =>
          Effect.map(driver.transactional(options), (producer) => ({
            ...producer,
            send: (items) =>
              Effect.tap(producer.send(items), () =>
                Effect.sync(() => {
                  if (items.some(({ topic }) => topic === job.progressTopic)) fault.meet("all-sent")
                })
              ),
            commit: Effect.gen(function* () {
              const committing = yield* Effect.forkChild(producer.commit)
              yield* Effect.sleep(1)
              fault.meet("committing")
              return yield* Fiber.join(committing)
            })
          }))
      })
    )
  )

/** Log and changes on Kafka, the view store in the job's folder. */
export const engineOf = (job: Job, fault: Fault<Point>) => {
  const within = (point: CommitPoint.Point) => {
    if (point === "before-commit") fault.meet("within-commit")
  }
  return Layer.mergeAll(
    OneLog.layer.pipe(Layer.provide(KafkaLog.layer())),
    SqliteViewStore.layer({ path: join(job.folder, "views.db") }).pipe(
      Layer.provide(Layer.succeed(CommitPoint.CommitPoint, within))
    ),
    KafkaChanges.layer({ progressTopic: job.progressTopic }).pipe(Layer.provide(faultyDriver(job, fault)))
  ).pipe(Layer.provideMerge(Platformatic.layer({ brokers: job.brokers })))
}
