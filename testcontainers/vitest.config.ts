/** The integration suites, one file after the other on one broker; `run.ts` starts it and chooses the files. */
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
    fileParallelism: false
  }
})
