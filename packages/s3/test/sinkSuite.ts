/** What the sink promises, over any object store: ages, late rows, schemas, formats, one writer, bad rows, and what a crash leaves at each point. */
import { assert, describe, it } from "@effect/vitest"
import * as TopicSchema from "@headrace/core/TopicSchema"
import * as ColumnReader from "@headrace/parquet/ColumnReader"
import { ObjectSink, ObjectSinkError, ObjectSource, ObjectStore, ObjectStoreError, Unknown } from "@headrace/s3"
import { type Point, SinkPoint } from "@headrace/s3/SinkPoint"
import { Effect, Exit, Fiber, type Layer, Random, Schema, Scope, Stream } from "effect"
import * as RealTime from "./RealTime.ts"
import { batchOf, idOf, listed, type Row, schema, written } from "./sinkRows.ts"

const hour = 3_600_000
const options: ObjectSink.Options = {
  name: "orders",
  prefix: "lake",
  schema,
  format: { kind: "ndjson" },
  path: "hour={ts:HH}",
  roll: { age: "10 minutes" }
}
const row = (ts: number, more: Partial<Row> = {}): Row => ({ region: "eu", ts, ...more })
const ids = (location: ObjectSink.Location = options) =>
  Effect.map(written(location), (rows) => rows.map(({ folder, id }) => `${folder} ${id}`).sort())
const files = Stream.runCollect(ObjectSink.files(options))
const reasonOf = <A, R>(effect: Effect.Effect<A, ObjectSinkError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)
/** A sink that ends as a crash would: nothing is flushed. */
const crashing = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.exit(Effect.scoped(effect))
const dieAt = (at: Point) =>
  Effect.provideService(SinkPoint, (point: Point) => (point === at ? Effect.die("killed") : Effect.void))
