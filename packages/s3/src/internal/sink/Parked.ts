/** Late rows that wait: written with a commit whole, and read once when a writer takes over. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as zlib from "node:zlib"
import type { ColumnSpec } from "@headrace/core/TopicSchema"
import type { ObjectSinkError } from "../../ObjectSinkError.ts"
import * as CommitLog from "./CommitLog.ts"
import { OpenFile } from "./OpenFile.ts"

const Parked = Schema.Array(
  Schema.Struct({
    folder: Schema.String,
    partition: Schema.Int,
    offset: Schema.Int,
    due: Schema.Number,
    late: Schema.Boolean,
    rows: Schema.Int,
    spans: Schema.Array(
      Schema.Struct({ partition: Schema.Int, first: Schema.Int, last: Schema.Int, rows: Schema.Int })
    ),
    columns: Schema.Record(Schema.String, Schema.Array(Schema.Unknown))
  })
)

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Parked))

/** The bytes of files of which all rows are in memory. */
export const encode = (files: ReadonlyArray<OpenFile>): Uint8Array => {
  const out: typeof Parked.Encoded = files.map((file) => ({
    folder: file.folder,
    partition: file.partition,
    offset: file.offset,
    due: file.due,
    late: file.late,
    rows: file.rows,
    spans: [...file.spans].map(([partition, { first, last, rows }]) => ({ partition, first, last, rows })),
    columns: Object.fromEntries(file.columns.map((column, c) => [file.specs[c]!.name, Array.from(column)]))
  }))
  return zlib.zstdCompressSync(JSON.stringify(out))
}

/** The files again. A column that the schema got since is null; one that it lost is an error when the sink is made. */
export const load = (
  place: CommitLog.Place,
  name: string,
  specs: ReadonlyArray<ColumnSpec>
): Effect.Effect<ReadonlyArray<OpenFile>, ObjectSinkError> =>
  Effect.gen(function* () {
    const key = CommitLog.parkedKey(place, name)
    const bytes = yield* CommitLog.find(place, key)
    if (bytes === undefined) return yield* CommitLog.corrupt(place, key, "it is missing, and the last commit names it")
    const json = yield* Effect.try({
      try: () => zlib.zstdDecompressSync(bytes).toString(),
      catch: (cause) => CommitLog.corrupt(place, key, String(cause))
    })
    const parked = yield* Effect.mapError(decode(json), (error) => CommitLog.corrupt(place, key, error.message))
    return parked.map((saved) => {
      const file = new OpenFile(saved.folder, "data", specs, saved)
      const rows = Int32Array.from({ length: saved.rows }, (_, i) => i)
      file.append(
        specs.map((spec) => saved.columns[spec.name]),
        rows,
        0,
        saved.rows
      )
      for (const { partition, ...span } of saved.spans) file.spans.set(partition, { ...span, back: undefined })
      file.due = saved.due
      file.late = saved.late
      file.parked = true
      return file
    })
  })
