/** `headrace log`: files into topics, the topics there are, and their records. */
import { OneLog } from "@headrace/archive/OneLog"
import { EventLogError, PartitionNotFound } from "@headrace/core/EventLog"
import type { TopicSchema } from "@headrace/core/TopicSchema"
import { Effect, Option, Schema, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Import from "../import/Import.ts"
import * as Looking from "../Looking.ts"
import { json as print, Streams } from "../Output.ts"
import type * as Progress from "../Progress.ts"
import * as Project from "../Project.ts"
import * as RawCodec from "../RawCodec.ts"
import { finish, limitFlag, notes, progress, root } from "../Root.ts"
import * as Table from "../Table.ts"
import * as Values from "../Values.ts"

/** What the newest view over the topic declares; a project that has no views yet declares nothing. */
const schemaOf = Effect.fnUntraced(function* (folder: string, topic: string) {
  const views = yield* Project.load(folder).pipe(
    Effect.map((project) => project.views.filter((d) => d.view.source.topic === topic)),
    Effect.catchReason("ProjectError", "NoViews", () => Effect.succeed([]))
  )
  const newest = views.toSorted((a, b) => b.view.version - a.view.version)[0]
  return newest?.view.source.schema satisfies TopicSchema | undefined
})

const column = (name: string, what: string) =>
  Flag.String(name).pipe(Flag.withMetavar("COLUMN"), Flag.withDescription(what), Flag.optional)

const importFile = Command.make(
  "import",
  {
    file: Argument.String("file").pipe(Argument.withDescription("An NDJSON, CSV or Parquet file")),
    topic: Flag.String("topic").pipe(Flag.withDescription("The topic; it is made when it isn't there")),
    partitions: Flag.Int("partitions").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Partitions of a topic that is made (default 4)"),
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
      Flag.optional
    ),
    key: column(
      "key",
      "The column whose text is the record's key, which decides its partition; by default there is none"
    ),
    timestamp: column("timestamp", "The column of the record's timestamp; by default the time of the import"),
    format: Flag.Literals("format", Import.formats).pipe(
      Flag.withDescription("By default as the file's name says"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { project: folder } = yield* root
    const { topic } = flags
    const place = yield* Project.open(folder)
    const schema = yield* schemaOf(folder, topic)
    const format = Option.getOrUndefined(flags.format)
    if (schema === undefined && Import.formatOf({ file: flags.file, format }) === "csv") {
      const note = yield* notes
      yield* note(
        `no view of the project reads topic "${topic}" yet: the types of CSV columns are taken from their cells`
      )
    }
    const context = yield* Effect.context<Effect.Services<ReturnType<typeof progress>>>()
    let shown: Progress.Progress | undefined
    let appended = 0
    const report = yield* Import.run({
      file: flags.file,
      format,
      topic,
      partitions: Option.getOrUndefined(flags.partitions),
      key: Option.getOrUndefined(flags.key),
      timestamp: Option.getOrUndefined(flags.timestamp),
      schema,
      onStart: (total) =>
        progress({ title: `import into ${topic}`, unit: "records", total }).pipe(
          Effect.map((p) => void (shown = p)),
          Effect.provideContext(context)
        ),
      onProgress: (n) => {
        appended += n
        return shown?.add(n) ?? Effect.void
      }
    }).pipe(
      Effect.provide(Project.logLayer(place)),
      Effect.onInterrupt(() =>
        finish({
          json: { command: "log import", file: flags.file, topic, records: appended, interrupted: true },
          text: `interrupted: the first ${Table.number(appended)} records of the file were appended to topic ${topic}`
        })
      )
    )
    if (shown !== undefined) yield* shown.done
    yield* finish({
      json: { command: "log import", file: flags.file, ...report },
      text: `${Table.number(report.records)} records appended to topic ${topic}, in ${report.partitions} partitions`
    })
  })
).pipe(Command.withDescription("Append the rows of a file to a topic"))

const topics = Command.make(
  "topics",
  {},
  Effect.fnUntraced(function* () {
    const { project: folder } = yield* root
    const place = yield* Project.open(folder)
    const all = yield* Looking.topics(place)
    yield* finish({
      json: { command: "log topics", topics: all },
      text:
        all.length === 0
          ? `There are no topics yet: "headrace log import FILE --topic T" makes one.`
          : Table.render(
              [
                { name: "topic" },
                ...["partition", "begin", "end"].map((name): Table.Column => ({ name, align: "right" }))
              ],
              all.flatMap((t) => t.partitions.map((p) => [t.name, String(p.partition), String(p.begin), String(p.end)]))
            )
    })
  })
).pipe(Command.withDescription("List the topics of the log and the offsets that it holds"))

const shownBytes = (name: string, value: Uint8Array | null): Record<string, string | null> => {
  const bytes = Values.bytes(value)
  return bytes === null
    ? { [name]: null }
    : "text" in bytes
      ? { [name]: bytes.text }
      : { [`${name}Base64`]: bytes.base64 }
}

const lineOf = (r: RawCodec.Raw): string =>
  print({
    partition: r.partition,
    offset: r.offset,
    timestamp: Values.instant(r.timestamp),
    ...shownBytes("key", r.key),
    ...(r.headers.length === 0
      ? {}
      : { headers: r.headers.map((h) => ({ key: h.key, ...shownBytes("value", h.value) })) }),
    ...shownBytes("value", r.value)
  })

const read = Command.make(
  "read",
  {
    topic: Argument.String("topic"),
    partition: Flag.Int("partition").pipe(
      Flag.withMetavar("P"),
      Flag.withDescription("By default all, one after the other"),
      Flag.optional
    ),
    from: Flag.Int("from").pipe(
      Flag.withMetavar("OFFSET"),
      Flag.withDescription("By default the first that archive or log holds"),
      Flag.optional
    ),
    limit: limitFlag("records of a partition", 20)
  },
  Effect.fnUntraced(function* ({ from, limit, partition, topic }) {
    const { json, project: folder } = yield* root
    const { out } = yield* Streams
    const place = yield* Project.open(folder)
    const records = yield* Effect.gen(function* () {
      const log = yield* OneLog
      const { partitions } = yield* log.describe(topic)
      const wanted = partitions.filter((p) => Option.isNone(partition) || p.partition === partition.value)
      if (wanted.length === 0 && Option.isSome(partition))
        return yield* new EventLogError({
          reason: new PartitionNotFound({ topic, partition: partition.value, partitions: partitions.length })
        })
      let records = 0
      for (const p of wanted) {
        const start = Option.getOrElse(from, () => p.begin)
        if (start >= p.end) continue
        const options = { topic, partition: p.partition, from: start, until: Math.min(p.end, start + limit) }
        const columns = ["key", "value", "headers", "timestamp"]
        yield* log.read(RawCodec.codec, { ...options, columns, prefer: "archive" }).pipe(
          Stream.runForEach((batch) =>
            Effect.sync(() => {
              for (let i = 0; i < batch.count; i++) out(`${lineOf(RawCodec.recordOf(batch, p.partition, i))}\n`)
              records += batch.count
            })
          )
        )
      }
      return records
    }).pipe(Effect.provide(Project.logLayer(place)))
    if (json) yield* finish({ json: { command: "log read", topic, records }, text: "" })
  })
).pipe(Command.withDescription("Print records as JSON lines, from the archive and then the log"))

export const log = Command.make("log").pipe(
  Command.withSubcommands([importFile, topics, read]),
  Command.withDescription("The project's log: import files, list topics, read records")
)
