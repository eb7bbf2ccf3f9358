/**
 * JSON with exact integers: those that a number can't hold are read as `bigint` and written as they were. Snapshot ids of other writers are
 * random 63-bit integers, and a rounded one is another snapshot.
 */
interface ExactJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown
  stringify(value: unknown, replacer: (key: string, value: unknown) => unknown, space?: number): string
  rawJSON(text: string): unknown
}
// TypeScript's ES2023 library doesn't know the source text proposal, which Node 22, Bun and Deno implement.
const json = JSON as unknown as ExactJson

const integer = /^-?\d+$/

export const parse = (text: string): unknown =>
  json.parse(text, (_, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && integer.test(source)
      ? BigInt(source)
      : value
  )

export const print = (value: unknown): string =>
  json.stringify(value, (_, v) => (typeof v === "bigint" ? json.rawJSON(v.toString()) : v), 1)
