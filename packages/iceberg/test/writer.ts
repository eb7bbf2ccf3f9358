/**
 * A writer that the kill test starts and kills: appends file after file, and prints each number once it is committed. The one named
 * "replacer" replaces two files of a partition by one instead, and notes in a property what became of them.
 */
import { Commit, FileCatalog, Metadata, Table } from "@headrace/iceberg"
import { FolderObjectStore } from "@headrace/s3"
import { Effect } from "effect"
import { file } from "./fixtures.ts"

const [folder, name] = process.argv.slice(2)
const property = `writer.${name}`

const mine = (next: number) => ({
  manifestLimit: 5,
  validate: (current: Metadata.TableMetadata) =>
    Number(Metadata.property(current, property) ?? 0) === next
      ? Effect.void
      : Effect.die(new Error("another process writes in my name"))
})

const append = (table: Table.Table, next: number) =>
  Commit.append(table, {
    ...mine(next),
    files: [file(next, `${name}-${next}`)],
    setProperties: { [property]: `${next + 1}` }
  })

const replace = (table: Table.Table, next: number) =>
  Effect.gen(function* () {
    const partitionOf = (task: { readonly file: { readonly partition: unknown } }) =>
      JSON.stringify(task.file.partition)
    const tasks = yield* Table.scan(table)
    const groups = new Map<string, Array<(typeof tasks)[number]>>()
    for (const task of tasks) groups.set(partitionOf(task), [...(groups.get(partitionOf(task)) ?? []), task])
    const removed = [...groups.values()].find((group) => group.length > 1)?.slice(0, 2)
    if (removed === undefined) return yield* Effect.delay(FileCatalog.load(table), 10)
    const made = file(0, `${name}-${next}`)
    const rowCount = removed.reduce((rows, task) => rows + task.file.recordCount, 0)
    const of = removed.map((task) => task.file.path.slice(task.file.path.lastIndexOf("/") + 1, -".parquet".length))
    return yield* Commit.replace(table, {
      ...mine(next),
      removed,
      added: [{ ...made, partition: removed[0]!.file.partition, summary: { ...made.summary, rowCount } }],
      setProperties: { [property]: `${next + 1}`, [`${name}-${next}`]: of.join() }
    })
  })

const program = Effect.gen(function* () {
  let table = yield* FileCatalog.load({ prefix: "t" })
  for (;;) {
    const next = Number(Metadata.property(table.metadata, property) ?? 0)
    table = yield* name === "replacer" ? replace(table, next) : append(table, next)
    if (Metadata.property(table.metadata, property) === `${next + 1}`) process.stdout.write(`${next}\n`)
  }
})
await Effect.runPromise(program.pipe(Effect.provide(FolderObjectStore.layer({ path: folder! }))))
