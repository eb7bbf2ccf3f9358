/** The state of archives, and what is wrong with one, as text. */
import type { Verify } from "@headrace/archive"
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

const findingText = ({ detail, file, kind, partition, snapshot, todo }: Verify.Finding): string => {
  const where = [
    ...(file === undefined ? [] : [file]),
    ...(snapshot === undefined ? [] : [`snapshot ${snapshot}`]),
    ...(partition === undefined ? [] : [`partition ${partition}`])
  ]
  return `  ${kind}${where.length === 0 ? "" : `, ${where.join(", ")}`}: ${detail}\n    ${todo}`
}

/** What was verified of a topic, and each finding with what to do. */
export const verified = ({ files, findings, records, repaired, snapshots, topic }: Verify.Report): string => {
  const read = `${Table.number(records)} records in ${Table.number(files)} files of ${Table.number(snapshots)} snapshots`
  const wrong = findings.length === 1 ? "1 thing is wrong" : `${findings.length} things are wrong`
  return [
    `${topic}: ${read}: ${findings.length === 0 ? "whole" : wrong}`,
    ...(repaired === undefined ? [] : [`  repaired: ${repaired}`]),
    ...findings.map(findingText)
  ].join("\n")
}