/** Runs the suite; each test builds the layer anew, and needs an empty store. */
export const sinkSuite = <E>(name: string, layer: Layer.Layer<ObjectStore, E>): void => {
  const store = RealTime.layer(layer)
  const test = (
    title: string,
    body: () => Effect.Effect<void, unknown, ObjectStore | RealTime.Traffic | Scope.Scope>
  ) => it.effect(title, () => Effect.provide(body(), store))

  describe(`ObjectSink on ${name}`, () => {
    test("shows a quiet partition's last row within its age, and the offsets with it", () =>
      Effect.gen(function* () {
        const sink = yield* ObjectSink.make(options)
        yield* sink.write({ batch: batchOf(3, 100, [row(0)]), resume: { page: 7 } })
        yield* RealTime.pass("9 minutes")
        assert.deepStrictEqual(yield* ids(), [])
        yield* RealTime.pass("1 minute")
        assert.deepStrictEqual(yield* ids(), ["hour=00 3/100"])
        const { next, resume, ...counts } = (yield* ObjectSink.committed(options)).partitions.get(3)!
        assert.deepStrictEqual({ next, resume }, { next: 101, resume: { page: 7 } })
        assert.deepStrictEqual(counts, { read: 1, written: 1, bad: 0, tombstones: 0, waiting: 0 })
      }))

    test("lets late rows wait, kept with the commits, until their age is over", () =>
      Effect.gen(function* () {
        const late = { ...options, late: { column: "ts", after: "5 minutes", age: "20 hours" } as const }
        const rows = [row(10 * hour), row(2 * hour), row(10 * hour - 60_000)]
        const scope = yield* Scope.make()
        const sink = yield* Effect.provideService(ObjectSink.make(late), Scope.Scope, scope)
        yield* sink.write({ batch: batchOf(0, 0, rows) })
        yield* RealTime.pass("10 minutes")
        assert.deepStrictEqual(yield* ids(), ["hour=09 0/2", "hour=10 0/0"])
        const { next, waiting } = (yield* ObjectSink.committed(late)).partitions.get(0)!
        assert.deepStrictEqual([next, waiting], [3, 1])
        yield* Scope.close(scope, Exit.void)
        // The heir has it, and keeps its time.
        yield* ObjectSink.make(late)
        yield* RealTime.pass("19 hours")
        assert.strictEqual((yield* ids()).length, 2)
        yield* RealTime.pass("1 hour")
        assert.deepStrictEqual(yield* ids(), ["hour=02 0/1", "hour=09 0/2", "hour=10 0/0"])
      }))

    test("keeps late rows that waited and then went to an upload", () =>
      Effect.gen(function* () {
        const late = {
          ...options,
          groupRows: 3,
          roll: { rows: 4, age: "10 minutes" } as const,
          late: { column: "ts", after: "5 minutes", age: "20 hours" } as const
        }
        yield* crashing(
          Effect.gen(function* () {
            const sink = yield* ObjectSink.make(late)
            yield* sink.write({ batch: batchOf(0, 0, [row(10 * hour), row(2 * hour)]) })
            yield* RealTime.pass("10 minutes")
            assert.strictEqual((yield* sink.report).partitions.get(0)!.waiting, 1)
            // Two more fill a group, and four of another folder a file.
            yield* sink.write({ batch: batchOf(0, 2, [row(2 * hour), row(2 * hour)]) })
            yield* sink.write({
              batch: batchOf(
                0,
                4,
                Array.from({ length: 5 }, () => row(10 * hour))
              )
            })
          })
        )
        const sink = yield* ObjectSink.make(late)
        const from = sink.start.get(0)!.next
        const all = [10, 2, 2, 2, 10, 10, 10, 10, 10].map((h) => row(h * hour))
        yield* sink.write({ batch: batchOf(0, from, all.slice(from)) })
        yield* sink.flush
        assert.deepStrictEqual(
          yield* ids(),
          all.map(({ ts }, i) => `hour=${String(ts / hour).padStart(2, "0")} ${idOf(0, i)}`).sort()
        )
      }))

    test("loses no row that another codec takes for a good one after a restart", () =>
      Effect.gen(function* () {
        const four = { ...options, roll: { rows: 4, age: "10 minutes" } as const }
        const rest = Array.from({ length: 5 }, () => row(10 * hour))
        yield* crashing(
          Effect.gen(function* () {
            const sink = yield* ObjectSink.make(four)
            yield* sink.write({ batch: batchOf(0, 0, [row(3 * hour, { is: "poison" }), ...rest]) })
            assert.strictEqual((yield* sink.report).commit, 2)
          })
        )
        const sink = yield* ObjectSink.make(four)
        const from = sink.start.get(0)!.next
        yield* sink.write({ batch: batchOf(0, from, [row(3 * hour), ...rest].slice(from)) })
        yield* sink.flush
        const found = (yield* ids()).map((text) => text.slice(text.indexOf(" ") + 1)).sort()
        assert.deepStrictEqual(
          found,
          Array.from({ length: 6 }, (_, i) => idOf(0, i))
        )
      }))

    test("collects nothing of a sink of the same name below its prefix", () =>
      Effect.gen(function* () {
        const below = { ...options, prefix: "lake/eu" }
        yield* Effect.scoped(
          Effect.gen(function* () {
            const sink = yield* ObjectSink.make(below)
            yield* sink.write({ batch: batchOf(0, 0, [row(0)]) })
            yield* sink.flush
          })
        )
        for (let i = 0; i < 2; i++) yield* Effect.scoped(ObjectSink.make(options))
        assert.deepStrictEqual(yield* ObjectSink.collect(options), [])
        assert.deepStrictEqual(yield* ids(below), ["hour=00 0/0"])
      }))

    test("opens no file when the schema flips with every record, and none for each kind of batch", () =>
      Effect.gen(function* () {
        const rows = Array.from({ length: 1000 }, (_, i) => row(0, i % 2 === 0 ? { coupon: `c${i}` } : {}))
        const sink = yield* ObjectSink.make({ ...options, groupRows: 100 })
        for (let i = 0; i < rows.length; i++) yield* sink.write({ batch: batchOf(0, i, [rows[i]!]) })
        assert.strictEqual((yield* sink.flush).files, 1)
        const coupons = (yield* written(options)).map(({ line }) => line["coupon"])
        assert.deepStrictEqual(
          coupons,
          rows.map(({ coupon }) => coupon)
        )
      }))

    test("refuses a column that the schema doesn't have, one that is missing, and offsets that are", () =>
      Effect.gen(function* () {
        const batch = batchOf(0, 5, [row(0)])
        const make = Effect.scoped(ObjectSink.make(options))
        const more = { ...batch, columns: { ...batch.columns, extra: [1] } }
        const { ts: _, ...fewer } = batch.columns
        for (const [bad, column] of [
          [more, "extra"],
          [{ ...batch, columns: fewer }, "ts"]
        ] as const) {
          const reason = yield* reasonOf(Effect.flatMap(make, (sink) => sink.write({ batch: bad })))
          assert.deepInclude(reason, { _tag: "ColumnMismatch", column, partition: 0, offset: 5 })
        }
        const sink = yield* ObjectSink.make(options)
        yield* sink.write({ batch })
        const gap = yield* reasonOf(sink.write({ batch: batchOf(0, 7, [row(0)]) }))
        assert.deepInclude(gap, { _tag: "Gap", expected: 6, base: 7 })
        // The handle is dead now, and says why.
        assert.deepInclude(yield* reasonOf(sink.flush), { _tag: "Gap" })
      }))

    test("keeps bad rows with their bytes, or stops at them", () =>
      Effect.gen(function* () {
        const rows = [
          row(0),
          row(0, { is: "poison" }),
          row(0, { is: "tombstone" }),
          row(0, { region: "x".repeat(300) })
        ]
        const wide = { ...options, path: "region={region}" }
        const good = batchOf(1, 0, rows)
        const batch = { ...good, columns: { ...good.columns, amount: [0, 1, 2, 3] } }
        const odd = batchOf(1, 4, [row(0)])
        const report = yield* ObjectSink.run(wide, () =>
          Stream.make({ batch }, { batch: { ...odd, columns: { ...odd.columns, amount: ["12"] } } })
        )
        const counts = { read: 5, written: 1, bad: 3, tombstones: 1, waiting: 0 }
        assert.deepInclude(report.partitions.get(1), counts)
        const bad = (yield* written(wide)).filter(({ folder }) => folder.startsWith("_headrace"))
        assert.deepStrictEqual(
          bad.map(({ line }) => [line["offset"], line["code"], line["field"], line["value"] ?? line["row"]]),
          [
            [1, "not-json", "", '{"broken": "1/1'],
            [
              3,
              "out-of-range",
              "(folder)",
              JSON.stringify({ id: "1/3", region: "x".repeat(300), amount: 3, ts: 0, coupon: null })
            ],
            [4, "wrong-type", "amount", '{"id":"1/4","region":"eu","amount":"12","ts":0,"coupon":null}']
          ]
        )
        const strict = yield* reasonOf(
          ObjectSink.run({ ...wide, name: "strict", bad: "fail" }, () => Stream.make({ batch }))
        )
        assert.deepInclude(strict, { _tag: "BadRow", offset: 1, code: "not-json" })
      }))

    test("fences the writer that was there before, and nothing of it is left", () =>
      Effect.gen(function* () {
        const zombie = yield* ObjectSink.make(options)
        yield* zombie.write({ batch: batchOf(0, 0, [row(0), row(hour)]) })
        const heir = yield* ObjectSink.make(options)
        yield* heir.write({ batch: batchOf(0, 0, [row(0), row(hour)]) })
        assert.deepInclude(yield* reasonOf(zombie.flush), { _tag: "Fenced", epoch: 2 })
        assert.deepStrictEqual(yield* listed("lake"), [])
        yield* heir.flush
        assert.deepStrictEqual(yield* ids(), ["hour=00 0/0", "hour=01 0/1"])
      }))

    test("fails a run when another takes over while no batch comes", () =>
      Effect.gen(function* () {
        const source = Stream.concat(Stream.make({ batch: batchOf(0, 0, [row(0)]) }), Stream.never)
        const running = yield* Effect.forkChild(Effect.flip(ObjectSink.run(options, () => source)))
        yield* RealTime.pass("1 minute")
        yield* ObjectSink.make(options)
        yield* RealTime.pass("10 minutes")
        assert.strictEqual((yield* Fiber.join(running)).reason._tag, "Fenced")
      }))

    test("tells its own commit when the answer was lost", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        let lost = 0
        const putIfAbsent: typeof store.putIfAbsent = (key, bytes) =>
          Effect.suspend(() => {
            lost++
            const unknown = Effect.fail(
              new ObjectStoreError({ reason: new Unknown({ key, operation: "create", cause: new Error("reset") }) })
            )
            // Every other one was lost on its way there.
            return lost % 2 === 0 ? unknown : Effect.andThen(store.putIfAbsent(key, bytes), unknown)
          })
        const flaky = Effect.provideService(ObjectStore, { ...store, putIfAbsent })
        yield* ObjectSink.run({ ...options, roll: { rows: 1 } }, () =>
          Stream.make({ batch: batchOf(0, 0, [row(0), row(0)]) })
        ).pipe(flaky)
        assert.deepStrictEqual(yield* ids(), ["hour=00 0/0", "hour=00 0/1"])
        assert.isAbove(lost, 2)
      }))

    it.effect.each([
      ["after-part", 0, 0],
      ["after-parked", 0, 0],
      ["after-intent", 0, 0],
      ["after-first-file", 1, 0],
      ["after-complete", 2, 2],
      ["before-commit", 2, 2],
      ["after-commit", 2, 2]
    ] as const)("a crash %s leaves %i files, and %i after the heir took over", ([point, left, kept]) =>
      Effect.gen(function* () {
        const late = { ...options, late: { column: "ts", after: "5 minutes", age: "20 hours" } as const }
        const batch = batchOf(0, 0, [row(10 * hour), row(2 * hour), row(11 * hour)])
        yield* crashing(
          Effect.gen(function* () {
            const sink = yield* ObjectSink.make(late)
            yield* sink.write({ batch })
            yield* RealTime.pass("10 minutes")
            return yield* sink.failure
          }).pipe(dieAt(point))
        )
        assert.strictEqual((yield* listed("lake")).length, left)
        const heir = yield* ObjectSink.make(late)
        assert.strictEqual((yield* listed("lake")).length, kept)
        assert.strictEqual((yield* files).length, kept)
        assert.strictEqual(heir.start.get(0)?.next ?? 0, kept === 0 ? 0 : 3)
        yield* heir.write({ batch })
        yield* heir.flush
        assert.deepStrictEqual(yield* ids(), ["hour=02 0/1", "hour=10 0/0", "hour=11 0/2"])
      }).pipe(Effect.provide(store))
    )

    test("finds files of fenced writers that no commit names, and leaves those of the writer that is there", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        yield* ObjectSink.run(options, () => Stream.make({ batch: batchOf(0, 0, [row(0)]) }))
        yield* ObjectSink.make(options)
        const nameOf = (offset: number, epoch: number) =>
          `lake/hour=00/orders-p0-${String(offset).padStart(16, "0")}-e${epoch}.ndjson`
        const head = (yield* ObjectSink.committed(options)).commit
        for (const key of [nameOf(9, 1), nameOf(9, head), "lake/hour=00/orders-of-another.ndjson"])
          yield* store.put(key, new Uint8Array(1))
        assert.deepStrictEqual(yield* Stream.runCollect(ObjectSink.orphans(options)), [nameOf(9, 1)])
        assert.deepStrictEqual(yield* ObjectSink.collect(options), [nameOf(9, 1)])
        assert.strictEqual((yield* listed("lake")).length, 3)
      }))

    test("goes on and lists files over hundreds of commits, with a hint that is lost or behind", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        for (let i = 0; i < 3; i++) {
          const sink = yield* ObjectSink.make({ ...options, roll: { rows: 1 } })
          const first = sink.start.get(0)?.next ?? 0
          assert.strictEqual(first, i * 70)
          for (let at = first; at < first + 70; at++)
            yield* sink.write({ batch: batchOf(0, at, [row(0), row(0)].slice(1)) })
          yield* sink.flush
          if (i === 0) yield* store.delete("lake/_headrace/orders/head.json")
          if (i === 1) yield* store.put("lake/_headrace/orders/head.json", new TextEncoder().encode('{"number":5}'))
        }
        assert.strictEqual((yield* files).length, 210)
        assert.strictEqual(new Set(yield* ids()).size, 210)
        const segments = yield* Stream.runCollect(store.list("lake/_headrace/orders/segments/"))
        assert.strictEqual(segments.length, 3)
      }))

    test("bounds memory and uploads when every row has a folder of its own", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        let [open, most] = [0, 0]
        const openWrite: typeof store.openWrite = (key) =>
          Effect.andThen(
            Effect.acquireRelease(
              Effect.sync(() => (most = Math.max(most, ++open))),
              () => Effect.sync(() => open--)
            ),
            store.openWrite(key)
          )
        const rows = Array.from({ length: 500 }, (_, i) => row(0, { region: `r${i}` }))
        const bounded = { ...options, path: "region={region}", bufferBytes: 100_000, openFiles: 4 }
        yield* ObjectSink.run(bounded, () =>
          Stream.range(0, 49).pipe(Stream.map((i) => ({ batch: batchOf(0, i * 10, rows.slice(i * 10, i * 10 + 10)) })))
        ).pipe(Effect.provideService(ObjectStore, { ...store, openWrite }))
        assert.isAtMost(most, 8)
        assert.strictEqual(new Set(yield* ids()).size, 500)
      }))

    test("writes Parquet and CSV that say what the rows were", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const batch = batchOf(0, 0, [
          row(1000, { region: 'a "b", c' }),
          row(2000, { region: "" }),
          row(3000, { region: null })
        ])
        const source = () => Stream.make({ batch })
        yield* ObjectSink.run({ ...options, format: { kind: "parquet" } }, source)
        const key = (yield* files)[0]!.key
        const bytes = yield* store.get(key)
        const reader = yield* ColumnReader.open(ColumnReader.fromBytes(key, bytes))
        const { columns } = yield* ColumnReader.readRowGroup(reader, 0, ["id", "region", "amount", "ts", "coupon"])
        assert.deepStrictEqual(columns, {
          id: ["0/0", "0/1", "0/2"],
          region: ['a "b", c', "", null],
          amount: Float64Array.of(0, 1, 2),
          ts: Float64Array.of(1000, 2000, 3000),
          coupon: [null, null, null]
        })
        const csv = { ...options, name: "csv", format: { kind: "csv" } as const }
        yield* ObjectSink.run(csv, source)
        const [file] = yield* Stream.runCollect(ObjectSink.files(csv))
        assert.strictEqual(
          new TextDecoder().decode(yield* store.get(file!.key)),
          'id,region,amount,ts,coupon\n0/0,"a ""b"", c",0.00,1970-01-01T00:00:01.000Z,\n0/1,"",0.01,1970-01-01T00:00:02.000Z,\n0/2,,0.02,1970-01-01T00:00:03.000Z,\n'
        )
      }))

    test("writes a day of orders by event hour, late ones too, into few files", () =>
      Effect.gen(function* () {
        const [day, target, perMinute] = [86_400_000, 64 << 10, 60]
        const random = Random.nextIntBetween
        const lake: ObjectSink.Options = {
          ...options,
          path: "date={ts:yyyy-MM-dd}/hour={ts:HH}",
          roll: { bytes: target, age: "90 minutes" },
          late: { column: "ts", after: "5 minutes", age: "1 day" },
          groupRows: 200
        }
        const sink = yield* ObjectSink.make(lake)
        const expected: Array<string> = []
        const at = [0, 0]
        for (let now = day; now < 2 * day; now += 60_000) {
          for (const partition of [0, 1]) {
            const rows: Array<Row> = []
            for (let i = 0; i < perMinute; i++) {
              const chance = yield* random(0, 999)
              const behind =
                chance === 0 ? yield* random(300_000, 20 * hour) : chance <= 20 ? yield* random(0, 240_000) : 0
              const ts = Math.max(day, now + i * 1000 - behind)
              const iso = new Date(ts).toISOString()
              expected.push(
                `date=${iso.slice(0, 10)}/hour=${iso.slice(11, 13)} ${idOf(partition, at[partition]! + rows.length)}`
              )
              rows.push(row(ts))
            }
            yield* sink.write({ batch: batchOf(partition, at[partition]!, rows) })
            at[partition]! += rows.length
          }
          yield* RealTime.pass("1 minute")
        }
        const report = yield* sink.flush
        assert.deepStrictEqual(yield* ids(lake), expected.sort())
        assert.isAbove(report.bytes / target, 100)
        assert.isAtMost(report.files, report.bytes / target + 2 * 24)
      }).pipe(Random.withSeed("a day")))

    test("goes on from the checkpoint of a source of objects, which is kept with the commits", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        for (let object = 0; object < 3; object++) {
          const lines = Array.from({ length: 40 }, (_, i) =>
            JSON.stringify({ id: `${object}-${i}`, region: "eu", amount: i, ts: i * 600_000 })
          )
          yield* store.put(`in/${object}.ndjson`, new TextEncoder().encode(lines.join("\n")))
        }
        const small = { ...options, roll: { rows: 5 } }
        const checkpoint = Schema.decodeUnknownEffect(ObjectSource.Checkpoint)
        const sourceFrom = (sink: Pick<ObjectSink.ObjectSink, "start">) =>
          Effect.gen(function* () {
            const from = sink.start.get(0)
            const resume = from === undefined || from.resume === null ? undefined : yield* checkpoint(from.resume)
            return ObjectSource.columns({ prefix: "in/", schema, maxRows: 9, from: resume })
          })
        for (let crash = 0; crash < 4; crash++)
          yield* Effect.scoped(
            Effect.gen(function* () {
              const sink = yield* ObjectSink.make(small)
              const source = yield* sourceFrom(sink)
              yield* Stream.runForEach(Stream.take(source, 3), sink.write)
              // What is old enough is committed, and some more isn't.
              yield* RealTime.pass("10 minutes")
              yield* Stream.runForEach(Stream.take(source, 4), sink.write)
            })
          )
        const sink = yield* ObjectSink.make(small)
        assert.isAbove(sink.start.get(0)?.next ?? 0, 40)
        yield* Stream.runForEach(yield* sourceFrom(sink), sink.write)
        const report = yield* sink.flush
        assert.deepInclude(report.partitions.get(0), { read: 120, written: 120 })
        assert.strictEqual(new Set((yield* written(options)).map(({ id }) => id)).size, 120)
        assert.strictEqual(report.rows, 120)
      }))

    test("refuses options that can't be, and rules that what is committed wasn't written by", () =>
      Effect.gen(function* () {
        const invalid = (wrong: Partial<ObjectSink.Options>) =>
          Effect.map(reasonOf(Effect.scoped(ObjectSink.make({ ...options, ...wrong }))), (reason) => {
            assert.strictEqual(reason._tag, "InvalidOptions")
            return reason.message
          })
        assert.include(yield* invalid({ name: "No" }), "lower-case")
        assert.include(yield* invalid({ prefix: "a//b" }), "prefix")
        assert.include(yield* invalid({ path: "{nope}" }), '"nope"')
        assert.include(yield* invalid({ path: "{region:yyyy}" }), "no time")
        assert.include(yield* invalid({ path: "{ts:hh}" }), "time pattern")
        assert.include(yield* invalid({ path: "a//{ts}" }), "without a name")
        assert.include(yield* invalid({ path: "_x/{ts}" }), "underscore")
        assert.include(yield* invalid({ roll: { bytes: 0 } }), "roll.bytes")
        assert.include(yield* invalid({ late: { column: "id", after: 1, age: 1 } }), "late.column")
        const late = { late: { column: "ts", after: "5 minutes", age: "20 hours" } as const }
        yield* Effect.scoped(
          Effect.gen(function* () {
            const sink = yield* ObjectSink.make({ ...options, ...late })
            yield* sink.write({ batch: batchOf(0, 0, [row(hour), row(0)]) })
            yield* RealTime.pass("10 minutes")
          })
        )
        assert.include(yield* invalid({ path: "" }), "flush under the old path first")
        const other = TopicSchema.make(Schema.Struct({ id: Schema.Int, ts: TopicSchema.instant }))
        assert.include(yield* invalid({ schema: other }), 'column "id" is integer, and string')
      }))
  })
}
