/** Which objects under a prefix are data, and what their keys say. Pure. */

/** A glob over the part of the key after the prefix: `*` within a segment, `**` across segments, `?` one character. */
const toPattern = (glob: string): RegExp => {
  const source = glob.replaceAll(/\*\*\/|\*\*|\*|\?|[\\^$.|+()[\]{}]/g, (m) =>
    m === "**/" ? "(?:.*/)?" : m === "**" ? ".*" : m === "*" ? "[^/]*" : m === "?" ? "[^/]" : `\\${m}`
  )
  return new RegExp(`^${source}$`, "su")
}

/** The part of a key below the folder that the prefix ends in. */
const below = (prefix: string, key: string): string => key.slice(prefix.lastIndexOf("/") + 1)

/**
 * Whether an object is read: it isn't empty, no segment of its name begins with `.` or `_` (but a partition folder such as `_day=1`), and one
 * of the globs takes it.
 */
export const eligible = (
  prefix: string,
  include: ReadonlyArray<string> | undefined
): ((object: { readonly key: string; readonly size: number }) => boolean) => {
  const patterns = include?.map(toPattern)
  return ({ key, size }) => {
    if (size === 0) return false
    const rest = below(prefix, key)
    if (rest.split("/").some((s) => s.startsWith(".") || (s.startsWith("_") && !s.includes("=")))) return false
    return patterns === undefined || patterns.some((p) => p.test(rest))
  }
}

const unescape = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    // A percent sign that escapes nothing stands for itself.
    return text
  }
}

/** What Hive writes for null. */
const hiveNull = "__HIVE_DEFAULT_PARTITION__"

/** The `name=value` folders of a key; a null value is one that Hive wrote for null. */
export const partitionsOf = (key: string): Readonly<Record<string, string | null>> =>
  Object.fromEntries(
    key
      .split("/")
      .slice(0, -1)
      .flatMap((segment) => {
        const at = segment.indexOf("=")
        if (at <= 0) return []
        const value = segment.slice(at + 1)
        return [[unescape(segment.slice(0, at)), value === hiveNull ? null : unescape(value)] as const]
      })
  )

/** How objects are read. */
export type Format = "ndjson" | "csv" | "parquet"

const formats: Readonly<Record<string, Format>> = {
  ndjson: "ndjson",
  jsonl: "ndjson",
  json: "ndjson",
  csv: "csv",
  parquet: "parquet"
}

/** The format by a key's extension, before that of a compression. */
export const formatOf = (key: string): Format | undefined => {
  const extension = /\.([a-z]+)$/i.exec(key.replace(/\.(?:gz|gzip|zst|zstd)$/i, ""))?.[1]?.toLowerCase()
  return extension === undefined ? undefined : formats[extension]
}

/** A 52-bit number of an object's name and size. Not for adversaries: it tells sets of objects apart. */
export const printOf = ({ key, size }: { readonly key: string; readonly size: number }): number => {
  let [a, b] = [0xdeadbeef ^ size, 0x41c6ce57 ^ Math.floor(size / 2 ** 32)]
  for (let i = 0; i < key.length; i++) {
    const c = key.charCodeAt(i)
    a = Math.imul(a ^ c, 0x9e3779b1)
    b = Math.imul(b ^ c, 0x5f356495)
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35)
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35)
  return (b & 0xfffff) * 2 ** 32 + (a >>> 0)
}

/** The print of a set with one more object; the order doesn't matter. */
export const join = (set: number, print: number): number => (set + print) % 2 ** 52
