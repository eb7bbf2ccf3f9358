/** What `headrace check` finds out about declarations: what they read, and how they differ from what is built and archived. */
import * as ArchiveSchema from "@headrace/archive/ArchiveSchema"
import type { TopicSchema } from "@headrace/core/TopicSchema"
import type { VersionInfo } from "@headrace/core/ViewStore"
import { FileCatalog, Table as IcebergTable } from "@headrace/iceberg"
import { View } from "@headrace/kappa"
import { Duration, Effect } from "effect"
import * as Project from "./Project.ts"

/** What a view reads and computes. */
export const describe = ({ file, view }: Project.Declared) => {
  const { columns, eventTime, filters, topic } = view.source
  return {
    view: view.name,
    version: view.version,
    file,
    topic,
    columns,
    filters: filters.length,
    eventTime:
      eventTime === undefined
        ? null
        : {
            column: eventTime.column,
            outOfOrderness: Duration.format(Duration.millis(eventTime.outOfOrderness)),
            afterFilters: view.source.filtersBeforeEventTime
          },
    window: view.window === undefined ? null : Duration.format(Duration.millis(view.window.size)),
    keys: view.keys.map((k) => k.name),
    values: view.aggregates.map(({ spec }) => ({ name: spec.name, kind: spec.kind }))
  }
}

/** What differs between the declaration that a version was built from and the one that is exported now, line by line. */
export const differences = (
  declared: Project.Declared,
  stored: Pick<VersionInfo, "declaration" | "source" | "topicId">,
  topicId: string | undefined
): ReadonlyArray<string> => {
  const now = View.spec(declared.view, declared.source)
  const [old, own] = [stored.declaration.split("\n"), now.declaration.split("\n")]
  const lines = [
    ...old.filter((line) => !own.includes(line)).map((line) => `it was built from "${line}"`),
    ...own.filter((line) => !old.includes(line)).map((line) => `it declares "${line}"`)
  ]
  if (lines.length === 0 && stored.declaration !== now.declaration) lines.push("its lines stand in another order")
  if (lines.length === 0 && stored.source !== now.source)
    lines.push("the source of its module, or of a module that it imports, was changed")
  if (topicId !== undefined && topicId !== stored.topicId)
    lines.push(`topic "${now.topic}" was deleted and made anew since`)
  return lines
}

/** Columns of the archive's table that aren't as the schema declares them. */
export const archiveDifferences = (
  schema: TopicSchema,
  table: ReadonlyArray<{ readonly name: string; readonly type: unknown }>
): ReadonlyArray<string> =>
  ArchiveSchema.fields(schema).flatMap(({ name, type }) => {
    const found = table.find((f) => f.name === name)
    if (found === undefined) return [`it has no column "${name}"`]
    // The ids of a list's fields are the table's own.
    if (type.kind === "list" || JSON.stringify(found.type) === JSON.stringify(type)) return []
    return [`its column "${name}" is ${JSON.stringify(found.type)}, the schema says ${JSON.stringify(type)}`]
  })

/** The columns of a topic's archive; undefined when it has none. */
export const archiveColumns = (place: Project.Place, topic: string) => {
  const layer = Project.archiveLayer(place)
  return layer === undefined
    ? Effect.undefined
    : FileCatalog.load({ prefix: topic }).pipe(
        Effect.flatMap(IcebergTable.fields),
        Effect.catchReason("IcebergError", "TableNotFound", () => Effect.undefined),
        Effect.provide(layer)
      )
}
