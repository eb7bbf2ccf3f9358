/** `headrace late`: the records that came after their window had closed. */
import { ViewStore } from "@headrace/core/ViewStore"
import { Effect, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import * as Counts from "../Counts.ts"
import * as Project from "../Project.ts"
import { finish, limitFlag, root, versionFlag, viewArgument } from "../Root.ts"
import * as Stored from "../Stored.ts"
import * as Table from "../Table.ts"
import * as Values from "../Values.ts"

export const late = Command.make(
  "late",
  {
    view: viewArgument,
    version: versionFlag.pipe(Flag.withDescription("A version; by default the promoted one")),
    limit: limitFlag("records", 20)
  },
  Effect.fnUntraced(function* ({ limit, version, view }) {
    const { project: folder } = yield* root
    const place = yield* Project.open(folder)
    yield* Effect.gen(function* () {
      const store = yield* ViewStore
      const info = yield* Stored.versionOf(view, Option.getOrUndefined(version))
      const found = yield* store.late(view, info.version).pipe(Stream.take(limit), Stream.runCollect)
      const records = found.map((r) => ({
        partition: r.partition,
        offset: r.offset,
        eventTime: Values.instant(r.eventTime),
        windowStart: Values.instant(r.windowStart),
        columns: r.columns
      }))
      const total = Counts.total(info.positions).late
      yield* finish({
        json: { command: "late", view, version: info.version, total, records },
        text: [
          `${view} version ${info.version}: ${Table.number(total)} late records${records.length < total ? `, the first ${records.length}` : ""}`,
          ...(records.length === 0
            ? []
            : [
                "",
                Table.render(
                  [
                    { name: "partition", align: "right" },
                    { name: "offset", align: "right" },
                    { name: "event time" },
                    { name: "its window began" },
                    { name: "columns" }
                  ],
                  records.map((r) => [String(r.partition), String(r.offset), r.eventTime, r.windowStart, r.columns])
                )
              ])
        ].join("\n")
      })
    }).pipe(Effect.provide(Stored.layer(place)))
  })
).pipe(Command.withDescription("List the records that came too late for their window"))
