/**
 * What every driver of the log port must do. Run it with `suite("SQLite", SqliteLog.layer({ path }))` in a test file. Every test makes
 * topics of its own, so the log may hold others. Needs `@effect/vitest`.
 *
 * Offsets are those that `append` gave: nothing here wants them dense, and a batch may cover offsets that hold no record.
 */
import { layer } from "@effect/vitest"
import type * as Layer from "effect/Layer"
import type { EventLog } from "../EventLog.ts"
import { topics } from "./EventLogTopics.ts"
import { appends } from "./EventLogAppends.ts"
import { reads } from "./EventLogReads.ts"

/** What a driver can't do as others do. */
export interface Capabilities {
  /** Bytes of keys and values of the largest append that it takes. Default 4 MiB. */
  readonly appendBytes?: number
}

/** Registers the suite for a driver. */
export const suite = <E>(name: string, driver: Layer.Layer<EventLog, E>, capabilities: Capabilities = {}): void =>
  layer(driver, { timeout: "60 seconds", excludeTestServices: true })(`EventLog contract: ${name}`, (it) => {
    topics(it)
    appends(it, capabilities)
    reads(it)
  })
