/** What the tests run in processes of their own: `child.ts COMMAND ARGS…`. Each prints lines; `ready` when it has begun. */
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { createInterface } from "node:readline"
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { ViewStore } from "@headrace/core/ViewStore"
import { SqliteLog, SqliteViewStore } from "@headrace/embedded"
import { Effect } from "effect"
import { spec } from "@headrace/core/contract/Partials"

const [command, path = "", ...args] = process.argv.slice(2)
const say = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
/** Until the parent says something. */
const told = Effect.promise(() => input.next())

const batchOf = (tag: string, n: number, records: number, padding: number) => {
  const builder = new BatchBuilder()
  for (let i = 0; i < records; i++) builder.add(tag, `${tag} ${n} ${i}${" ".repeat(padding)}`, n)
  return builder.take()
}

const withLog = Effect.provide(SqliteLog.layer({ path }))
const withStore = Effect.provide(SqliteViewStore.layer({ path }))

const commands: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
  /** Appends COUNT batches of RECORDS records to TOPIC (-1: forever), and says each number when it is acknowledged. */
  append: Effect.gen(function* () {
    const [topic = "", tag = "", count, records, padding] = args
    const log = yield* EventLog
    yield* say("ready")
    yield* told
    for (let n = 0; n !== Number(count); n++) {
      yield* log.append(topic, 0, batchOf(tag, n, Number(records), Number(padding)))
      yield* say(`${n}`)
    }
    yield* say("done")
  }).pipe(withLog),
  /** Appends until it fails; says what failed, and the number of the batches that were acknowledged. */
  fill: Effect.gen(function* () {
    const log = yield* EventLog
    yield* say("ready")
    let n = 0
    const failed = yield* Effect.flip(
      Effect.whileLoop({
        while: () => n < 1_000_000,
        body: () => log.append("t", 0, batchOf("fill", n, 10, 2_000)),
        step: () => void n++
      })
    )
    yield* say(`failed ${JSON.stringify([failed.reason, failed.message, n])}`)
  }).pipe(withLog),
  /** Holds a version until it is killed. */
  lock: Effect.gen(function* () {
    const [view = "", version] = args
    const store = yield* ViewStore
    const lease = yield* store.acquire(view, Number(version), `process ${process.pid}`)
    yield* say(`ready ${lease.epoch}`)
    return yield* Effect.never
  }).pipe(Effect.scoped, withStore),
  /** Opens COUNT stores in a folder, which it may have to make, and registers version 1 of a view in each. */
  register: Effect.gen(function* () {
    yield* say("ready")
    yield* told
    for (let i = 0; i < Number(args[0]); i++)
      yield* SqliteViewStore.make({ path: join(path, `${i}`, "views.db") }).pipe(
        Effect.flatMap((store) =>
          store.register(spec("v", 1), { id: "topic-1", starts: [{ partition: 0, offset: i }] })
        ),
        Effect.scoped
      )
    yield* say("done")
  }),
  /** Reads as any SQLite client does until it is told to stop: counts the reads, those that failed, and those of half a state. */
  read: Effect.gen(function* () {
    const db = new DatabaseSync(path, { readOnly: true })
    db.exec("PRAGMA busy_timeout = 5000")
    const until = yield* Effect.forkChild(told)
    yield* say("ready")
    const counts = { reads: 0, failed: 0, half: 0, error: "" }
    while (until.pollUnsafe() === undefined) {
      try {
        // Every commit adds one to every group, so all groups agree in a whole state.
        const [row] = db.prepare(`SELECT min(n) AS low, max(n) AS high, count(*) AS rows FROM "${args[0]}"`).all()
        if (row!["low"] !== row!["high"] || row!["rows"] !== 50) counts.half++
      } catch (cause) {
        counts.failed++
        counts.error = String(cause)
      }
      counts.reads++
      if (counts.reads % 20 === 0) yield* Effect.sleep(0)
    }
    yield* say(`counts ${JSON.stringify(counts)}`)
  }),
  /** Tries to open as another user, and says what came of it. */
  open: Effect.gen(function* () {
    if (process.getuid?.() === 0) process.setuid?.(65534)
    const tried = (
      effect: Effect.Effect<
        unknown,
        { readonly reason: { readonly _tag: string; readonly kind?: string }; readonly message: string }
      >
    ) =>
      Effect.match(effect, {
        onSuccess: () => ["opened"],
        onFailure: ({ message, reason }) => [reason._tag, reason.kind, message]
      })
    for (const at of [path, ...args]) {
      yield* say(`log ${JSON.stringify(yield* tried(Effect.scoped(SqliteLog.make({ path: at }))))}`)
      yield* say(`store ${JSON.stringify(yield* tried(Effect.scoped(SqliteViewStore.make({ path: at }))))}`)
    }
    yield* say("done")
  })
}

await Effect.runPromise(commands[command ?? ""] ?? Effect.die(new Error(`no command "${command}"`)))
process.exit(0)
