/**
 * Running views live with their changes as a stream, exactly once: what the sum of a version's stream is, its table is, at one offset vector.
 *
 * A step folds a bounded stretch of every partition that has more, asks the store what its commit will change (`preview`), publishes that net
 * difference together with the next offset vector in one transaction of the sink, and then commits the store. The sink is always first, so the
 * store can only be behind it. A start takes the version's lock, then the stream (which fences whoever wrote it before), reads its vector V,
 * folds the store forward to exactly V without writing (a view is a function of the log: rule 2), and goes on from there.
 *
 * Crash table: the store stands at vector A, and the step goes to B.
 *
 * | the process dies | the stream then sums to the table at | the store stands at | the restart |
 * | --- | --- | --- | --- |
 * | before the sink's transaction | A | A | takes the step again, of whatever size |
 * | within the transaction | A: the sink undoes it | A | the same |
 * | after the sink's commit, before the store's | B | A | folds A to B without writing, goes on from B |
 * | within the store's commit | B | A: rolled back | the same |
 * | after the store's commit | B | B | goes on from B |
 * | while it folds forward to B | B | between A and B | folds the rest without writing |
 * | within the first snapshot of a store that held something | nothing | A | writes the snapshot again |
 * | (it doesn't die, but was taken for dead) | where its heir's publishes lead | where the heir's commits lead | its next publish is fenced, or its next commit |
 *
 * A sink that doesn't know whether it committed (`SinkOutcomeUnknown`) ends the run: the next start reads it back, as after a crash.
 */
import type { OneLog } from "@headrace/archive/OneLog"
import { ChangeSink, type Opened } from "@headrace/core/ChangeSink"
import { type Position, ViewStore } from "@headrace/core/ViewStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Fold from "./Fold.ts"
import * as Rounds from "./internal/Rounds.ts"
import * as Kernel from "./Kernel.ts"
import * as Output from "./Output.ts"
import * as Version from "./Version.ts"
import * as View from "./View.ts"
import { OutputOfAnother, type ViewError, wrap } from "./ViewError.ts"

/** A version and the topic of its changes. */
export interface Target {
  readonly declared: Version.Declared
  /** Default `<view>.v<N>`. One topic takes the changes of one version. */
  readonly topic?: string
}

/** Which views to run, and how. */
export interface Options extends Rounds.Options {
  readonly outputs: ReadonlyArray<Target>
  /** So many records at most are folded in a step, over all partitions. Default 200,000. */
  readonly stepRecords?: number
  /**
   * A step ends when so many rows (partials, distinct values, late, dead) wait, over all partitions: this bounds memory and Kafka's transaction.
   * Looked at between batches. Default 50,000.
   */
  readonly stepPending?: number
}

const defaultStepRecords = 200_000
const defaultStepPending = 50_000

/** Changes travel in arrays of so many. */
const chunk = 1_000

const optional = ({ maxRecords, onProgress }: Options, view: View.Any) => ({
  ...(maxRecords === undefined ? {} : { maxRecords }),
  ...(onProgress === undefined ? {} : { onProgress: (records: number) => onProgress(view.name, view.version, records) })
})

/** Brings store and stream to one vector. */
const recover = Effect.fnUntraced(function* (
  declared: Version.Declared,
  { info, lease, positions }: Version.Held,
  topic: string,
  opened: Opened,
  options: Options
) {
  const { view } = declared
  const store = yield* ViewStore
  const spec = View.spec(view, declared.source)
  const way = yield* Effect.mapError(Effect.fromResult(Output.recover(spec, topic, info, opened.progress)), wrap)
  if (way === "snapshot") {
    const rows = Stream.mapError(store.rows(view.name, view.version), wrap)
    const changes = Stream.map(rows, (row) => Output.upsert(spec, row))
    return yield* opened
      .publish(changes, Output.progressOf(spec, info.topicId, positions))
      .pipe(Effect.catchTag("ChangeSinkError", (error) => Effect.fail(wrap(error))))
  }
  yield* Effect.forEach(
    way,
    ({ start, until }) => Fold.partition({ view, lease, start, until, prefer: "tail", ...optional(options, view) }),
    { concurrency: 4, discard: true }
  )
})

/** Takes steps to the end of the topic as it is now. */
const round = Effect.fnUntraced(function* (
  declared: Version.Declared,
  { lease }: Version.Held,
  known: ReadonlyArray<Position>,
  opened: Opened,
  options: Options
) {
  const { view } = declared
  const { stepPending = defaultStepPending, stepRecords = defaultStepRecords } = options
  const store = yield* ViewStore
  const { info, topic } = yield* Rounds.look(declared, known, options)
  const spec = View.spec(view, declared.source)
  const standing = new Map<number, Position>(info.positions.map((p) => [p.partition, p]))
  for (;;) {
    const positions = [...standing.values()]
    const stretches = Output.step(positions, (p) => topic.partitions[p]?.end ?? 0, stepRecords)
    if (stretches.length === 0) return positions
    const commits = yield* Effect.forEach(
      stretches,
      ({ start, until }) => {
        const kernel = Kernel.make(view, start)
        const enough = () => kernel.pending() >= stepPending / stretches.length
        const fed = Fold.feed(
          { view, start, until, prefer: "tail", topic, enough, ...optional(options, view) },
          kernel,
          () => Effect.void
        )
        return Effect.map(fed, () => kernel.take())
      },
      { concurrency: 4 }
    )
    for (const { position } of commits) standing.set(position.partition, position)
    const changes = Output.changesOf(spec, yield* Effect.mapError(store.preview(lease, commits), wrap))
    const progress = Output.progressOf(spec, info.topicId, [...standing.values()])
    yield* opened
      .publish(Stream.rechunk(Stream.fromArray(changes), chunk), progress)
      .pipe(Effect.andThen(store.commit(lease, commits)), Effect.mapError(wrap))
  }
})

/**
 * Runs the views and writes their changes; ends when all have caught up, or never with `follow`. An interruption is a death of the crash table.
 * The versions are made known in the order in which they are given.
 */
export const run = (options: Options): Effect.Effect<void, ViewError, OneLog | ViewStore | ChangeSink> =>
  Effect.gen(function* () {
    const { outputs } = options
    const sink = yield* ChangeSink
    const topics = new Set<string>()
    for (const { declared, topic } of outputs) {
      const { name: view, version } = declared.view
      const own = topic ?? Output.defaultTopic(view, version)
      const detail = "another of the views that are run writes to it too"
      if (topics.has(own)) return yield* wrap(new OutputOfAnother({ view, version, topic: own, detail }))
      topics.add(own)
    }
    yield* Rounds.register(outputs.map((o) => o.declared))
    yield* Effect.forEach(
      outputs,
      ({ declared, topic = Output.defaultTopic(declared.view.name, declared.view.version) }) =>
        Rounds.run(declared, options, (held) =>
          Effect.gen(function* () {
            const { name: view, version } = declared.view
            const opened = yield* Effect.mapError(sink.open({ view, version, topic }), wrap)
            yield* recover(declared, held, topic, opened, options)
            return (known) => round(declared, held, known, opened, options)
          })
        ),
      { concurrency: "unbounded", discard: true }
    )
  })
