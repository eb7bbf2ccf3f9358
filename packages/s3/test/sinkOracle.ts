/**
 * The sink against an oracle: random rows, batches, rolls and crashes at random points, and a writer that goes on from the commit each time. Each
 * row is in one committed file, in its folder; who lists folders finds those files and no others; the counts add up.
 */
import { assert, describe, it } from "@effect/vitest"
import { ObjectSink, type ObjectStore } from "@headrace/s3"
import { SinkPoint } from "@headrace/s3/SinkPoint"
import { Effect, Exit, type Layer, Random, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as RealTime from "./RealTime.ts"
import { batchOf, idOf, listed, type Row, schema, written } from "./sinkRows.ts"

const regions = ["eu", "us west", "a/b=c", "", null]
const hour = 3_600_000
/** A whole number of `[low, high)`. */
const between = (low: number, high: number) => Random.nextIntBetween(low, high, { halfOpen: true })

const make = (seed: number) =>
  Effect.gen(function* () {
    const pick = <A>(values: ReadonlyArray<A>) => Effect.map(between(0, values.length), (i) => values[i]!)
    const partitions = yield* between(1, 4)
    const lateness = yield* pick([3, 20])
    const rows: Array<Array<Row>> = []
    for (let p = 0; p < partitions; p++) {
      rows[p] = []
      for (let i = yield* between(0, 120); i > 0; i--) {
        const chance = yield* between(0, 20)
        const ts = rows[p]!.length * 600_000 - (chance % lateness === 0 ? (yield* between(0, 20)) * hour : 0)
        rows[p]!.push({
          region: yield* pick(regions),
          ts: Math.max(0, ts),
          ...(chance === 1 ? { is: "poison" } : chance === 2 ? { is: "tombstone" } : {}),
          ...(chance % 2 === 1 ? { coupon: `c${chance}` } : {})
        })
      }
    }
    const options: ObjectSink.Options = {
      name: `s-${seed}`,
      prefix: "lake",
      schema,
      format: { kind: "ndjson", compression: yield* pick(["none", "gzip", "zstd"] as const) },
      path: yield* pick(["", "region={region}", "date={ts:yyyy-MM-dd}", "date={ts:yyyy-MM-dd}/hour={ts:HH}"]),
      roll: { rows: yield* pick([3, 20, 1000]), bytes: yield* pick([100, 2000, 1 << 20]), age: "10 minutes" },
      bufferBytes: yield* pick([6000, 40_000, 1 << 20]),
      openFiles: yield* pick([1, 3, 8]),
      groupRows: yield* pick([2, 16, 1000]),
      ...((yield* between(0, 2)) === 0 ? {} : { late: { column: "ts", after: "1 hour", age: "5 hours" } as const })
    }
    return { rows, options, batch: yield* pick([1, 7, 50]), minutes: yield* pick([0, 1, 4]) }
  })

type Case = Effect.Success<ReturnType<typeof make>>

/** Feeds the sink from where it is, one partition's batch at a time, in random turns; time passes between. */
const feed = ({ batch, minutes, options, rows }: Case, crash: boolean) =>
  Effect.gen(function* () {
    const countdown = { left: yield* between(1, 40) }
    const point = () => Effect.suspend(() => (crash && --countdown.left === 0 ? Effect.die("killed") : Effect.void))
    const sink = yield* Effect.provideService(ObjectSink.make(options), SinkPoint, point)
    // What a writer died within is gone now, or finished.
    const committed = yield* Stream.runCollect(ObjectSink.files(options))
    assert.deepStrictEqual((yield* listed(options.prefix)).sort(), committed.map(({ key }) => key).sort())
    // A source may begin before; what it gives again is passed over.
    const overlap = yield* between(0, 4)
    const at = rows.map((_, p) => Math.max(0, (sink.start.get(p)?.next ?? 0) - overlap))
    sink.start.forEach(({ next, resume }) => assert.deepStrictEqual(resume, next === 0 ? null : { row: next }))
    for (;;) {
      const left = at.flatMap((next, p) => (next < rows[p]!.length ? [p] : []))
      if (left.length === 0) break
      const p = left[yield* between(0, left.length)]!
      const size = yield* between(1, batch + 1)
      if ((yield* between(0, 10)) === 0) at[p] = Math.max(0, at[p]! - overlap)
      const some = rows[p]!.slice(at[p], at[p]! + size)
      yield* sink.write({ batch: batchOf(p, at[p]!, some), resume: { row: at[p]! + some.length } })
      at[p]! += some.length
      yield* TestClock.adjust(minutes * 60_000)
      if (crash && (yield* between(0, 60)) === 0) return yield* Effect.die("killed")
    }
    return yield* sink.flush
  }).pipe(Effect.scoped)

const folderOf = (path: string | undefined, row: Row, name: string): string => {
  if (row.is === "poison") return `_headrace/${name}/bad`
  const iso = new Date(row.ts).toISOString()
  const escaped: Readonly<Record<string, string>> = { "a/b=c": "a%2Fb%3Dc", "": "__HIVE_DEFAULT_PARTITION__" }
  const region = row.region === null ? "__HIVE_DEFAULT_PARTITION__" : (escaped[row.region] ?? row.region)
  return (path ?? "")
    .replace("{region}", region)
    .replace("{ts:yyyy-MM-dd}", iso.slice(0, 10))
    .replace("{ts:HH}", iso.slice(11, 13))
}

const check = (seed: number) =>
  Effect.gen(function* () {
    const one = yield* make(seed)
    const { options, rows } = one
    let report: ObjectSink.Report | undefined
    for (let attempt = 0; report === undefined; attempt++) {
      const exit = yield* Effect.exit(feed(one, attempt < 12))
      if (Exit.isSuccess(exit)) report = exit.value
      else if (!exit.cause.reasons.every((r) => r._tag === "Interrupt" || (r._tag === "Die" && r.defect === "killed")))
        return yield* exit
    }
    const expected = rows.flatMap((own, p) =>
      own.flatMap((row, i) =>
        row.is === "tombstone"
          ? []
          : [
              `${folderOf(options.path, row, options.name)} ${idOf(p, i)} ${row.is === undefined ? (row.coupon ?? "-") : ""}`
            ]
      )
    )
    const found = (yield* written(options)).map(
      ({ folder, id, line }) => `${folder} ${id} ${line["code"] === undefined ? String(line["coupon"] ?? "-") : ""}`
    )
    const [have, want] = [new Set(found), new Set(expected)]
    assert.deepStrictEqual(
      { seed, missing: expected.filter((row) => !have.has(row)), strange: found.filter((row) => !want.has(row)) },
      { seed, missing: [], strange: [] }
    )
    assert.strictEqual(found.length, expected.length)
    rows.forEach((own, p) => {
      if (own.length === 0) return
      const { bad, next, read, tombstones, waiting, written: good } = report.partitions.get(p)!
      const of = (is: Row["is"]) => own.filter((row) => row.is === is).length
      assert.deepStrictEqual(
        [next, read, good, bad, tombstones, waiting],
        [own.length, own.length, of(undefined), of("poison"), of("tombstone"), 0]
      )
    })
    assert.deepStrictEqual(yield* ObjectSink.collect(options), [])
  })

/** Runs so many rounds, each on a store that is built anew. */
export const sinkOracle = <E>(name: string, layer: Layer.Layer<ObjectStore, E>, rounds: number): void => {
  const store = RealTime.layer(layer)
  describe(`ObjectSink against an oracle on ${name}`, () => {
    it.effect(
      "writes each row once, whatever happens",
      () =>
        Effect.forEach(
          Array.from({ length: rounds }, (_, seed) => seed),
          (seed) => check(seed).pipe(Random.withSeed(`sink ${seed}`), Effect.provide(store, { local: true })),
          { discard: true }
        ),
      { timeout: 20_000 + 10_000 * rounds }
    )
  })
}
