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

/** The summary of a commit. `parentManifests` are those of the parent snapshot. Totals of deletes are carried on, not reset. */
export const make = (
  change: {
    readonly operation: "append" | "replace"
    readonly added: ReadonlyArray<DataFile>
    readonly removed: ReadonlyArray<DataFile>
  },
  parent: Snapshot | undefined,
  parentManifests: ReadonlyArray<ManifestFile>,
  own: Readonly<Record<string, string>>
): Snapshot["summary"] => {
  const data = parentManifests.filter((manifest) => manifest.content === "data")
  const deletes = parentManifests.some((manifest) => manifest.content === "deletes")
  const { added, operation, removed } = change
  const [records, gone] = [added, removed].map((files) => sum(files.map((file) => file.recordCount))) as [
    number,
    number
  ]
  const [size, goneSize] = [added, removed].map((files) => sum(files.map((file) => file.fileSize))) as [number, number]
  const noDeletes = deletes ? undefined : 0
  const totals: ReadonlyArray<readonly [key: string, counted: number | undefined, change: number]> = [
    ["total-data-files", sum(data.map((m) => m.addedFiles + m.existingFiles)), added.length - removed.length],
    ["total-records", sum(data.map((m) => m.addedRows + m.existingRows)), records - gone],
    ["total-files-size", undefined, size - goneSize],
    ["total-delete-files", noDeletes, 0],
    ["total-position-deletes", noDeletes, 0],
    ["total-equality-deletes", noDeletes, 0]
  ]
  return {
    ...own,
    operation,
    "added-data-files": `${added.length}`,
    "added-records": `${records}`,
    "added-files-size": `${size}`,
    ...(removed.length === 0
      ? {}
      : {
          "deleted-data-files": `${removed.length}`,
          "deleted-records": `${gone}`,
          "removed-files-size": `${goneSize}`
        }),
    "changed-partition-count": `${new Set([...added, ...removed].map((file) => JSON.stringify(file.partition, exact))).size}`,
    ...Object.fromEntries(
      totals.flatMap(([key, counted, difference]) => {
        const was = before(parent, key, counted)
        return was === undefined ? [] : [[key, `${was + difference}`]]
      })
    )
  }
}

const exact = (_: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value)
