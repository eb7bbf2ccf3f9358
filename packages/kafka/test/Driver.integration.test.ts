import * as DriverContract from "@headrace/kafka/contract/DriverContract"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { withBroker } from "./broker.ts"

withBroker((brokers) => {
  DriverContract.suite("@platformatic/kafka", Platformatic.layer, brokers)
  DriverContract.suite("kafkajs", KafkaJs.layer, brokers)
})
