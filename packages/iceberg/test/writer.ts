/** A writer that the kill test starts and kills: appends file after file, and prints each number once it is committed. */
import { Commit, FileCatalog, Metadata } from "@headrace/iceberg"
import { FolderObjectStore } from "@headrace/s3"
import { Effect } from "effect"
import { file } from "./fixtures.ts"

const [folder, name] = process.argv.slice(2)
const property = `writer.${name}`

const program = Effect.gen(function* () {
  let table = yield* FileCatalog.load({ prefix: "t" })
  for (;;) {
    const next = Number(Metadata.property(table.metadata, property) ?? 0)
    table = yield* Commit.append(table, {
      files: [file(next, `${name}-${next}`)],
      setProperties: { [property]: `${next + 1}` },
      manifestLimit: 5,
      validate: (current) =>
        Number(Metadata.property(current, property) ?? 0) === next
          ? Effect.void
          : Effect.die(new Error("another process writes in my name"))
    })
    process.stdout.write(`${next}\n`)
  }
})
await Effect.runPromise(program.pipe(Effect.provide(FolderObjectStore.layer({ path: folder! }))))
