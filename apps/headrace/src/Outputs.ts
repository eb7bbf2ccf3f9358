/**
 * Which versions write their changes where: what the config's `output` says of the views that are exported. Planning, pure; and the layer of
 * the streams.
 *
 * The config alone decides, no flag: a version that ran without its output once has lost what changed meanwhile (`OutputBehind`).
 */
import { basename } from "node:path"
import type { ChangeSink, ChangeStream } from "@headrace/core/ChangeSink"
import type { KafkaError } from "@headrace/kafka"
import { Output, type ViewError } from "@headrace/kappa"
import { Effect, Layer, Result } from "effect"
import * as KafkaCluster from "./KafkaCluster.ts"
import * as Project from "./Project.ts"
import { ConfigInvalid, OutputStopped, type ProjectError, wrap } from "./ProjectError.ts"

/** A version with the topic of its changes. */
export interface Target {
  readonly declared: Project.Declared
  readonly topic: string
}

/** A version's default topic, which is also its name among the config's `topics`. */
const nameOf = ({ view }: Project.Declared): string => Output.defaultTopic(view.name, view.version)

/** What every stream writes, of all versions that the project exports; none without `output`. Refuses what can't be meant. */
export const plan = (project: Project.Project): Result.Result<ReadonlyArray<Target>, ProjectError> => {
  const { log, output } = project.config
  if (output === undefined) return Result.succeed([])
  const { topics = {}, views } = output
  const refuse = (detail: string) =>
    Result.fail(wrap(new ConfigInvalid({ file: Project.paths(project).config, detail })))
  const exported = [...new Set(project.views.map((d) => d.view.name))]
  const unknown = views === "all" ? undefined : views.find((view) => !exported.includes(view))
  if (unknown !== undefined)
    return refuse(
      `["output"]["views"] names "${unknown}", which no module exports; exported are ${exported.join(", ")}`
    )
  const wanted = project.views.filter((d) => views === "all" || views.includes(d.view.name))
  const names = wanted.map(nameOf)
  const stray = Object.keys(topics).find((name) => !names.includes(name))
  if (stray !== undefined)
    return refuse(
      `["output"]["topics"] names "${stray}", which is no version with an output; there are ${names.join(", ")}`
    )
  const targets = wanted.map((declared): Target => ({ declared, topic: topics[nameOf(declared)] ?? nameOf(declared) }))
  const taken = new Map<string, string>()
  for (const { declared, topic } of targets) {
    const other = taken.get(topic)
    if (other !== undefined)
      return refuse(
        `${other} and ${nameOf(declared)} both write to topic "${topic}": name another for one of them in ["output"]["topics"]`
      )
    taken.set(topic, nameOf(declared))
    const reader = project.views.find((d) => d.view.source.topic === topic)
    if (reader !== undefined && log.kafka !== undefined && output.kafka === undefined)
      return refuse(
        `${nameOf(declared)} writes to topic "${topic}", which view "${reader.view.name}" (${basename(reader.file)}) reads: name another in ["output"]["topics"]`
      )
  }
  return Result.succeed(targets)
}

/** As {@link plan}. */
export const of = (project: Project.Project): Effect.Effect<ReadonlyArray<Target>, ProjectError> =>
  Effect.fromResult(plan(project))

/** A target as the sink knows it. */
export const streamOf = ({ declared, topic }: Target): ChangeStream => ({
  view: declared.view.name,
  version: declared.view.version,
  topic
})

/** The streams on their cluster: the log's unless the config names another. */
export const layer = (project: Project.Place): Layer.Layer<ChangeSink, KafkaError | ProjectError> => {
  const { log, output } = project.config
  const file = Project.paths(project).config
  const kafka = output?.kafka ?? log.kafka
  if (output === undefined || kafka === undefined)
    return Layer.unwrap(wrap(new ConfigInvalid({ file, detail: 'it has no ["output"]' })))
  const { progressTopic, transactionTimeout } = output
  const at = output.kafka === undefined ? '["log"]["kafka"]' : '["output"]["kafka"]'
  return KafkaCluster.changes(
    { folder: project.folder, file, kafka, at },
    {
      ...(progressTopic === undefined ? {} : { progressTopic }),
      ...(transactionTimeout === undefined ? {} : { transactionTimeoutMillis: transactionTimeout })
    }
  )
}

/** A version that ran without its output is refused with what its owner can do about it, by config and command. */
export const explain = (error: ViewError.ViewError): ViewError.ViewError | ProjectError =>
  error.reason._tag === "OutputBehind" ? wrap(new OutputStopped({ reason: error.reason })) : error
