/**
 * Rows as the bytes of one file: Parquet, NDJSON or CSV, the latter two plain, in gzip or in zstd. Memory is bounded by one group of rows.
 *
 * A compressed text is one gzip member or one zstd frame: Node's own zstd reader stops after the first of several.
 */
import type { Column } from "@headrace/core/Batch"
import type { ColumnSpec, ColumnType } from "@headrace/core/TopicSchema"
import * as ColumnWriter from "@headrace/parquet/ColumnWriter"
import type { Field } from "@headrace/parquet/Field"
import type { ParquetError } from "@headrace/parquet/ParquetError"
import * as Effect from "effect/Effect"
import * as zlib from "node:zlib"
import * as Text from "./text.ts"

/** What a sink writes. Parquet is compressed within (zstd). */
export type Format =
  | { readonly kind: "parquet" }
  | { readonly kind: "ndjson" | "csv"; readonly compression?: "none" | "gzip" | "zstd" }

/** A file under way. Both give the bytes that are ready. */
export interface Encoder {
  readonly group: (
    columns: ReadonlyArray<Column>,
    rows: number
  ) => Effect.Effect<ReadonlyArray<Uint8Array>, ParquetError>
  readonly finish: Effect.Effect<ReadonlyArray<Uint8Array>>
}

/** The end of a file's name. */
export const extension = (format: Format): string => {
  if (format.kind === "parquet") return "parquet"
  const { compression = "none" } = format
  return compression === "none" ? format.kind : `${format.kind}.${compression === "gzip" ? "gz" : "zst"}`
}

const utf8 = new TextEncoder()

const parquetType = (type: ColumnType): Field["type"] => {
  switch (type.kind) {
    case "integer":
      return { kind: "long" }
    case "instant":
      return { kind: "timestamptz" }
    case "decimal":
      return { kind: "decimal", precision: 18, scale: type.scale }
    default:
      return { kind: type.kind }
  }
}

const parquet = (specs: ReadonlyArray<ColumnSpec>, name: string): Effect.Effect<Encoder> =>
  Effect.gen(function* () {
    let chunks: Array<Uint8Array> = []
    const take = () => {
      const taken = chunks
      chunks = []
      return taken
    }
    const writer = yield* ColumnWriter.make({
      // Nullable whatever the schema says: a later one may leave the column out.
      schema: specs.map((spec) => ({ name: spec.name, type: parquetType(spec.type), required: false })),
      name,
      sink: (chunk) => void chunks.push(chunk)
    })
    return {
      group: (columns, rows) =>
        Effect.map(
          writer.writeRowGroup(Object.fromEntries(specs.map((spec, c) => [spec.name, columns[c]!])), rows),
          take
        ),
      finish: Effect.map(writer.finish(), take)
    }
  })

/** Chunks of text are encoded at this many characters. */
const chunkLength = 1 << 16

/** A text format by its line of a row. */
const lines =
  (line: (columns: ReadonlyArray<Column>, row: number) => string) =>
  (columns: ReadonlyArray<Column>, rows: number): ReadonlyArray<Uint8Array> => {
    const out: Array<Uint8Array> = []
    let text = ""
    for (let i = 0; i < rows; i++) {
      text += line(columns, i)
      if (text.length < chunkLength) continue
      out.push(utf8.encode(text))
      text = ""
    }
    if (text !== "") out.push(utf8.encode(text))
    return out
  }

const ndjson = (specs: ReadonlyArray<ColumnSpec>) => {
  const names = specs.map((spec) => `${JSON.stringify(spec.name)}:`)
  const texts = specs.map((spec) => Text.json(spec.type))
  return lines((columns, i) => {
    let text = "{"
    for (let c = 0; c < columns.length; c++) {
      const value = columns[c]![i]
      if (value === null) continue
      text += (text === "{" ? "" : ",") + names[c]! + texts[c]!(value)
    }
    return `${text}}\n`
  })
}

const csv = (specs: ReadonlyArray<ColumnSpec>) => {
  const texts = specs.map((spec) => Text.csv(spec.type))
  return lines((columns, i) => {
    let text = ""
    for (let c = 0; c < columns.length; c++) {
      const value = columns[c]![i]
      if (c > 0) text += ","
      if (value !== null) text += texts[c]!(value)
    }
    // A line without anything would be no row.
    return text === "" ? '""\n' : `${text}\n`
  })
}

/** One compressed stream: bytes in, what is ready out. */
const compressor = (compression: "gzip" | "zstd") => {
  const stream = compression === "gzip" ? zlib.createGzip() : zlib.createZstdCompress()
  let chunks: Array<Uint8Array> = []
  stream.on("data", (chunk: Uint8Array) => void chunks.push(new Uint8Array(chunk)))
  const take = () => {
    const taken = chunks
    chunks = []
    return taken
  }
  // Compressing bytes in memory can fail only for lack of it: a defect.
  const write = (bytes: Uint8Array) =>
    Effect.promise(
      () => new Promise<void>((resolve, reject) => stream.write(bytes, (error) => (error ? reject(error) : resolve())))
    )
  const finish = Effect.promise(
    () =>
      new Promise<void>((resolve, reject) => {
        stream.once("end", resolve).once("error", reject)
        stream.end()
      })
  )
  return { write, take, finish }
}

/** Opens a file. `name` is for errors. */
export const open = (format: Format, specs: ReadonlyArray<ColumnSpec>, name: string): Effect.Effect<Encoder> => {
  if (format.kind === "parquet") return parquet(specs, name)
  return Effect.sync((): Encoder => {
    const encode = format.kind === "csv" ? csv(specs) : ndjson(specs)
    const header = format.kind === "csv" ? `${specs.map((spec) => Text.quote(spec.name)).join(",")}\n` : ""
    let started = header === ""
    const group = (columns: ReadonlyArray<Column>, rows: number) => {
      const bytes = encode(columns, rows)
      if (started) return bytes
      started = true
      return [utf8.encode(header), ...bytes]
    }
    const { compression = "none" } = format
    if (compression === "none")
      return { group: (columns, rows) => Effect.sync(() => group(columns, rows)), finish: Effect.succeed([]) }
    const pipe = compressor(compression)
    return {
      group: (columns, rows) =>
        Effect.map(
          Effect.suspend(() => Effect.forEach(group(columns, rows), pipe.write, { discard: true })),
          pipe.take
        ),
      finish: Effect.map(pipe.finish, pipe.take)
    }
  })
}
