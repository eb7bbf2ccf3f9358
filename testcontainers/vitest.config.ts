/** The integration suites, two files at a time: most of their time is waiting. `run.ts` starts the servers that they share, and chooses the files. */
import { join } from "node:path"
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    root: join(import.meta.dirname, ".."),
    include: [
      "{packages,apps,examples}/*/test/**/*.integration.test.ts",
      "testcontainers/test/**/*.integration.test.ts"
    ],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    maxWorkers: 2
  }
})
