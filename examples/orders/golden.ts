/**
 * Answers the four golden questions with the engine: live from the log, then replayed from archive and tail, and replayed again in other
 * batch sizes with other commits, which must all give the same state hash. Without options the answers are compared with the peers' own, to
 * the last digit.
 *
 * Options: `--seed N --orders N --partitions N --out DIR` (writes `a.csv` … `d.csv`), `--json`. The log is the embedded one, or with
 * `--log kafka --brokers HOST:PORT,… [--driver platformatic|kafkajs]` a topic "orders" of a cluster that has none; it is deleted at the end.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { gunzipSync } from "node:zlib"
import { Archiver, ArchiveTable, OneLog } from "@headrace/archive"
import { JsonCodec, StateHash } from "@headrace/core"
import { EventLog } from "@headrace/core/EventLog"
import { ViewStore } from "@headrace/core/ViewStore"
import { SqliteLog, SqliteViewStore } from "@headrace/embedded"
import { KafkaLog } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Live, Replay } from "@headrace/kappa"
import { FolderObjectStore } from "@headrace/s3"
import { Cause, Effect, Exit, Layer } from "effect"
import { csv, type Golden, goldens } from "./src/GoldenViews.ts"
import * as Orders from "./src/Orders.ts"
import * as OrdersLog from "./src/OrdersLog.ts"

const { values: options } = parseArgs({
  options: {
    seed: { type: "string", default: String(Orders.goldenSeed) },
    orders: { type: "string", default: "100000" },
    partitions: { type: "string", default: "1" },
    out: { type: "string" },
    log: { type: "string", default: "embedded" },
    brokers: { type: "string", default: "localhost:9092" },
    driver: { type: "string", default: "platformatic" },
    json: { type: "boolean", default: false }
  }
})
const drivers = { platformatic: Platformatic.layer, kafkajs: KafkaJs.layer }
const driver = Object.entries(drivers).find(([name]) => name === options.driver)?.[1]
if (driver === undefined || !["embedded", "kafka"].includes(options.log)) {
  console.error("usage: golden.ts [--log embedded|kafka] [--brokers HOST:PORT,…] [--driver platformatic|kafkajs] …")
  process.exit(1)
}
const [seed, rows, partitions] = [Number(options.seed), Number(options.orders), Number(options.partitions)]
const isGolden = seed === Orders.goldenSeed && rows === 100_000 && partitions === 1
const files: Readonly<Record<Golden["name"], string>> = { a: "a_oracle", b: "b_oracle", c: "c_flink", d: "d_streams" }
const goldenOf = (name: Golden["name"]) =>
  gunzipSync(readFileSync(join(import.meta.dirname, `golden/${files[name]}.csv.gz`))).toString()

const folder = mkdtempSync(join(tmpdir(), "headrace-golden-"))
const store = (name: string) => SqliteViewStore.layer({ path: join(folder, `${name}.db`) })

/** The view's CSV and state hash in the store that is provided. */
const answer = (golden: Golden) =>
  Effect.gen(function* () {
    const hash = yield* StateHash.ofVersion(yield* ViewStore, golden.view.name, golden.view.version)
    return { hash, text: yield* csv(golden) }
  })

const topic = "orders"
const replay = (name: string, how: Pick<Replay.Options, "maxRecords" | "checkpoint">) =>
  Effect.forEach(goldens, ({ view }) =>
    Replay.run({ declared: { view, source: "golden" }, owner: `golden, ${name}`, ...how })
  ).pipe(Effect.andThen(Effect.forEach(goldens, answer)), Effect.provide(store(name)))

const program = Effect.gen(function* () {
  const log = yield* EventLog
  yield* Effect.acquireRelease(log.createTopic(topic, { partitions }), () => Effect.ignore(log.deleteTopic(topic)))
  yield* OrdersLog.fill(topic, { rows, seed, partitions })
  const declared = goldens.map(({ view }) => ({ view, source: "golden" }))
  const live = yield* Live.run({ views: declared, owner: "golden, live" }).pipe(
    Effect.andThen(Effect.forEach(goldens, answer)),
    Effect.provide(store("live"))
  )
  // All but the last tenth from the archive, the rest from the tail.
  const { partitions: ranges } = yield* log.describe(topic)
  const until = new Map(ranges.map((p) => [p.partition, Math.floor(p.end * 0.9)]))
  yield* Archiver.run({
    topic,
    codec: JsonCodec.make(goldens[0]!.view.source.schema),
    until,
    fileRows: 40_000,
    rowGroupRows: 10_000
  })
  const replays = [
    yield* replay("replay", {}),
    yield* replay("replay again", { maxRecords: 777, checkpoint: { records: 5_000, pending: 2_000 } })
  ]
  return goldens.map((golden, i) => ({
    name: golden.name,
    rows: live[i]!.text.split("\n").length - 2,
    hash: live[i]!.hash,
    text: live[i]!.text,
    replayEqualsLive: replays.every((own) => live[i]!.hash === own[i]!.hash && live[i]!.text === own[i]!.text),
    golden: isGolden ? live[i]!.text === goldenOf(golden.name) : undefined
  }))
}).pipe(Effect.scoped)

const location = join(folder, "archive")
const log =
  options.log === "kafka"
    ? Layer.provide(KafkaLog.layer(), driver({ brokers: options.brokers.split(",") }))
    : SqliteLog.layer({ path: join(folder, "log.db") })
const objects = FolderObjectStore.layer({ path: location })
const layers = OneLog.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(log, ArchiveTable.layer({ location }).pipe(Layer.provideMerge(objects))))
)

const exit = await Effect.runPromiseExit(program.pipe(Effect.provide(layers))).finally(() =>
  rmSync(folder, { recursive: true, force: true })
)
if (Exit.isFailure(exit)) {
  console.error(`error: ${Cause.prettyErrors(exit.cause)[0]?.message}`)
  process.exit(1)
}
const results = exit.value
if (options.out !== undefined) {
  mkdirSync(options.out, { recursive: true })
  for (const { name, text } of results) writeFileSync(join(options.out, `${name}.csv`), text)
}
if (options.json)
  console.log(
    JSON.stringify({ log: options.log, seed, rows, partitions, results: results.map(({ text: _, ...rest }) => rest) })
  )
else {
  for (const { golden, hash, name, replayEqualsLive, rows } of results) {
    const verdict = golden === undefined ? "" : golden ? "equal to the golden file, " : "DIFFERS from the golden file, "
    console.log(
      `${name}: ${rows} rows, ${verdict}replays ${replayEqualsLive ? "=" : "≠"} live, state ${hash.slice(0, 16)}…`
    )
  }
}
process.exitCode = results.every((r) => r.golden !== false && r.replayEqualsLive) ? 0 : 1
