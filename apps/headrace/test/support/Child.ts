/** How to start a TypeScript file as a process of its own on the runtime that runs this one: Node, Bun or Deno. */

/**
 * The program and its arguments. The runtime's own binary, never a wrapper script (a SIGKILL would end only that), and none of this
 * process's flags: under a test runner those are the runner's.
 */
export const commandOf = (file: string, ...args: ReadonlyArray<string>): readonly [string, ReadonlyArray<string>] => [
  process.execPath,
  [...(process.versions["deno"] === undefined ? [] : ["run", "-A"]), file, ...args]
]
