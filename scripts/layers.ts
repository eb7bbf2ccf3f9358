/**
 * Dependencies point one way: core ← connectors ← archive ← kappa ← apps. Fails with the file that imports upwards, sideways between
 * connectors that aren't declared, or a package that its manifest doesn't name.
 */
import { globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

const root = join(import.meta.dirname, "..")
const levels: Readonly<Record<string, number>> = {
  "@headrace/core": 0,
  "@headrace/parquet": 0,
  "@headrace/s3": 1,
  "@headrace/embedded": 1,
  "@headrace/kafka": 1,
  "@headrace/iceberg": 2,
  "@headrace/archive": 3,
  "@headrace/kappa": 4,
  headrace: 5
}

const problems: Array<string> = []
for (const manifest of globSync(["packages/*/package.json", "apps/*/package.json"], { cwd: root })) {
  const folder = dirname(manifest)
  const {
    name,
    dependencies = {},
    peerDependencies = {}
  } = JSON.parse(readFileSync(join(root, manifest), "utf8")) as {
    readonly name: string
    readonly dependencies?: Readonly<Record<string, string>>
    readonly peerDependencies?: Readonly<Record<string, string>>
  }
  const level = levels[name]
  if (level === undefined) problems.push(`${manifest}: package "${name}" has no level in scripts/layers.ts`)
  const declared = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)])
  for (const file of globSync(`${folder}/src/**/*.ts`, { cwd: root })) {
    const text = readFileSync(join(root, file), "utf8")
    for (const match of text.matchAll(/^(?:import|export|\}) .*from "([^"]+)"$|^import "([^"]+)"$/gm)) {
      const specifier = (match[1] ?? match[2])!
      if (specifier.startsWith(".") || specifier.startsWith("node:")) continue
      const target = specifier
        .split("/")
        .slice(0, specifier.startsWith("@") ? 2 : 1)
        .join("/")
      if (target === name) continue
      if (!declared.has(target)) problems.push(`${file}: imports "${target}", which ${manifest} doesn't declare`)
      const below = levels[target]
      if (below !== undefined && level !== undefined && below >= level)
        problems.push(
          `${file}: imports "${target}": dependencies point one way, core ← connectors ← archive ← kappa ← apps`
        )
    }
  }
}
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exit(1)
