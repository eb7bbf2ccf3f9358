/** Run as a user who may only read `<folder>/readable`, and nothing of `<folder>/closed`: prints what each attempt says, as JSON. */
import { FolderObjectStore, type ObjectStore } from "@headrace/s3"
import { FileCatalog } from "@headrace/iceberg"
import { Effect } from "effect"
import { join } from "node:path"
import { create } from "./fixtures.ts"

const folder = process.argv[2]!
const over = <A, E extends { readonly message: string }>(name: string, effect: Effect.Effect<A, E, ObjectStore>) =>
  effect.pipe(
    Effect.provide(FolderObjectStore.layer({ path: join(folder, name) })),
    Effect.match({ onSuccess: () => "it could", onFailure: (error) => error.message })
  )
const said = await Effect.runPromise(
  Effect.all({
    make: over("readable/new", create("t")),
    create: over("readable", create("other")),
    load: over("closed", FileCatalog.load({ prefix: "t" })),
    read: over("readable", FileCatalog.load({ prefix: "t" }))
  })
)
console.log(JSON.stringify(said))
