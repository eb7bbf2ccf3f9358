/** Parquet: a row is a record; instants become epoch milliseconds, dates days in ISO form, decimals keep their places, bytes are base64. */
import { open, type FileHandle } from "node:fs/promises"
import * as Decimal from "@headrace/core/Decimal"
import * as ColumnReader from "@headrace/parquet/ColumnReader"
import type { ColumnType } from "@headrace/parquet/Field"
import { Effect, Stream } from "effect"
import * as Values from "../Values.ts"
import { ColumnUnreadable, FileFailed, NoColumn, wrap } from "./ImportError.ts"
import { BadRow, Page, type Row, type Wanted } from "./Row.ts"

const failed = (file: string) => (cause: unknown) =>
  wrap(new FileFailed({ file, detail: cause instanceof Error ? cause.message : String(cause), appended: 0, cause }))

const access = Effect.fnUntraced(function* (file: string) {
  const handle = yield* Effect.acquireRelease(
    Effect.tryPromise({ try: () => open(file), catch: failed(file) }),
    (h: FileHandle) => Effect.promise(() => h.close())
  )
  const { size } = yield* Effect.tryPromise({ try: () => handle.stat(), catch: failed(file) })
  const read = async (start: number, end: number) => {
    const bytes = new Uint8Array(end - start)
    let at = 0
    while (at < bytes.length) {
      const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at)
      if (bytesRead === 0) break
      at += bytesRead
    }
    return bytes.subarray(0, at)
  }
  return {
    name: file,
    byteLength: size,
    read: (start: number, end: number) => Effect.tryPromise({ try: () => read(start, end), catch: failed(file) })
  }
})

/** A value in JSON; undefined when JSON can't hold it. */
const jsonOf = (type: ColumnType, value: unknown): string | undefined => {
  if (value === null || value === undefined) return "null"
  switch (type.kind) {
    case "decimal":
      return Decimal.format(value as number, type.scale)
    case "date":
      return JSON.stringify(Values.show(value as number, { kind: "date" }))
    case "binary":
      return JSON.stringify(Buffer.from(value as Uint8Array).toString("base64"))
    case "double":
      return Number.isFinite(value) ? JSON.stringify(value) : undefined
    default:
      return JSON.stringify(value)
  }
}

/** Opens a file whose columns can all become JSON; its handle is closed with the scope. */
export const openFile = Effect.fnUntraced(function* (file: string, wanted: Wanted) {
  const parquet = yield* ColumnReader.open(yield* access(file))
  const lists = parquet.schema.filter((f) => f.type.kind === "list").map((f) => f.name)
  const unreadable = [...parquet.unreadable, ...lists]
  if (unreadable.length > 0) return yield* wrap(new ColumnUnreadable({ file, columns: unreadable }))
  const columns = parquet.schema.map((f) => f.name)
  for (const column of [wanted.key, wanted.timestamp])
    if (column !== undefined && !columns.includes(column))
      return yield* wrap(new NoColumn({ file, wanted: column, columns }))
  return parquet
})

/** Rows of one row group, page by page. */
async function* pages(
  parquet: ColumnReader.ParquetFile,
  group: { readonly rowCount: number; readonly columns: Readonly<Record<string, ArrayLike<unknown>>> },
  first: number,
  wanted: Wanted
): AsyncGenerator<ReadonlyArray<Row>, void> {
  const page = new Page()
  const of = (column: string | undefined, i: number) =>
    column === undefined ? undefined : (group.columns[column]![i] ?? null)
  for (let i = 0; i < group.rowCount; i++) {
    const line = first + i
    const fields = parquet.schema.map(({ name, type }) => {
      const json = jsonOf(type, group.columns[name]![i])
      if (json === undefined)
        throw new BadRow(line, `column "${name}" is ${String(group.columns[name]![i])}, which JSON can't hold`)
      return `${JSON.stringify(name)}:${json}`
    })
    const row = { line, text: `{${fields.join(",")}}`, key: of(wanted.key, i), timestamp: of(wanted.timestamp, i) }
    if (page.add(row)) yield page.take()
  }
  const last = page.take()
  if (last.length > 0) yield last
}

/** The rows of a file, page by page; one row group is in memory at a time. */
export const read = <E>(parquet: ColumnReader.ParquetFile, wanted: Wanted, onError: (cause: unknown) => E) => {
  const names = parquet.schema.map((f) => f.name)
  let first = 1
  return Stream.fromIterable(parquet.rowGroups.keys()).pipe(
    Stream.mapEffect((i) => ColumnReader.readRowGroup(parquet, i, names)),
    Stream.flatMap((group) => {
      const from = first
      first += group.rowCount
      return Stream.fromAsyncIterable(pages(parquet, group, from, wanted), onError)
    })
  )
}
