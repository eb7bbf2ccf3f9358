/** The embedded log: appending golden orders in 4 partitions, in batches of 16,384 and one by one, and reading them back. */
import { join } from "node:path"
import { BatchBuilder } from "@headrace/core/Batch"
import { EventLog } from "@headrace/core/EventLog"
import { SqliteLog } from "@headrace/embedded"
import { Effect, Stream } from "effect"
import * as Orders from "example-orders/Orders"
import { metric, type Result, Steps } from "./harness.ts"
import { partitions, withFolder } from "./Projects.ts"

const seconds = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const started = performance.now()
    return Effect.map(work, (value) => ({ value, seconds: (performance.now() - started) / 1000 }))
  })

/** Appends `rows` orders in batches of so many, and reads them; only the log's work counts. */
const round = (rows: number, size: number) =>
  Effect.gen(function* () {
    const log = yield* EventLog
    yield* log.createTopic("orders", { partitions })
    const builders = Array.from({ length: partitions }, () => new BatchBuilder(size, size * 200))
    const cursor = new Orders.Cursor({ rows })
    let [bytes, appending] = [0, 0]
    const flush = Effect.fnUntraced(function* (partition: number) {
      const batch = builders[partition]!.take()
      bytes += batch.bytes.length
      appending += (yield* seconds(log.append("orders", partition, batch))).seconds
    })
    while (cursor.next()) {
      const { order } = cursor
      const partition = order.index % partitions
      builders[partition]!.add(Orders.orderId(order.index), Orders.json(order), order.ts)
      if (builders[partition]!.count === size) yield* flush(partition)
    }
    for (const [partition, builder] of builders.entries()) if (builder.count > 0) yield* flush(partition)

    const found = { rows: 0, bytes: 0 }
    const reading = yield* seconds(
      Effect.forEach(
        builders.keys(),
        (partition) =>
          log.read({ topic: "orders", partition, from: 0 }).pipe(
            Stream.runForEach((batch) =>
              Effect.sync(() => {
                found.rows += batch.count
                for (let i = 0; i < 2 * batch.count; i += 2)
                  found.bytes += batch.keys[i + 1]! - batch.keys[i]! + batch.values[i + 1]! - batch.values[i]!
              })
            )
          ),
        { discard: true }
      )
    )
    return {
      append: rows / appending,
      read: rows / reading.seconds,
      whole: found.rows === rows && found.bytes === bytes
    }
  })

export const run = (reduced: boolean): Promise<Result> =>
  withFolder(async (folder) => {
    const [rows, singles] = reduced ? [200_000, 500] : [1_000_000, 2_000]
    const rounds = reduced ? 3 : 7
    const steps = new Steps(rounds)
    const measured = []
    for (let i = 0; i < rounds; i++) {
      const at = (name: string, n: number, size: number) =>
        Effect.runPromise(
          round(n, size).pipe(Effect.provide(SqliteLog.layer({ path: join(folder, `${name}-${i}.db`) })))
        )
      measured.push({ large: await at("large", rows, 16_384), single: await at("single", singles, 1) })
      const { append, read } = measured.at(-1)!.large
      steps.done(`append ${(append / 1e6).toFixed(2)} M records/s, read ${(read / 1e6).toFixed(2)} M records/s`)
    }
    return {
      bench: "log",
      rounds,
      metrics: {
        append_records_per_s: metric(
          measured.map((m) => m.large.append),
          "records/s"
        ),
        append_single_records_per_s: metric(
          measured.map((m) => m.single.append),
          "records/s"
        ),
        read_records_per_s: metric(
          measured.map((m) => m.large.read),
          "records/s"
        )
      },
      ratios: {},
      rss_mb: process.resourceUsage().maxRSS / 1024,
      checked: measured.every((m) => m.large.whole && m.single.whole),
      fingerprints: {}
    }
  })
