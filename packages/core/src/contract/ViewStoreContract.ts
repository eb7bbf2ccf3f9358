/**
 * What every driver of the view store port must do. Run it with `suite("SQLite", SqliteViewStore.layer({ path }))` in a test file. Every
 * test makes views of its own, so the store may hold others. Needs `@effect/vitest`.
 */
import { layer } from "@effect/vitest"
import type * as Layer from "effect/Layer"
import type { ViewStore } from "../ViewStore.ts"
import { previews } from "./ViewStorePreviews.ts"
import { versions } from "./ViewStoreVersions.ts"
import { commits } from "./ViewStoreCommits.ts"
import { state } from "./ViewStoreState.ts"

/** What a driver can't do as others do. */
export interface Capabilities {
  /** The largest sum that it holds. Default 2⁶³ − 1. */
  readonly largestSum?: bigint
}

/** Registers the suite for a driver. */
export const suite = <E>(name: string, driver: Layer.Layer<ViewStore, E>, capabilities: Capabilities = {}): void =>
  layer(driver, { timeout: "60 seconds", excludeTestServices: true })(`ViewStore contract: ${name}`, (it) => {
    versions(it)
    commits(it)
    previews(it)
    state(it, capabilities)
  })
