/**
 * A Python with the neutral readers of `requirements.txt`, in a virtual environment below `node_modules/.cache`; made when it isn't there.
 * `HEADRACE_PYTHON` names another one. As a command it prints the path.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const requirements = join(import.meta.dirname, "requirements.txt")

/** The interpreter's path. Throws when there is no Python 3 with `venv`, or a package can't be installed. */
export const python = (): string => {
  const given = process.env["HEADRACE_PYTHON"]
  if (given !== undefined && given !== "") return given
  const version = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 12)
  const home = join(import.meta.dirname, "../node_modules/.cache", `python-${version}`)
  const path = join(home, "bin/python")
  if (existsSync(join(home, "complete"))) return path
  rmSync(home, { recursive: true, force: true })
  const run = (command: string, ...args: ReadonlyArray<string>) =>
    execFileSync(command, args, { stdio: ["ignore", process.stderr, process.stderr] })
  run("python3", "-m", "venv", home)
  run(path, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements)
  writeFileSync(join(home, "complete"), "")
  return path
}

if (import.meta.main) console.log(python())
