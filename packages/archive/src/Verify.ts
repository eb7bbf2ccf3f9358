/**
 * Proving an archive: everything that its table says of itself is compared with what is there, and every difference is a finding.
 *
 * 1. The snapshots of the table's history are the archiver's own, or only rewrote files; the ranges that they cover follow on each other; and
 *    the vector in the table's property is their end.
 * 2. Each file of the current snapshot is read whole (`FileCheck`).
 * 3. No offset is in two files, each lies within what is covered and within the range of the snapshot that added its file; and there are as
 *    many records as the vector and the snapshots' summaries say.
 *
 * A repair is made where nothing but the vector is wrong, since the table was rolled back behind it: the vector is set back to what the
 * snapshots cover, in a commit of its own, and the archiver goes on from there. All else names what to do.
 */
import * as Commit from "@headrace/iceberg/Commit"
import * as FileCatalog from "@headrace/iceberg/FileCatalog"
import * as Metadata from "@headrace/iceberg/Metadata"
import type { FileTask } from "@headrace/iceberg/Scan"
import * as Table from "@headrace/iceberg/Table"
import type { ObjectStore } from "@headrace/s3/ObjectStore"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { ArchiveError, ArchiveFailed, ArchiveInvalid } from "./Archive.ts"
import * as Coverage from "./Coverage.ts"
import * as FileCheck from "./FileCheck.ts"
import type { Range } from "./HandOver.ts"
import * as History from "./History.ts"

/** What is wrong: `detail` says what was expected and what is there, `todo` what to do. */
export interface Finding {
  readonly kind: History.Problem["kind"] | FileCheck.Problem["kind"] | "metadata" | "overlap" | "outside" | "count"
  /** The data or metadata file's path. */
  readonly file?: string
  readonly snapshot?: string
  readonly partition?: number
  readonly detail: string
  readonly todo: string
}

/** What was verified. */
export interface Report {
  readonly topic: string
  readonly snapshots: number
  readonly files: number
  readonly records: number
  readonly findings: ReadonlyArray<Finding>
  /** What a repair changed, in words. */
  readonly repaired: string | undefined
}

export interface Options {
  readonly topic: string
  /** Set the vector back where that is safe. Default false. */
  readonly repair?: boolean
  /** Called with the records that were read. */
  readonly onProgress?: (records: number) => Effect.Effect<void>
}

const restore =
  "restore the file from a backup, or roll the table back to a snapshot without it and run this again with --repair"
const rewrite =
  "the file isn't what the archiver wrote: roll the table back to the snapshot before it, run this again with --repair, and archive again"

const failed = (topic: string) => (cause: { readonly message: string }) =>
  new ArchiveError({ reason: new ArchiveFailed({ topic, detail: cause.message, cause }) })

/** A file of the table, as it is. */
interface Held {
  readonly task: FileTask
  readonly checked: FileCheck.Checked
}

/** What is wrong with where files' offsets lie. Pure. */
const placement = (
  files: ReadonlyArray<Held>,
  covered: ReadonlyMap<number, Range>,
  metadata: Metadata.TableMetadata
): ReadonlyArray<Finding> => {
  const out: Array<Finding> = []
  const partitions = new Map<number, Array<Held>>()
  for (const held of files) {
    const partition = held.task.file.partition["__partition"]
    if (typeof partition !== "number" || held.checked.first === undefined) continue
    const own = partitions.get(partition) ?? []
    own.push(held)
    partitions.set(partition, own)
  }
  for (const [partition, own] of partitions) {
    own.sort((a, b) => a.checked.first! - b.checked.first!)
    const range = covered.get(partition)
    let before: Held | undefined
    for (const held of own) {
      const { file, snapshotId } = held.task
      const [first, last] = [held.checked.first!, held.checked.last!]
      const at = { file: file.path, partition }
      if (before !== undefined && first <= before.checked.last!)
        out.push({
          ...at,
          kind: "overlap",
          detail: `its offsets ${first} to ${last} overlap those of ${before.task.file.path}, which end at ${before.checked.last}`,
          todo: "records are there twice: roll the table back to the snapshot before the later file, and run this again with --repair"
        })
      const outside = (what: string, bounds: Range | undefined) => {
        if (bounds !== undefined && first >= bounds.begin && last < bounds.end) return
        const shown = bounds === undefined ? "nothing" : `[${bounds.begin}, ${bounds.end})`
        out.push({
          ...at,
          kind: "outside",
          detail: `its offsets ${first} to ${last} lie outside of ${shown}, which ${what} covers`,
          todo: rewrite
        })
      }
      outside("the archive", range)
      const snapshot = Metadata.snapshot(metadata, snapshotId)
      const ranges = snapshot === undefined ? undefined : Coverage.rangesOf(snapshot)
      if (ranges !== undefined) outside(`snapshot ${snapshotId}`, ranges.get(partition))
      if (before === undefined || last > before.checked.last!) before = held
    }
  }
  return out
}

