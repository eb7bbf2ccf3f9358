/** The hash of a view's source: of the bytes of its module and of the project's own modules that it imports. */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { dirname, relative, resolve } from "node:path"

const imports = /(?:\bfrom|\bimport)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g

/** The module and all that it imports by a relative path, transitively. */
export const modulesOf = (file: string): ReadonlyArray<string> => {
  const found = new Set<string>()
  const visit = (path: string) => {
    if (found.has(path)) return
    found.add(path)
    for (const match of readFileSync(path, "utf8").matchAll(imports)) visit(resolve(dirname(path), match[1]!))
  }
  visit(file)
  return [...found]
}

/** SHA-256 over names (relative to the module) and bytes, in order of the names: the same wherever the project lies. */
export const hashOf = (file: string): string => {
  const hash = createHash("sha256")
  const named = modulesOf(file).map((path) => [relative(dirname(file), path), path] as const)
  for (const [name, path] of named.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    const bytes = readFileSync(path)
    hash.update(`${name}\0${bytes.length}\0`).update(bytes)
  }
  return hash.digest("hex")
}
