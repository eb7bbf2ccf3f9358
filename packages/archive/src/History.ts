/**
 * The history of an archive's table: whether the ranges that its snapshots cover follow on each other and end where the vector does. Pure.
 *
 * Only the snapshots that the table still knows are looked at: those before may have been expired.
 */
import * as Metadata from "@headrace/iceberg/Metadata"
import * as Result from "effect/Result"
import * as Coverage from "./Coverage.ts"
import type { Range } from "./HandOver.ts"

/** What is wrong with the history. */
export interface Problem {
  readonly kind: "vector" | "rolled-back" | "foreign-commit" | "range"
  readonly snapshot?: string
  readonly partition?: number
  readonly detail: string
  readonly todo: string
}

export interface Checked {
  /** The snapshots from the current one back, as far as they are known. */
  readonly lineage: ReadonlyArray<Metadata.Snapshot>
  /** What the vector says; undefined where it can't be read. */
  readonly coverage: Coverage.Coverage | undefined
  /** What the snapshots cover, where that is known for sure and nothing is wrong but that the vector's snapshot isn't among them. */
  readonly setBack: ReadonlyMap<number, Range> | undefined
  readonly problems: ReadonlyArray<Problem>
}

const lineageOf = (metadata: Metadata.TableMetadata) => {
  const lineage: Array<Metadata.Snapshot> = []
  let at = Metadata.currentSnapshot(metadata)
  while (at !== undefined) {
    lineage.push(at)
    const parent = at["parent-snapshot-id"] ?? undefined
    if (parent === undefined) return { lineage, whole: true }
    at = Metadata.snapshot(metadata, parent)
  }
  return { lineage, whole: lineage.length === 0 }
}

/** Ranges by partition as the snapshots add them up, and where one doesn't follow on the one before. */
const addUp = (lineage: ReadonlyArray<Metadata.Snapshot>) => {
  const covered = new Map<number, { begin: number; end: number }>()
  const problems: Array<Problem> = []
  for (const snapshot of lineage.toReversed()) {
    const id = `${snapshot["snapshot-id"]}`
    const ranges = Coverage.rangesOf(snapshot)
    const operation = snapshot.summary["operation"] ?? "unknown"
    if (ranges === undefined && operation !== "replace")
      problems.push({
        kind: "foreign-commit",
        snapshot: id,
        detail: `it was committed by another writer (${operation}), and what it covers isn't known`,
        todo: `roll the table back to the snapshot before it (${snapshot["parent-snapshot-id"] ?? "none"}), and run this again with --repair`
      })
    for (const [partition, { begin, end }] of ranges ?? []) {
      const before = covered.get(partition)
      if (end < begin || (before !== undefined && before.end !== begin))
        problems.push({
          kind: "range",
          snapshot: id,
          partition,
          detail: `it covers [${begin}, ${end}), and the snapshots before it end at ${before?.end ?? begin}`,
          todo: `roll the table back to the snapshot before it (${snapshot["parent-snapshot-id"] ?? "none"}), and run this again with --repair`
        })
      covered.set(partition, { begin: before?.begin ?? begin, end })
    }
  }
  return { covered, problems }
}

/** Where the vector says something else than the snapshots. */
const differences = (
  vector: ReadonlyMap<number, Range>,
  covered: ReadonlyMap<number, Range>,
  whole: boolean
): ReadonlyArray<Problem> =>
  [...new Set([...vector.keys(), ...covered.keys()])].flatMap((partition) => {
    const [said, found] = [vector.get(partition), covered.get(partition)]
    // A partition that nothing was archived of is in the vector as an empty range.
    if (found === undefined && (!whole || said?.begin === said?.end)) return []
    if (
      said !== undefined &&
      said.end === found?.end &&
      (whole ? said.begin === found.begin : said.begin <= found.begin)
    )
      return []
    const shown = (range: Range | undefined) => (range === undefined ? "nothing" : `[${range.begin}, ${range.end})`)
    return [
      {
        kind: "range" as const,
        partition,
        detail: `the vector covers ${shown(said)} and the snapshots ${shown(found)}`,
        todo: `set the table's property "${Coverage.property}" to what it was in the current snapshot's metadata file, or archive to another location`
      }
    ]
  })

/** Looks at the metadata alone. */
export const check = (metadata: Metadata.TableMetadata): Checked => {
  const { lineage, whole } = lineageOf(metadata)
  const stored = Coverage.stored(metadata)
  if (Result.isFailure(stored)) {
    const todo = "set the property to what an earlier metadata file of the table has, or archive to another location"
    return {
      lineage,
      coverage: undefined,
      setBack: undefined,
      problems: [{ kind: "vector", detail: stored.failure, todo }]
    }
  }
  const { coverage, snapshot } = stored.success
  const { covered, problems } = addUp(lineage)
  if (Result.isSuccess(Coverage.read(metadata))) {
    const all = [...problems, ...differences(coverage.ranges, covered, whole)]
    return { lineage, coverage, setBack: undefined, problems: all }
  }
  if (problems.length > 0) return { lineage, coverage, setBack: undefined, problems }
  const held = new Map(
    [...coverage.ranges].map(([partition, { begin }]) => [partition, covered.get(partition) ?? { begin, end: begin }])
  )
  const within = [...covered].every(([partition, { begin, end }]) => {
    const said = coverage.ranges.get(partition)
    return said !== undefined && said.begin === begin && end <= said.end
  })
  const safe = whole && within
  const current = Metadata.currentId(metadata) ?? "none"
  return {
    lineage,
    coverage,
    setBack: safe ? held : undefined,
    problems: [
      {
        kind: "rolled-back",
        snapshot: `${snapshot ?? "none"}`,
        detail: `the vector belongs to snapshot ${snapshot ?? "none"}, and the table was rolled back to ${current}`,
        todo: safe
          ? "run this again with --repair: the vector is set back to what the snapshots cover, and the archiver takes what follows from the log again"
          : `set the table's current snapshot to ${snapshot ?? "none"} again: what the snapshots cover isn't known, since earlier ones were expired`
      }
    ]
  }
}
