/** Dead letters are appended to a topic of the embedded log. */
import { join } from "node:path"
import { it } from "@effect/vitest"
import { SqliteLog } from "@headrace/embedded"
import { Effect } from "effect"
import * as DeadLetters from "./DeadLetters.ts"
import * as H from "./Harness.ts"

it.live("dead letters are appended to a topic with where they came from and why", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const folder = yield* H.projectFolder({
      "headrace.config.ts": H.config(data, ["revenue1.ts", "strict.ts"]),
      "revenue1.ts": H.revenue(1),
      "strict.ts": DeadLetters.strict
    })
    yield* Effect.provide(DeadLetters.replays(folder, "orders"), SqliteLog.layer({ path: join(data, "log.db") }))
  }).pipe(Effect.scoped)
)
