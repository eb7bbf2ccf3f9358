/** How far the changes of versions have come on Kafka, beside the store and the log, and how that is shown. */
import { ChangeSink, type ChangeSinkError } from "@headrace/core/ChangeSink"
import type { KafkaError } from "@headrace/kafka"
import { Effect } from "effect"
import * as Outputs from "./Outputs.ts"
import type * as Project from "./Project.ts"
import type { ProjectError } from "./ProjectError.ts"
import * as Table from "./Table.ts"

interface OutputPartition {
  readonly partition: number
  /** The next offset of the vector that the stream sums to. */
  readonly next: number
  /** Where the store stands. Behind `next` after a death; a run folds it forward. Before it, `next` can't be reached any more. */
  readonly store: number | null
  /** Records of the log that the stream doesn't tell of yet; null when the topic isn't there. */
  readonly lag: number | null
}

/** The stream of one version. */
export interface OutputState {
  readonly view: string
  readonly version: number
  readonly topic: string
  /** `behind`: the store went on without the output, and `run` refuses. */
  readonly state: "not begun" | "in step" | "ahead of the store" | "behind the store"
  readonly partitions: ReadonlyArray<OutputPartition>
}

const stateOf = (partitions: ReadonlyArray<OutputPartition>): OutputState["state"] => {
  if (partitions.some(({ next, store }) => store !== null && store > next)) return "behind the store"
  return partitions.every(({ next, store }) => store === next) ? "in step" : "ahead of the store"
}

/** What is known of a version in the store. */
interface Stored {
  readonly view: string
  readonly version: number
  readonly partitions: ReadonlyArray<{ readonly partition: number; readonly next: number; readonly end: number | null }>
}

/** The states of all outputs that the project has; asks Kafka, changes nothing. */
export const of = Effect.fnUntraced(function* (
  project: Project.Project,
  versions: ReadonlyArray<Stored>
): Effect.fn.Return<ReadonlyArray<OutputState>, ChangeSinkError | KafkaError | ProjectError> {
  const targets = yield* Outputs.of(project)
  if (targets.length === 0) return []
  return yield* Effect.forEach(targets, (target) =>
    Effect.gen(function* () {
      const sink = yield* ChangeSink
      const stream = Outputs.streamOf(target)
      const progress = yield* sink.progress(stream)
      if (progress === undefined) return { ...stream, state: "not begun" as const, partitions: [] }
      const known = versions.find((v) => v.view === stream.view && v.version === stream.version)?.partitions ?? []
      const partitions = progress.next
        .map(({ next, partition }): OutputPartition => {
          const own = known.find((p) => p.partition === partition)
          const end = own?.end ?? null
          return { partition, next, store: own?.next ?? null, lag: end === null ? null : Math.max(0, end - next) }
        })
        .toSorted((a, b) => a.partition - b.partition)
      return { ...stream, state: stateOf(partitions), partitions }
    })
  ).pipe(Effect.provide(Outputs.layer(project)))
})

const row = ({ state, topic, version, view }: OutputState, p: OutputPartition | undefined) => [
  view,
  String(version),
  topic,
  state,
  ...(p === undefined
    ? ["", "", "", ""]
    : [String(p.partition), String(p.next), String(p.store ?? "none"), p.lag === null ? "?" : Table.number(p.lag)])
]

/** A line for each partition of each stream. */
export const table = (outputs: ReadonlyArray<OutputState>): string =>
  Table.render(
    [
      { name: "changes of" },
      { name: "version", align: "right" },
      { name: "to topic" },
      { name: "state" },
      ...["partition", "next", "store's next", "lag"].map((name): Table.Column => ({ name, align: "right" }))
    ],
    outputs.flatMap((output) =>
      output.partitions.length === 0 ? [row(output, undefined)] : output.partitions.map((p) => row(output, p))
    )
  )
