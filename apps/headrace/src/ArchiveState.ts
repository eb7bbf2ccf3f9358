/** The state of archives as a table. */
import type { Archived } from "./Looking.ts"
import * as Table from "./Table.ts"

export const table = (archives: ReadonlyArray<Archived>): string =>
  Table.render(
    [
      { name: "archive of" },
      ...["partition", "from", "until", "not archived yet"].map((name): Table.Column => ({ name, align: "right" }))
    ],
    archives.flatMap(({ partitions, topic }) =>
      partitions.map((p) => [topic, String(p.partition), String(p.begin), String(p.end), Table.number(p.behind)])
    )
  )
