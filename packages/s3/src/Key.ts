/** The rules of keys, the same for every driver, and their order. */
import * as Effect from "effect/Effect"
import { InvalidKey, InvalidRange, ObjectStoreError } from "./ObjectStoreError.ts"

/** Names of a driver's unfinished files begin with this; no key has a segment that does, so that `list` can leave them out. */
export const temporaryPrefix = ".headrace-tmp-"

const encoder = new TextEncoder()

const problemOf = (segments: ReadonlyArray<string>, key: string): string | undefined => {
  if (encoder.encode(key).length > 1024) return "it is longer than 1,024 bytes"
  if (/\p{Surrogate}/u.test(key)) return "it holds half of a surrogate pair"
  if (key.includes("\0") || key.includes("\\")) return "it holds a NUL or a backslash"
  for (const segment of segments) {
    if (segment === "") return "it has an empty segment, or begins or ends with a slash"
    if (segment === "." || segment === "..") return `it has a "${segment}" segment`
    if (segment.startsWith(temporaryPrefix)) return `"${temporaryPrefix}" is reserved for unfinished files`
  }
  return undefined
}

const fail = (key: string, problem: string) =>
  Effect.fail(new ObjectStoreError({ reason: new InvalidKey({ key, problem }) }))

/**
 * Refuses what isn't a key: one or more segments joined by single slashes, at most 1,024 bytes of UTF-8, with no empty, `.` or `..`
 * segment, no leading or trailing slash, no NUL and no backslash.
 */
export const checkKey = (key: string): Effect.Effect<void, ObjectStoreError> => {
  const problem = problemOf(key.split("/"), key)
  return problem === undefined ? Effect.void : fail(key, problem)
}

/** Refuses what can't begin a key. The empty prefix stands for every key; a prefix may end within a segment or with a slash. */
export const checkPrefix = (prefix: string): Effect.Effect<void, ObjectStoreError> => {
  const problem = problemOf(prefix.split("/").slice(0, -1), prefix)
  return problem === undefined ? Effect.void : fail(prefix, problem)
}

/** Refuses what isn't a byte range: whole numbers with `0 ≤ start ≤ end`. */
export const checkRange = (key: string, start: number, end: number): Effect.Effect<void, ObjectStoreError> =>
  Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end
    ? Effect.void
    : Effect.fail(new ObjectStoreError({ reason: new InvalidRange({ key, start: `${start}`, end: `${end}` }) }))

/** Key order: by the bytes of UTF-8, which is by code point (JavaScript's `<` compares UTF-16 units and differs beyond U+FFFF). */
export const compareKeys = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    const surrogateX = x >= 0xd800 && x <= 0xdfff
    const surrogateY = y >= 0xd800 && y <= 0xdfff
    return surrogateX === surrogateY ? x - y : surrogateX ? 1 : -1
  }
  return a.length - b.length
}
