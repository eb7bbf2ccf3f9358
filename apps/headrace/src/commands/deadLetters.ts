/** `headrace dead-letters`: the records that a view could not use, with coordinates and reasons; each can be shown whole. */
import { OneLog } from "@headrace/archive/OneLog"
import { type DeadRow, ViewStore } from "@headrace/core/ViewStore"
import { Effect, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Counts from "../Counts.ts"
import * as Project from "../Project.ts"
import { NoDeadLetter, wrap } from "../ProjectError.ts"
import * as RawCodec from "../RawCodec.ts"
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

interface Record {
  readonly timestamp: string
  readonly key: Bytes
  readonly value: Bytes
  readonly headers: ReadonlyArray<{ readonly key: string; readonly value: Bytes }>
}

const headersOf = (stored: string): Record["headers"] =>
  (JSON.parse(stored) as ReadonlyArray<readonly [string, string | null]>).map(([key, value]) => ({
    key,
    value: Values.bytes(value === null ? null : Buffer.from(value, "base64"))
  }))

/** The record from the log or the archive; undefined when neither holds it. */
const fetch = Effect.fnUntraced(function* (topic: string, partition: number, offset: number) {
  const log = yield* OneLog
  const columns = ["key", "value", "timestamp", "headers"]
  const read = log.read(RawCodec.codec, { topic, partition, from: offset, until: offset + 1, columns, prefer: "tail" })
  const batches = yield* Stream.runCollect(read).pipe(
    Effect.catchIf(
      (e) => e.reason._tag === "Gap",
      () => Effect.succeed([])
    )
  )
  const batch = batches.find((b) => b.count > 0)
  return batch === undefined ? undefined : RawCodec.recordOf(batch, partition, 0)
})

/** The record as the store has it; an expression that failed leaves no bytes there, so they are read again. */
const recordOf = Effect.fnUntraced(function* (place: Project.Place, topic: string, partition: number, dead: DeadRow) {
  if (dead.timestamp !== null)
    return {
      timestamp: Values.instant(dead.timestamp),
      key: Values.bytes(dead.key),
      value: Values.bytes(dead.value),
      headers: headersOf(dead.headers)
    } satisfies Record
  const raw = yield* fetch(topic, partition, dead.offset).pipe(Effect.provide(Project.logLayer(place)))
  return raw === undefined
    ? undefined
    : ({
        timestamp: Values.instant(raw.timestamp),
        key: Values.bytes(raw.key),
        value: Values.bytes(raw.value),
        headers: raw.headers.map((h) => ({ key: h.key, value: Values.bytes(h.value) }))
      } satisfies Record)
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
      const record = yield* recordOf(place, info.topic, partition, dead.value)
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

export const deadLetters = Command.make("dead-letters").pipe(
  Command.withSubcommands([list, show]),
  Command.withDescription("The records that a view could not use")
)
