/**
 * A reader of a store, as any program may be one: a process with the documented busy timeout, set first, that reads in a loop until the file
 * `stop` is there. Every read is one transaction, and what it sees must be a state that a commit left:
 *
 * - of every version and partition, the counts of its partials add up to the applied records of its position, and its late rows to the late;
 * - `<view>__v<N>` is there exactly when version N is ready, and adds up to its positions; `<view>` shows the version promoted last;
 * - no version goes back: its records never become fewer.
 *
 * Prints one line of JSON at its end.
 */
import { existsSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"

const [store, stop, kind] = process.argv.slice(2) as [string, string, "stays" | "reopens"]
/** The busy timeout of a reader, in milliseconds. */
const busyTimeout = 5_000
const pause = new Int32Array(new SharedArrayBuffer(4))

const open = (): DatabaseSync => {
  const db = new DatabaseSync(store, { readOnly: kind === "stays" })
  db.exec(`PRAGMA busy_timeout = ${busyTimeout}`)
  return db
}

interface VersionRow {
  readonly version: number
  readonly status: "building" | "ready"
}

const records = new Map<number, number>()
const seen = { building: 0, ready: 0 }
const promoted = new Map<number, number>()

/** What is wrong with the state that a transaction sees. */
const inspect = (db: DatabaseSync): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const number = (sql: string): number => Number(Object.values(db.prepare(sql).get() ?? {})[0] ?? 0)
  const equal = (what: string, found: number, expected: number) => {
    if (found !== expected) wrong.push(`${what}: ${found} instead of ${expected}`)
  }
  const shown = (name: string) => number(`SELECT count(*) FROM sqlite_schema WHERE type = 'view' AND name = '${name}'`)
  const versions = db
    .prepare("SELECT version, status FROM headrace_versions WHERE view = 'revenue'")
    .all() as unknown as ReadonlyArray<VersionRow>
  const appliedOf = (version: number) =>
    number(`SELECT sum(applied) FROM headrace_positions WHERE view = 'revenue' AND version = ${version}`)

  for (const { status, version } of versions) {
    const name = `revenue__v${version}`
    const halves = db
      .prepare(
        `SELECT p.partition, p.applied, p.late, p.read, coalesce(s.orders, 0) AS orders, coalesce(l.late_rows, 0) AS late_rows
         FROM headrace_positions p
         LEFT JOIN (SELECT partition, sum(orders) AS orders FROM ${name}__partials GROUP BY partition) s USING (partition)
         LEFT JOIN (SELECT partition, count(*) AS late_rows FROM ${name}__late GROUP BY partition) l USING (partition)
         WHERE p.view = 'revenue' AND p.version = ${version}`
      )
      .all() as unknown as ReadonlyArray<Readonly<Record<string, number>>>
    let read = 0
    for (const p of halves) {
      equal(`${name}, partition ${p["partition"]}, applied`, p["orders"]!, p["applied"]!)
      equal(`${name}, partition ${p["partition"]}, late`, p["late_rows"]!, p["late"]!)
      read += p["read"]!
    }
    if (read < (records.get(version) ?? 0))
      wrong.push(`${name} went back from ${records.get(version)} records to ${read}`)
    records.set(version, read)
    seen[status]++
    equal(`the view ${name} while it is ${status}`, shown(name), status === "ready" ? 1 : 0)
    if (status === "ready") equal(name, number(`SELECT sum(orders) FROM ${name}`), appliedOf(version))
  }

  const now = number("SELECT version FROM headrace_promotions WHERE view = 'revenue' ORDER BY sequence DESC LIMIT 1")
  equal("revenue", number("SELECT sum(orders) FROM revenue"), appliedOf(now))
  const columns = db.prepare("SELECT * FROM revenue LIMIT 0").columns()
  equal("columns of revenue for customers", columns.filter((c) => c.name === "customers").length, now === 2 ? 1 : 0)
  promoted.set(now, (promoted.get(now) ?? 0) + 1)
  return wrong
}

const failures: Array<string> = []
const halfStates: Array<string> = []
let reads = 0
let db = open()
while (!existsSync(stop)) {
  try {
    if (kind === "reopens" && reads % 5 === 4) {
      db.close()
      db = open()
    }
    db.exec("BEGIN")
    try {
      halfStates.push(...inspect(db))
    } finally {
      db.exec("COMMIT")
    }
  } catch (cause) {
    failures.push(cause instanceof Error ? cause.message : String(cause))
  }
  if (++reads === 1) console.error("reading")
  Atomics.wait(pause, 0, 0, 8)
}
db.close()
console.log(JSON.stringify({ reads, failures, halfStates, seen, promoted: Object.fromEntries(promoted) }))
