/** Values of columns as texts, for NDJSON, CSV and paths. */
import * as Decimal from "@headrace/core/Decimal"
import type { ColumnType } from "@headrace/core/TopicSchema"

/** Epoch milliseconds as ISO-8601 in UTC. */
export const instant = (millis: number): string => new Date(millis).toISOString()

/** Days since 1970 as `yyyy-MM-dd`. */
export const date = (days: number): string => new Date(days * 86_400_000).toISOString().slice(0, 10)

/** A value that isn't null, as JSON. A decimal is a number with all its places. */
export const json = (type: ColumnType): ((value: unknown) => string) => {
  switch (type.kind) {
    case "string":
      return (value) => JSON.stringify(value)
    case "instant":
      return (value) => `"${instant(value as number)}"`
    case "date":
      return (value) => `"${date(value as number)}"`
    case "decimal":
      return (value) => Decimal.format(value as number, type.scale)
    default:
      return String
  }
}

/** A value that isn't null, as a CSV field: quoted where it must be. The empty text is `""`, null is nothing. */
export const csv = (type: ColumnType): ((value: unknown) => string) => {
  switch (type.kind) {
    case "string":
      return (value) => quote(value as string)
    case "instant":
      return (value) => instant(value as number)
    case "date":
      return (value) => date(value as number)
    case "decimal":
      return (value) => Decimal.format(value as number, type.scale)
    default:
      return String
  }
}

/** A text as a CSV field. */
export const quote = (text: string): string =>
  text === "" || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
