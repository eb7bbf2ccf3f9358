/** Which manifests to merge, so that a scan's and a commit's work stays bounded. Pure. */
import type { ManifestFile } from "./ManifestList.ts"

/** Manifests that a snapshot may have before small ones are merged. */
export const defaultLimit = 50
/** A merged manifest is about this large at most, in bytes; one of half the size is left alone. */
export const targetBytes = 8 * 1024 * 1024

/**
 * Groups of manifests to merge, each of one spec and at least two manifests, in the list's order. None while there are no more than `limit`
 * data manifests. `canRead` says of which specs entries can be read.
 */
export const make = (
  manifests: ReadonlyArray<ManifestFile>,
  limit: number,
  canRead: (specId: number) => boolean
): ReadonlyArray<ReadonlyArray<ManifestFile>> => {
  const data = manifests.filter((manifest) => manifest.content === "data")
  if (data.length <= limit) return []
  const open = new Map<number, { readonly group: Array<ManifestFile>; size: number }>()
  const groups: Array<ReadonlyArray<ManifestFile>> = []
  for (const manifest of data) {
    if (manifest.length * 2 > targetBytes || !canRead(manifest.specId)) continue
    const bin = open.get(manifest.specId)
    if (bin !== undefined && bin.size + manifest.length <= targetBytes) {
      bin.group.push(manifest)
      bin.size += manifest.length
    } else {
      const group = [manifest]
      groups.push(group)
      open.set(manifest.specId, { group, size: manifest.length })
    }
  }
  return groups.filter((group) => group.length > 1)
}
