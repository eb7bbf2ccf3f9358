/** Which snapshots of a table may go, and the metadata without them. Pure. */
import * as Metadata from "./Metadata.ts"

/** What to keep. */
export interface Policy {
  /** Snapshots that were committed before this go, epoch milliseconds. */
  readonly olderThan: number
  /** The newest snapshots of every branch that stay however old they are. At least 1. */
  readonly retainLast: number
}

const refsOf = (metadata: Metadata.TableMetadata) => Object.values(metadata.refs ?? {})

/** What a branch itself says of how many of its snapshots stay. */
const minimumOf = (ref: Readonly<Record<string, unknown>>): number => {
  const own = ref["min-snapshots-to-keep"]
  return typeof own === "number" && Number.isSafeInteger(own) ? own : 1
}

/**
 * The ids of the snapshots that go, in the metadata's order. These stay:
 *
 * - what a branch or tag names, and the current snapshot;
 * - of every branch the newest `retainLast` ones (or `min-snapshots-to-keep` of the branch, if that is more), and those that aren't old;
 * - the snapshots from the current one back to the last that changed rows: who keeps a position in the table's properties (the archive) must be
 *   able to see that only `replace` came after it.
 */
export const plan = (metadata: Metadata.TableMetadata, policy: Policy): ReadonlyArray<Metadata.SnapshotId> => {
  const keep = new Set<Metadata.SnapshotId>()
  const current = Metadata.currentId(metadata)
  const byId = new Map((metadata.snapshots ?? []).map((snapshot) => [snapshot["snapshot-id"], snapshot]))
  const walk = (
    from: Metadata.SnapshotId | undefined,
    goesOn: (snapshot: Metadata.Snapshot, depth: number) => boolean
  ) => {
    let at = from
    for (let depth = 0; at !== undefined; depth++) {
      const snapshot = byId.get(at)
      if (snapshot === undefined || !goesOn(snapshot, depth)) return
      keep.add(at)
      at = snapshot["parent-snapshot-id"] ?? undefined
    }
  }
  const isYoung = (snapshot: Metadata.Snapshot) => snapshot["timestamp-ms"] >= policy.olderThan
  const branch = (head: Metadata.SnapshotId | undefined, least: number) =>
    walk(head, (snapshot, depth) => depth < Math.max(1, policy.retainLast, least) || isYoung(snapshot))
  branch(current, 1)
  for (const ref of refsOf(metadata)) {
    keep.add(ref["snapshot-id"])
    if (ref.type === "branch") branch(ref["snapshot-id"], minimumOf(ref))
  }
  let changed = false
  walk(current, (snapshot) => {
    if (changed) return false
    changed = snapshot.summary["operation"] !== "replace"
    return true
  })
  return [...byId.values()]
    .filter((snapshot) => !keep.has(snapshot["snapshot-id"]) && !isYoung(snapshot))
    .map((snapshot) => snapshot["snapshot-id"])
}

const withoutStatistics = (list: unknown, gone: ReadonlySet<unknown>): unknown =>
  Array.isArray(list)
    ? list.filter((entry: unknown) => {
        const owner = typeof entry === "object" && entry !== null && "snapshot-id" in entry ? entry["snapshot-id"] : 0
        return !gone.has(owner)
      })
    : list

/**
 * The metadata without some snapshots, at a time in epoch milliseconds. The snapshot log loses all before the last of them, as it must have no
 * holes. `previousFile` is the full path of the file that it follows.
 */
export const without = (
  metadata: Metadata.TableMetadata,
  ids: ReadonlyArray<Metadata.SnapshotId>,
  at: number,
  previousFile: string
): Metadata.TableMetadata => {
  const gone = new Set<unknown>(ids)
  const log = metadata["snapshot-log"] ?? []
  const last = log.findLastIndex((entry) => gone.has(entry["snapshot-id"]))
  const statistics = ["statistics", "partition-statistics"].flatMap((name) => {
    const list: unknown = (metadata as Readonly<Record<string, unknown>>)[name]
    return list === undefined ? [] : [[name, withoutStatistics(list, gone)] as const]
  })
  return Metadata.changed(
    {
      ...metadata,
      ...Object.fromEntries(statistics),
      snapshots: (metadata.snapshots ?? []).filter((snapshot) => !gone.has(snapshot["snapshot-id"])),
      "snapshot-log": log.slice(last + 1)
    },
    metadata,
    at,
    previousFile
  )
}
