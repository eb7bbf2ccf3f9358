/** A project's config: plain data that says where its log, archive and store are, and which modules hold its views. */
import { Schema } from "effect"

export const Config = Schema.Struct({
  /** The log. */
  log: Schema.Struct({ path: Schema.NonEmptyString }),
  /** Where topics are archived: a folder. Without it only the log's own retention can be replayed. */
  archive: Schema.optionalKey(Schema.Struct({ path: Schema.NonEmptyString })),
  /** The view store, and how long its statements wait for a lock, in milliseconds (default 5,000). */
  store: Schema.Struct({ path: Schema.NonEmptyString, busyTimeout: Schema.optionalKey(Schema.Int) }),
  /** View modules. Every exported view of them belongs to the project. */
  views: Schema.Array(Schema.NonEmptyString),
  /** Worker threads of a replay. Default: one a core, at most one a partition. */
  workers: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 256 })))
})
export type Config = typeof Config.Type

/** Types a project's config: `export default defineConfig({ … })` in `headrace.config.ts`. Paths are relative to the project's folder. */
export const defineConfig = (config: Config): Config => config
