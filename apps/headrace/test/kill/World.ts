/** What all rounds share: a log of orders and an archive of most of it; and what a round has of its own: a store, and two projects on it. */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Archiver } from "@headrace/archive"
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { Fold } from "@headrace/kappa"
import { Effect, Layer } from "effect"
import { Project } from "headrace"
import * as Orders from "../../../../examples/orders/src/Orders.ts"
import * as Command from "./Command.ts"
import { first } from "./views.ts"

export const orders = 240_000
/** A commit at least each: a fold commits at a partition's end. */
const partitions = 12

/** A store and two projects on it: `one` exports version 1 alone, `both` versions 1 and 2. */
export interface Place {
  readonly folder: string
  readonly store: string
  readonly one: string
  readonly both: string
}

const project = (root: string, folder: string, store: string, views: ReadonlyArray<string>): string => {
  const config = {
    log: { path: join(root, "log.db") },
    archive: { path: join(root, "archive") },
    store: { path: store }
  }
  const write = (name: string, text: string) => writeFileSync(join(folder, name), `${text}\n`)
  mkdirSync(folder, { recursive: true })
  write("package.json", `{ "type": "module" }`)
  write("headrace.config.ts", `export default ${JSON.stringify({ ...config, views: views.map((v) => `${v}.ts`) })}`)
  // A module each: a version is known by the bytes of its module, which must be the same in both projects.
  for (const v of views)
    write(`${v}.ts`, `export { ${v} } from ${JSON.stringify(join(import.meta.dirname, "views.ts"))}`)
  return folder
}

const placeOf = (root: string, name: string): Place => {
  const folder = join(root, name)
  const store = join(folder, "views.db")
  return {
    folder,
    store,
    one: project(root, join(folder, "one"), store, ["first"]),
    both: project(root, join(folder, "both"), store, ["first", "second"])
  }
}

/** A place of its own whose store is a copy of the first one: version 1 is known and stands at the beginning. */
export const place = (root: string, name: string): Place => {
  const made = placeOf(root, name)
  const base = join(root, "base", "views.db")
  if (existsSync(`${base}-wal`)) throw new Error(`${base} wasn't closed`)
  copyFileSync(base, made.store)
  return made
}

/** Appends the orders, order `i` to partition `i % partitions`, and archives three quarters of each partition. */
const fill = Effect.gen(function* () {
  const log = yield* EventLog
  const cursor = new Orders.Cursor({ rows: orders })
  const builders = Array.from({ length: partitions }, () => new BatchBuilder(4_096))
  for (let more = true; more;) {
    more = false
    for (let n = 0; n < 48_000 && cursor.next(); n++) {
      more = true
      const { order } = cursor
      builders[order.index % partitions]!.add(Orders.orderId(order.index), Orders.json(order), order.ts)
    }
    for (const [partition, builder] of builders.entries())
      if (builder.count > 0) yield* log.append("orders", partition, builder.take())
  }
  const topic = yield* log.describe("orders")
  const until = new Map(topic.partitions.map((p) => [p.partition, Math.floor(p.end * 0.75)]))
  yield* Archiver.run({ topic: "orders", codec: Fold.codecOf(first), until })
})

/** Makes the log, the first store, then the orders and their archive. */
export const make = async (root: string): Promise<void> => {
  const base = placeOf(root, "base")
  const loaded = await Effect.runPromise(Project.load(base.one))
  const layer = Layer.merge(Project.layer(loaded), Project.archiveLayer(loaded)!)
  const topic = Effect.flatMap(EventLog, (log) => log.createTopic("orders", { partitions }))
  await Effect.runPromise(topic.pipe(Effect.provide(layer)))
  await Command.succeed(["run", "revenue", "--project", base.one])
  await Effect.runPromise(fill.pipe(Effect.provide(layer)))
}
