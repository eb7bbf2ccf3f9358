import { defineConfig } from "headrace"

export default defineConfig({
  log: { path: ".headrace/log.db" },
  archive: { path: process.env["FLIGHTS_ARCHIVE"] ?? ".headrace/archive" },
  store: { path: ".headrace/views.db" },
  views: ["views/departures.ts", "views/departures-v2.ts"],
  workers: 2
})
