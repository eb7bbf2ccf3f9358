import { KafkaSink, KafkaSource } from "@headrace/kafka"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Effect, Stream } from "effect"

const [from = "orders", to = "orders-copy", brokers = "localhost:9092"] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const sent = yield* KafkaSource.stream({ topic: from, until: "now" }).pipe(
    Stream.filter((batch) => batch.count > 0),
    Stream.run(KafkaSink.sink({ topic: to, compression: "zstd" }))
  )
  yield* Effect.log(`"${from}" is copied; next offsets of "${to}":`, Object.fromEntries(sent))
})

await Effect.runPromise(program.pipe(Effect.provide(Platformatic.layer({ brokers: brokers.split(",") }))))
