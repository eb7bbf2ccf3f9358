/** `headrace dead-letters`: the records that a view could not use, with coordinates and reasons; shown whole, or appended to a topic. */
import { type DeadRow, ViewStore } from "@headrace/core/ViewStore"
import { Effect, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Counts from "../Counts.ts"
import * as DeadLetters from "../DeadLetters.ts"
import { Code, Usage } from "../Output.ts"
import * as Project from "../Project.ts"
import { NoDeadLetter, wrap } from "../ProjectError.ts"
import { finish, limitFlag, root, versionFlag, viewArgument } from "../Root.ts"
import * as Stored from "../Stored.ts"
import * as Table from "../Table.ts"
import * as Values from "../Values.ts"

const version = versionFlag.pipe(Flag.withDescription("A version; by default the promoted one"))

const list = Command.make(
  "list",
  { view: viewArgument, version, limit: limitFlag("records", 20) },
  Effect.fnUntraced(function* ({ limit, version, view }) {
    const { project: folder } = yield* root
    const place = yield* Project.open(folder)
    yield* Effect.gen(function* () {
      const store = yield* ViewStore
      const info = yield* Stored.versionOf(view, Option.getOrUndefined(version))
      const records = yield* store.dead(view, info.version).pipe(
        Stream.take(limit),
        Stream.map(({ detail, offset, partition, reason }) => ({ partition, offset, reason, detail })),
        Stream.runCollect
      )
      const total = Counts.total(info.positions).deadLettered
      const first = records[0]
      yield* finish({
        json: { command: "dead-letters list", view, version: info.version, topic: info.topic, total, records },
        text: [
          `${view} version ${info.version}: ${Table.number(total)} dead letters of topic ${info.topic}${records.length < total ? `, the first ${records.length}` : ""}`,
          ...(first === undefined
            ? []
            : [
                "",
                Table.render(
                  [
                    { name: "partition", align: "right" },
                    { name: "offset", align: "right" },
                    { name: "reason" },
                    { name: "detail" }
                  ],
                  records.map((r) => [String(r.partition), String(r.offset), r.reason, r.detail])
                ),
                "",
                `See one whole with: headrace dead-letters show ${view} ${first.partition} ${first.offset}`
              ])
        ].join("\n")
      })
    }).pipe(Effect.provide(Stored.layer(place)))
  })
).pipe(Command.withDescription("List the records that a view could not use"))

type Bytes = ReturnType<typeof Values.bytes>

/** The record for people; undefined when neither store nor log nor archive holds it. */
const recordOf = Effect.fnUntraced(function* (
  place: Project.Place,
  topic: string,
  dead: DeadRow & { readonly partition: number }
) {
  const raw =
    DeadLetters.kept(dead) ??
    (yield* DeadLetters.fetch(topic, dead.partition, dead.offset).pipe(Effect.provide(Project.logLayer(place))))
  return raw === undefined
    ? undefined
    : {
        timestamp: Values.instant(raw.timestamp),
        key: Values.bytes(raw.key),
        value: Values.bytes(raw.value),
        headers: raw.headers.map((h) => ({ key: h.key, value: Values.bytes(h.value) }))
      }
})

const bytesText = (bytes: Bytes): string =>
  bytes === null ? "null" : "text" in bytes ? bytes.text : `base64 ${bytes.base64}`

const show = Command.make(
  "show",
  {
    view: viewArgument,
    partition: Argument.Int("partition"),
    offset: Argument.Int("offset"),
    version
  },
  Effect.fnUntraced(function* ({ offset, partition, version, view }) {
    const { project: folder } = yield* root
    const place = yield* Project.open(folder)
    yield* Effect.gen(function* () {
      const store = yield* ViewStore
      const info = yield* Stored.versionOf(view, Option.getOrUndefined(version))
      const dead = yield* store.dead(view, info.version).pipe(
        Stream.filter((r) => r.partition === partition && r.offset === offset),
        Stream.runHead
      )
      if (Option.isNone(dead)) return yield* wrap(new NoDeadLetter({ view, version: info.version, partition, offset }))
      const { detail, reason } = dead.value
      const record = yield* recordOf(place, info.topic, dead.value)
      const at = { topic: info.topic, partition, offset, reason, detail }
      yield* finish({
        json: { command: "dead-letters show", view, version: info.version, ...at, record: record ?? null },
        text: [
          `${view} version ${info.version}: topic ${info.topic} partition ${partition} offset ${offset}`,
          `reason     ${reason}`,
          `detail     ${detail}`,
          ...(record === undefined
            ? ["The record itself is in neither log nor archive any more."]
            : [
                `timestamp  ${record.timestamp}`,
                `key        ${bytesText(record.key)}`,
                ...record.headers.map((h) => `header     ${h.key}: ${bytesText(h.value)}`),
                `value      ${bytesText(record.value)}`
              ])
        ].join("\n")
      })
    }).pipe(Effect.provide(Stored.layer(place)))
  })
).pipe(Command.withDescription("Show one of them with key, headers and value"))

const replay = Command.make(
  "replay",
  {
    view: viewArgument,
    partition: Argument.Int("partition").pipe(Argument.optional),
    offset: Argument.Int("offset").pipe(Argument.optional),
    version,
    to: Flag.String("to").pipe(
      Flag.withMetavar("TOPIC"),
      Flag.withDescription(
        "Where to; by default the view's topic with .dead-letters behind. It is made when it isn't there"
      ),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ offset, partition, to, version, view }) {
    const { project: folder } = yield* root
    if (Option.isSome(partition) !== Option.isSome(offset))
      return yield* new Usage({ message: "dead-letters replay takes a partition and an offset, or neither for all" })
    const place = yield* Project.open(folder)
    yield* Effect.gen(function* () {
      const info = yield* Stored.versionOf(view, Option.getOrUndefined(version))
      const one = Option.all({ partition, offset })
      const report = yield* DeadLetters.replay({
        info,
        to: Option.getOrElse(to, () => `${info.topic}.dead-letters`),
        wanted: (d) => Option.isNone(one) || (d.partition === one.value.partition && d.offset === one.value.offset)
      }).pipe(Effect.provide(Project.logLayer(place)))
      const { created, missing, records } = report
      if (Option.isSome(one) && records + missing.length === 0)
        return yield* wrap(new NoDeadLetter({ view, version: info.version, ...one.value }))
      const lost = missing.map((m) => `${m.partition}:${m.offset}`).join(", ")
      yield* finish({
        json: { command: "dead-letters replay", view, version: info.version, topic: info.topic, ...report },
        text: [
          `${Table.number(records)} dead letters of ${view} version ${info.version} appended to topic ${report.to}${created ? ", which was made" : ""}`,
          ...(lost === "" ? [] : [`In neither log nor archive any more, so not appended: ${lost}`])
        ].join("\n"),
        code: missing.length === 0 ? Code.ok : Code.error
      })
    }).pipe(Effect.provide(Stored.layer(place)))
  })
).pipe(
  Command.withDescription(
    "Append them to a topic, with headers headrace.topic, .partition, .offset, .reason, .detail, .view, .version and .time. Another replay appends them again: topic, partition, offset, view and version tell that it is the same"
  )
)

export const deadLetters = Command.make("dead-letters").pipe(
  Command.withSubcommands([list, show, replay]),
  Command.withDescription("The records that a view could not use")
)
