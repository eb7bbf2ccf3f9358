import { KafkaSink, KafkaSource } from "@headrace/kafka"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Effect, Stream } from "effect"

const [from = "orders", to = "orders-copy", brokers = "localhost:9092"] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const sink = yield* KafkaSink.transactional({ topic: to, transactionalId: `copy-${crypto.randomUUID()}` })
  yield* KafkaSource.group({ group: "copy", topics: [from] }).pipe(
    Stream.runForEach(({ batch, commitWith }) =>
      commitWith(sink, ({ write }) => write(batch)).pipe(
        // Another member has the partition now, and gets the batch again.
        Effect.catchReason("KafkaError", "MemberLost", ({ message }) => Effect.logWarning(message))
      )
    )
  )
}).pipe(Effect.scoped)

await Effect.runPromise(program.pipe(Effect.provide(Platformatic.layer({ brokers: brokers.split(",") }))))
