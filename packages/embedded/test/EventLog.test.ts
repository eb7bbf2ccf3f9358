import { join } from "node:path"
import * as EventLogContract from "@headrace/core/contract/EventLogContract"
import { SqliteLog } from "@headrace/embedded"
import { Effect, Layer } from "effect"
import { folder } from "./fixtures.ts"

EventLogContract.suite(
  "SQLite",
  Layer.unwrap(Effect.map(folder, (made) => SqliteLog.layer({ path: join(made, "new/below/log.db") })))
)
