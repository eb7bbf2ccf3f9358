/** A throw-away copy of the source tree, in which something may be broken. */
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import type { Edit } from "./Mutations.ts"

/** Folders of the root that packages are in; each package's own `node_modules` holds only links, which are copied as they are. */
const folders = ["packages", "apps", "examples"]
const left = new Set(["dist", ".turbo", ".headrace"])

/**
 * Copies packages, apps and examples. Links to other packages are relative, so in the copy they lead to the copied ones; everything else in
 * the root's `node_modules` is linked to the original.
 */
export const make = (root: string, to: string): void => {
  for (const folder of folders)
    cpSync(join(root, folder), join(to, folder), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !left.has(basename(path))
    })
  cpSync(join(root, "package.json"), join(to, "package.json"))
  const modules = join(root, "node_modules")
  mkdirSync(join(to, "node_modules"))
  for (const name of readdirSync(modules)) {
    const own = join(to, "node_modules", name)
    if (name === "@headrace") cpSync(join(modules, name), own, { recursive: true, verbatimSymlinks: true })
    else symlinkSync(join(modules, name), own)
  }
}

/** Makes an edit, whose text must stand in the file exactly once. */
export const edit = (tree: string, { file, find, replace }: Edit): void => {
  const path = join(tree, file)
  const pieces = readFileSync(path, "utf8").split(find)
  if (pieces.length !== 2)
    throw new Error(
      `${file} holds ${JSON.stringify(find)} ${pieces.length - 1} times instead of once: write this edit anew`
    )
  writeFileSync(path, pieces.join(replace))
}
