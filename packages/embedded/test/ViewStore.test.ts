import { join } from "node:path"
import * as ViewStoreContract from "@headrace/core/contract/ViewStoreContract"
import { SqliteViewStore } from "@headrace/embedded"
import { Effect, Layer } from "effect"
import { folder } from "./fixtures.ts"

ViewStoreContract.suite(
  "SQLite",
  Layer.unwrap(Effect.map(folder, (made) => SqliteViewStore.layer({ path: join(made, "new/below/views.db") })))
)
