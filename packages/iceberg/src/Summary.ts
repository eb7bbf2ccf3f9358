/** The summary of a snapshot: what it added, and the table's totals, under the standard keys. Pure. */
import type { DataFile } from "./Manifest.ts"
import type { ManifestFile } from "./ManifestList.ts"
import type { Snapshot } from "./Metadata.ts"

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0)

/** A total of the parent's summary; what it doesn't say is counted from its manifests, and unknown where they don't say it either. */
const before = (parent: Snapshot | undefined, key: string, counted: number | undefined): number | undefined => {
  if (parent === undefined) return 0
  const text = parent.summary[key]
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : counted
}

/** Keys that the format or this package sets; a caller's entries can't. */
export const isReserved = (key: string): boolean =>
  key === "operation" || key === "changed-partition-count" || /^(added|deleted|removed|total)-/.test(key)

/** The summary of an append. `parentManifests` are those of the parent snapshot. Totals of deletes are carried on, not reset. */
export const ofAppend = (
  files: ReadonlyArray<DataFile>,
  parent: Snapshot | undefined,
  parentManifests: ReadonlyArray<ManifestFile>,
  own: Readonly<Record<string, string>>
): Snapshot["summary"] => {
  const data = parentManifests.filter((manifest) => manifest.content === "data")
  const deletes = parentManifests.some((manifest) => manifest.content === "deletes")
  const records = sum(files.map((file) => file.recordCount))
  const size = sum(files.map((file) => file.fileSize))
  const noDeletes = deletes ? undefined : 0
  const totals: ReadonlyArray<readonly [key: string, counted: number | undefined, added: number]> = [
    ["total-data-files", sum(data.map((m) => m.addedFiles + m.existingFiles)), files.length],
    ["total-records", sum(data.map((m) => m.addedRows + m.existingRows)), records],
    ["total-files-size", undefined, size],
    ["total-delete-files", noDeletes, 0],
    ["total-position-deletes", noDeletes, 0],
    ["total-equality-deletes", noDeletes, 0]
  ]
  return {
    ...own,
    operation: "append",
    "added-data-files": `${files.length}`,
    "added-records": `${records}`,
    "added-files-size": `${size}`,
    "changed-partition-count": `${new Set(files.map((file) => JSON.stringify(file.partition, exact))).size}`,
    ...Object.fromEntries(
      totals.flatMap(([key, counted, added]) => {
        const was = before(parent, key, counted)
        return was === undefined ? [] : [[key, `${was + added}`]]
      })
    )
  }
}

const exact = (_: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value)
