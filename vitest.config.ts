import { defineConfig } from "vitest/config"

const report = process.env["HEADRACE_REPORT"]

export default defineConfig({
  test: {
    include: ["{packages,apps,examples}/*/test/**/*.test.ts"],
    exclude: ["**/*.integration.test.ts", "**/node_modules/**"],
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2
  }
})
