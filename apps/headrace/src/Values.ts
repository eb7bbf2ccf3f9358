/** The values of a view's rows for people and for JSON. */
import type { Shown } from "@headrace/kappa/Shown"

export * from "@headrace/kappa/Shown"

/** A value in a table. */
export const text = (value: Shown): string => (value === null ? "null" : String(value))

/** Bytes as text when they are text, else in base64. */
export const bytes = (value: Uint8Array | null): { readonly text: string } | { readonly base64: string } | null => {
  if (value === null) return null
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value) }
  } catch {
    return { base64: Buffer.from(value).toString("base64") }
  }
}
