/** A sink's options, checked once. */
import * as TopicSchema from "@headrace/core/TopicSchema"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { checkPrefix } from "../../Key.ts"
import type { Location, Options } from "../../ObjectSink.ts"
import type { Service } from "../../ObjectStore.ts"
import { InvalidOptions, ObjectSinkError } from "../../ObjectSinkError.ts"
import * as CommitLog from "./CommitLog.ts"
import type { Format } from "./Encoder.ts"
import * as PathTemplate from "./PathTemplate.ts"
import type { Rules } from "./SinkState.ts"

export interface Settings {
  readonly rules: Rules
  readonly format: Format
  readonly path: string
  /** The files' columns as they are kept with the commits: their types by name. */
  readonly columns: Readonly<Record<string, string>>
  readonly fileBytes: number
  readonly bufferBytes: number
  readonly openFiles: number
  readonly groupRows: number
}

const invalid = (sink: string, detail: string) => new ObjectSinkError({ reason: new InvalidOptions({ sink, detail }) })

/** Where a sink's objects are. */
export const placeOf = (store: Service, { name, prefix }: Location): CommitLog.Place => ({
  store,
  sink: name,
  key: (path) => (prefix === "" ? path : `${prefix}/${path}`)
})

/** Refuses names and prefixes that can't be. */
export const checkLocation = ({ name, prefix }: Location): Effect.Effect<void, ObjectSinkError> => {
  if (!/^[a-z0-9][a-z0-9-]{0,39}$/.test(name))
    return Effect.fail(invalid(name, "its name is one of 1 to 40 lower-case letters, digits and dashes"))
  return prefix === ""
    ? Effect.void
    : Effect.mapError(checkPrefix(`${prefix}/`), (error) => invalid(name, `its prefix: ${error.message}`))
}

/** Keys have 1,024 bytes at most; a file's name has 120 at most. */
const longestKey = 1024
const longestName = 121

const typeText = ({ type }: TopicSchema.ColumnSpec) => (type.kind === "decimal" ? `decimal(${type.scale})` : type.kind)

export const make = (options: Options): Effect.Effect<Settings, ObjectSinkError> =>
  Effect.gen(function* () {
    yield* checkLocation(options)
    const { bad = "keep", bufferBytes = 32 << 20, format, groupRows = 65_536, late, name, openFiles = 8 } = options
    const { path = "", prefix, roll = {} } = options
    const schema = "fingerprint" in options.schema ? options.schema : TopicSchema.make(options.schema)
    const { age = "10 minutes", bytes = 128 << 20, rows = Infinity } = roll
    for (const [what, value] of Object.entries({
      bufferBytes,
      groupRows,
      openFiles,
      "roll.bytes": bytes,
      "roll.rows": rows
    }))
      if (value !== Infinity && (!Number.isSafeInteger(value) || value < 1))
        return yield* invalid(name, `${what} is a whole number of 1 or more, not ${value}`)
    const millisOf = (what: string, input: Duration.Input) => {
      const millis = Duration.toMillis(input)
      return millis > 0 ? Effect.succeed(millis) : Effect.fail(invalid(name, `${what} is longer than nothing`))
    }
    const longest = longestKey - longestName - Buffer.byteLength(prefix) - 1
    const template = PathTemplate.parse(path, schema.columns, longest)
    if (typeof template === "string") return yield* invalid(name, template)
    let lateRule: Rules["late"]
    if (late !== undefined) {
      const column = schema.columns.findIndex((c) => c.name === late.column)
      if (schema.columns[column]?.type.kind !== "instant")
        return yield* invalid(name, `late.column is an instant of the schema; "${late.column}" isn't`)
      lateRule = {
        column,
        afterMillis: Duration.toMillis(late.after),
        ageMillis: yield* millisOf("late.age", late.age)
      }
    }
    const rules: Rules = {
      sink: name,
      specs: schema.columns,
      template,
      badFolder: `${CommitLog.folderOf(name)}/bad`,
      onBad: bad,
      fileRows: rows,
      ageMillis: yield* millisOf("roll.age", age),
      late: lateRule
    }
    const columns = Object.fromEntries(schema.columns.map((spec) => [spec.name, typeText(spec)]))
    return { rules, format, path, columns, fileBytes: bytes, bufferBytes, openFiles, groupRows }
  })

/** Refuses what was committed under other rules. */
export const check = (
  { columns, path, rules }: Settings,
  head: CommitLog.Commit
): Effect.Effect<void, ObjectSinkError> => {
  const refuse = (detail: string) => Effect.fail(invalid(rules.sink, detail))
  if (head.path !== path && (head.held.length > 0 || head.parked !== null))
    return refuse(
      `rows are under way into "${head.path}", and the path is "${path}" now; flush under the old path first`
    )
  for (const [name, type] of Object.entries(head.columns)) {
    const own = columns[name]
    if (own !== undefined && own !== type)
      return refuse(
        `column "${name}" is ${own}, and ${type} in the files that are there; give the new one another name`
      )
    if (own === undefined && head.parked !== null)
      return refuse(
        `late rows with a column "${name}" wait, and the schema doesn't have it any more; flush under the old schema first`
      )
  }
  return Effect.void
}