/** Where the table has another number of records than it says. Pure. */
const counts = (
  files: ReadonlyArray<Held>,
  coverage: Coverage.Coverage,
  metadata: Metadata.TableMetadata
): ReadonlyArray<Finding> => {
  const rows = files.reduce((n, { checked }) => n + checked.rows, 0)
  const out: Array<Finding> = []
  if (rows !== coverage.records)
    out.push({
      kind: "count",
      detail: `the vector says ${coverage.records} records, the files hold ${rows}`,
      todo: "see the other findings; where there is none, a file went without a trace: restore the table from a backup"
    })
  const current = Metadata.currentSnapshot(metadata)
  const total = current?.summary["total-records"]
  if (total !== undefined && total !== `${rows}`)
    out.push({
      kind: "count",
      snapshot: `${current!["snapshot-id"]}`,
      detail: `its summary says ${total} records in total, the files hold ${rows}`,
      todo: "see the other findings; where there is none, the summary alone is wrong, and the next replace or a new table mends it"
    })
  return out
}

const todoOf: Readonly<Record<FileCheck.Problem["kind"], string>> = {
  "file-missing": restore,
  "file-size": restore,
  "file-unreadable": restore,
  "file-rows": rewrite,
  "file-bounds": rewrite,
  "file-partition": rewrite,
  "file-offsets": rewrite
}

/** Sets the vector to what the snapshots cover, unless somebody commits meanwhile. */
const setBack = (topic: string, table: Table.Table, coverage: Coverage.Coverage) =>
  Commit.append(table, {
    files: [],
    summary: { "headrace.repair": "vector set back after a rollback" },
    setProperties: (id) => ({ [Coverage.property]: Coverage.print(coverage, id) }),
    validate: (current) =>
      Metadata.currentId(current) === Metadata.currentId(table.metadata) &&
      Metadata.property(current, Coverage.property) === Metadata.property(table.metadata, Coverage.property)
        ? Effect.void
        : new ArchiveError({
            reason: new ArchiveInvalid({ topic, detail: "somebody committed while it was verified: run this again" })
          })
  })

/**
 * Verifies the archive of a topic; `undefined` when there is none. Fails only where the store can't be read, or a repair can't be committed.
 */
export const run = Effect.fn("Verify.run")(function* (
  options: Options
): Effect.fn.Return<Report | undefined, ArchiveError, ObjectStore> {
  const { onProgress = () => Effect.void, repair = false, topic } = options
  const report = (findings: ReadonlyArray<Finding>, rest: Partial<Report> = {}): Report => ({
    topic,
    snapshots: 0,
    files: 0,
    records: 0,
    repaired: undefined,
    ...rest,
    findings
  })
  /** Metadata that is gone or corrupt is a finding; all else of a table's failures is one of this run. */
  const orFinding = <A, R>(effect: Effect.Effect<A, Parameters<typeof ofIceberg>[0], R>) =>
    Effect.catch(Effect.map(effect, Result.succeed), (error) => {
      const finding = ofIceberg(error)
      return finding === undefined ? Effect.fail(failed(topic)(error)) : Effect.succeed(Result.fail(finding))
    })
  const loaded = yield* FileCatalog.load({ prefix: topic }).pipe(
    Effect.catchReason("IcebergError", "TableNotFound", () => Effect.undefined),
    orFinding
  )
  if (Result.isFailure(loaded)) return report([loaded.failure])
  const table = loaded.success
  if (table === undefined) return undefined
  const { metadata } = table
  const history = History.check(metadata)
  const snapshots = history.lineage.length
  const findings: Array<Finding> = []
  const scanned = yield* orFinding(Table.scan(table))
  if (Result.isFailure(scanned)) return report([...history.problems, scanned.failure], { snapshots })
  const fields = yield* Effect.mapError(Table.fields(table), failed(topic))
  const files: Array<Held> = []
  for (const task of scanned.success) {
    const { file } = task
    const key = yield* Effect.mapError(Table.keyOf(table, file.path), failed(topic))
    const checked = yield* Effect.mapError(FileCheck.run({ key, file, fields, onProgress }), failed(topic))
    files.push({ task, checked })
    for (const { detail, kind } of checked.problems)
      findings.push({ kind, file: file.path, detail, todo: todoOf[kind] })
  }
  const rows = files.reduce((n, { checked }) => n + checked.rows, 0)
  // After a rollback the files are compared with what the snapshots cover.
  const coverage =
    history.coverage === undefined || history.setBack === undefined
      ? history.coverage
      : { ...history.coverage, ranges: history.setBack, records: rows }
  if (coverage !== undefined)
    findings.push(...placement(files, coverage.ranges, metadata), ...counts(files, coverage, metadata))
  const rest = { snapshots, files: files.length, records: rows }
  if (!repair || history.setBack === undefined || coverage === undefined || findings.length > 0)
    return report([...history.problems, ...findings], rest)
  yield* Effect.mapError(setBack(topic, table, coverage), (e) => (e._tag === "ArchiveError" ? e : failed(topic)(e)))
  const ends = [...coverage.ranges].map(([partition, { end }]) => `partition ${partition} ends at ${end}`)
  return report([], { ...rest, repaired: `the vector was set back to what the snapshots cover: ${ends.join(", ")}` })
})

/** What an Iceberg failure says of the table; undefined where it says nothing of it. */
const ofIceberg = (error: {
  readonly message: string
  readonly reason: { readonly _tag: string; readonly file?: unknown }
}): Finding | undefined => {
  const { _tag, file } = error.reason
  if (_tag !== "MissingFile" && _tag !== "Corrupt") return undefined
  return { kind: "metadata", file: String(file), detail: error.message, todo: restore }
}
