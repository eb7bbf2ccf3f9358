/** `node testcontainers/images/kafka/build.ts`: builds `headrace/kafka:local`, for machines without an image registry. */
import { Effect } from "effect"
import * as KafkaImageBuild from "../../src/KafkaImageBuild.ts"

const started = performance.now()
const failure = await Effect.runPromise(
  KafkaImageBuild.build.pipe(
    Effect.as(undefined),
    Effect.catch((error) => Effect.succeed(error.message))
  )
)
if (failure === undefined) {
  console.log(`built ${KafkaImageBuild.tag} in ${((performance.now() - started) / 1000).toFixed(1)} s`)
} else {
  console.error(failure)
  process.exitCode = 1
}
