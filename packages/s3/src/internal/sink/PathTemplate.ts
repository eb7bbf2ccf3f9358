/**
 * The folder of a row: `date={ts:yyyy-MM-dd}/hour={ts:HH}`, `region={region}`, or any other text with columns in braces.
 *
 * Values are escaped as Hive does; null and the empty text are `__HIVE_DEFAULT_PARTITION__`. Times are UTC. A folder is a function of the
 * row's values alone.
 */
import type { Column } from "@headrace/core/Batch"
import * as Decimal from "@headrace/core/Decimal"
import type { ColumnSpec, ColumnType } from "@headrace/core/TopicSchema"
import * as Text from "./text.ts"

/** A parsed template. */
export interface PathTemplate {
  /** The folder of row `i`, or `undefined` when no store could hold its name. The columns are the schema's, in its order. */
  readonly folderOf: (columns: ReadonlyArray<Column | undefined>, i: number) => string | undefined
}

/** What Hive, Spark and DuckDB write for null. */
const nullFolder = "__HIVE_DEFAULT_PARTITION__"

// oxlint-disable-next-line no-control-regex
const special = /[\u0000-\u001f"#%'*/:=?\\{}[\]^\u007f]/g

/** A text as Hive writes it into a path. */
const escape = (text: string): string =>
  text.replaceAll(special, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`)

const day = 86_400_000
const units: ReadonlyArray<readonly [string, number]> = [
  ["ss", 1000],
  ["mm", 60_000],
  ["HH", 3_600_000],
  ["dd", day],
  ["MM", day],
  ["yyyy", day]
]
const tokens = /yyyy|MM|dd|HH|mm|ss/g

const formatTime = (pattern: string, millis: number): string => {
  const iso = new Date(millis).toISOString()
  const parts: Readonly<Record<string, string>> = {
    yyyy: iso.slice(0, 4),
    MM: iso.slice(5, 7),
    dd: iso.slice(8, 10),
    HH: iso.slice(11, 13),
    mm: iso.slice(14, 16),
    ss: iso.slice(17, 19)
  }
  return pattern.replaceAll(tokens, (token) => parts[token]!)
}

/** One place of a template: what makes values the same, and their text. */
interface Place {
  readonly column: number
  readonly bucket: (value: unknown) => unknown
  readonly text: (bucket: unknown) => string
}

const identity = (value: unknown) => value

const placeOf = (type: ColumnType, column: number, pattern: string | undefined): Place => {
  if (pattern !== undefined) {
    const unit = units.find(([token]) => pattern.includes(token))![1]
    const scale = type.kind === "date" ? day : 1
    return {
      column,
      bucket: (value) => Math.floor(((value as number) * scale) / unit) * unit,
      text: (bucket) => formatTime(pattern, bucket as number)
    }
  }
  switch (type.kind) {
    case "decimal":
      return { column, bucket: identity, text: (value) => Decimal.format(value as number, type.scale) }
    case "instant":
      return { column, bucket: identity, text: (value) => Text.instant(value as number) }
    case "date":
      return { column, bucket: identity, text: (value) => Text.date(value as number) }
    default:
      return { column, bucket: identity, text: String }
  }
}

const remembered = 10_000
const longestSegment = 255
const encoder = new TextEncoder()
const bytesOf = (text: string) => encoder.encode(text).length

/** Reads a template by the columns that it may name, or says what is wrong with it. `longest`: bytes of a folder at most. */
export const parse = (template: string, columns: ReadonlyArray<ColumnSpec>, longest: number): PathTemplate | string => {
  const places: Array<Place> = []
  /** Whether the place begins a segment, where a dot or an underscore would hide the folder. */
  const leading: Array<boolean> = []
  const literals: Array<string> = []
  let at = 0
  for (const match of template.matchAll(/\{([^{}:]+)(?::([^{}]*))?\}/g)) {
    const [whole, name, pattern] = match
    const column = columns.findIndex((c) => c.name === name)
    if (column < 0) return `"${template}" names the column "${name}", which the schema doesn't have`
    const { type } = columns[column]!
    if (pattern !== undefined && type.kind !== "instant" && type.kind !== "date")
      return `"${whole}" has a time pattern, and "${name}" is no time`
    if (
      pattern !== undefined &&
      (!/yyyy|MM|dd|HH|mm|ss/.test(pattern) || /[A-Za-z]/.test(pattern.replaceAll(tokens, "")))
    )
      return `"${pattern}" is no time pattern; use yyyy, MM, dd, HH, mm and ss`
    literals.push(template.slice(at, match.index))
    leading.push(match.index === 0 || template[match.index - 1] === "/")
    places.push(placeOf(type, column, pattern))
    at = match.index + whole.length
  }
  literals.push(template.slice(at))
  const literal = literals.join("x")
  if (/[{}\\\0]/.test(literal)) return `"${template}" has a brace that doesn't belong to a column, a NUL or a backslash`
  if (template !== "" && literal.split("/").some((s) => s === "" || s.startsWith(".") || s.startsWith("_")))
    return `"${template}" has a folder without a name, or one that begins with a dot or an underscore`

  const texts = places.map(() => new Map<unknown, string>())
  const textOf = (p: number, value: unknown): string => {
    const place = places[p]!
    if (value === null || value === undefined || value === "") return nullFolder
    const bucket = place.bucket(value)
    const known = texts[p]!.get(bucket)
    if (known !== undefined) return known
    let text = escape(place.text(bucket))
    if (leading[p] === true && /^[._]/.test(text))
      text = `%${text.charCodeAt(0).toString(16).toUpperCase()}${text.slice(1)}`
    if (texts[p]!.size >= remembered) texts[p]!.clear()
    texts[p]!.set(bucket, text)
    return text
  }

  const last: Array<string> = places.map(() => "")
  let lastFolder: string | undefined
  return {
    folderOf: (values, i) => {
      let same = lastFolder !== undefined
      for (let p = 0; p < places.length; p++) {
        const text = textOf(p, values[places[p]!.column]?.[i])
        if (text === last[p]) continue
        last[p] = text
        same = false
      }
      if (same) return lastFolder
      const folder = literals.reduce((path, next, p) => path + last[p - 1]! + next)
      lastFolder =
        bytesOf(folder) <= longest && folder.split("/").every((segment) => bytesOf(segment) <= longestSegment)
          ? folder
          : undefined
      return lastFolder
    }
  }
}
