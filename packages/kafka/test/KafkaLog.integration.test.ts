import * as EventLogContract from "@headrace/core/contract/EventLogContract"
import { KafkaLog } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Layer } from "effect"
import { withBroker } from "./broker.ts"

withBroker((brokers) => {
  EventLogContract.suite(
    "Kafka by @platformatic/kafka",
    Layer.provide(KafkaLog.layer(), Platformatic.layer({ brokers }))
  )
  EventLogContract.suite(
    "Kafka by kafkajs, zstd",
    Layer.provide(KafkaLog.layer({ compression: "zstd" }), KafkaJs.layer({ brokers }))
  )
})
