/**
 * What a sink knows, without any I/O: which file a row belongs to, when a file is due, and what a commit says.
 *
 * Rows of a folder are taken in the order in which they come, and a file is committed whole. So of each folder and partition the committed
 * rows are those below some offset. A commit may leave files open: where its position is beyond their first row, `held` says from which
 * offset on their folder's rows are missing, and the source goes on from there; then all others below the position are passed over.
 */
import { type Column, type ColumnBatch, Kind } from "@headrace/core/Batch"
import type { ColumnSpec } from "@headrace/core/TopicSchema"
import type { BadRow, ColumnMismatch, Gap } from "../../ObjectSinkError.ts"
import * as Errors from "../../ObjectSinkError.ts"
import * as BadRows from "./BadRows.ts"
import type { Commit, Held, Partition } from "./CommitLog.ts"
import { OpenFile, type Span } from "./OpenFile.ts"
import type { PathTemplate } from "./PathTemplate.ts"

/** The rules of a sink. */
export interface Rules {
  readonly sink: string
  readonly specs: ReadonlyArray<ColumnSpec>
  readonly template: PathTemplate
  readonly badFolder: string
  readonly onBad: "keep" | "fail"
  readonly fileRows: number
  readonly ageMillis: number
  readonly late: { readonly column: number; readonly afterMillis: number; readonly ageMillis: number } | undefined
}

/** A partition's place and counts; `read` counts rows that were taken, `written` and `bad` those in committed files. */
interface Place {
  readonly partition: number
  position: number
  resume: unknown
  watermark: number | null
  read: number
  written: number
  bad: number
  tombstones: number
  /** Where the next batch begins: below `position` while rows come again. */
  at: number
}

/** The files of a commit. */
export interface Plan {
  readonly close: ReadonlyArray<OpenFile>
  readonly park: ReadonlyArray<OpenFile>
}

export class SinkState {
  readonly #rules: Rules
  readonly #places = new Map<number, Place>()
  readonly #files = new Map<string, OpenFile>()
  /** Files that take no more rows. */
  #full: Array<OpenFile> = []
  /** Folders whose rows come again: from which offset on they aren't committed, by partition. */
  readonly #again = new Map<number, Map<string, number>>()
  /** When something that no commit holds came first. */
  #dirtySince: number | undefined

  constructor(rules: Rules, commit: Commit | undefined) {
    this.#rules = rules
    for (const p of commit?.partitions ?? []) {
      this.#places.set(p.partition, { ...p, at: p.next })
      if (p.next < p.position) this.#again.set(p.partition, new Map())
    }
    for (const { first, folder, partition } of commit?.held ?? []) this.#again.get(partition)?.set(folder, first)
  }

  /** Files in memory or in upload, those that are full first. */
  get open(): ReadonlyArray<OpenFile> {
    return [...this.#full, ...this.#files.values()]
  }

  /** Takes over a file of rows that wait. */
  restore(file: OpenFile): void {
    this.#files.set(file.folder, file)
  }

  /** Ends a file early; the next row of its folder begins another. */
  end(file: OpenFile): void {
    if (this.#files.get(file.folder) !== file) return
    this.#files.delete(file.folder)
    this.#full.push(file)
  }

  get hasFull(): boolean {
    return this.#full.length > 0
  }

  /** When the next commit is due, epoch milliseconds, or `Infinity`. */
  get due(): number {
    let due = this.#dirtySince === undefined ? Infinity : this.#dirtySince + this.#rules.ageMillis
    for (const file of this.#files.values()) due = Math.min(due, file.due)
    return due
  }

  /** Where each partition's batch must begin. */
  at(partition: number): number | undefined {
    return this.#places.get(partition)?.at
  }

  /** Takes a batch's rows. Gives what is wrong with it; then the state is of no more use. */
  add(batch: ColumnBatch, resume: unknown, now: number): Gap | ColumnMismatch | BadRow | undefined {
    const rules = this.#rules
    const { badFolder, sink, specs } = rules
    const { count, offsets, partition, topic } = batch
    const known = this.#places.get(partition)
    const where = { sink, topic, partition }
    if (known !== undefined && known.at < batch.base)
      return new Errors.Gap({ ...where, expected: known.at, base: batch.base })
    // Rows that were taken before are passed over.
    if (known !== undefined && batch.next <= known.at) return undefined
    const columns: ReadonlyArray<Column | undefined> = specs.map((spec) => batch.columns[spec.name])
    const mismatch = this.#mismatch(batch, columns)
    if (mismatch !== undefined) return mismatch
    const bad = BadRows.find(specs, columns, batch)
    if (rules.onBad === "fail" && bad.size > 0) {
      const first = Math.min(...bad.keys())
      const { code, field } = bad.get(first)!
      return new Errors.BadRow({ ...where, offset: offsets[first]!, code, field })
    }

    const place = known ?? fresh(batch)
    const again = this.#again.get(partition)
    const from = place.at
    const back = { next: from, resume: place.resume }
    const targets: Array<OpenFile> = []
    const counts: Array<number> = []
    const slots = new Map<OpenFile, number>()
    const slotOf = new Int32Array(count).fill(-1)
    const { late } = rules
    const times = late === undefined ? undefined : columns[late.column]
    for (let i = 0; i < count; i++) {
      const offset = offsets[i]!
      if (offset < from) continue
      const isAgain = offset < place.position
      if (batch.kinds?.[i] === Kind.tombstone) {
        if (!isAgain) {
          place.tombstones++
          place.read++
        }
        continue
      }
      const isBad = bad.size > 0 && bad.has(i)
      let folder = isBad ? badFolder : rules.template.folderOf(columns, i)
      if (folder === undefined) {
        const problem = { code: "out-of-range", field: "(folder)" } as const
        if (rules.onBad === "fail") return new Errors.BadRow({ ...where, offset, ...problem })
        bad.set(i, problem)
        folder = badFolder
      }
      let isLate = false
      if (times !== undefined && folder !== badFolder) {
        const time = times[i]
        if (typeof time === "number") {
          isLate = place.watermark !== null && time < place.watermark - late!.afterMillis
          if (place.watermark === null || time > place.watermark) place.watermark = time
        }
      }
      if (isAgain && offset < (again?.get(folder) ?? Infinity)) continue
      place.read++

      let file = this.#files.get(folder)
      let slot = file === undefined ? undefined : slots.get(file)
      if (file !== undefined && file.rows + (slot === undefined ? 0 : counts[slot]!) >= rules.fileRows) {
        this.end(file)
        file = undefined
        slot = undefined
      }
      if (file === undefined) {
        const kind = folder === badFolder ? "bad" : "data"
        file = new OpenFile(folder, kind, kind === "bad" ? BadRows.specs : specs, { partition, offset })
        this.#files.set(folder, file)
      }
      if (slot === undefined) {
        slot = targets.length
        targets.push(file)
        counts.push(0)
        slots.set(file, slot)
      }
      counts[slot]!++
      slotOf[i] = slot
      this.#stamp(file, partition, offset, back, isLate, now)
    }
    const badColumns = bad.size > 0 ? BadRows.columns(batch, columns, specs, bad) : undefined
    distribute(slotOf, counts, (slot, rows, from, to) => {
      const file = targets[slot]!
      file.append(file.kind === "bad" ? badColumns! : columns, rows, from, to)
    })

    place.at = batch.next
    place.resume = resume ?? null
    if (place.at >= place.position) {
      place.position = place.at
      this.#again.delete(partition)
    }
    this.#places.set(partition, place)
    this.#dirtySince ??= now
    return undefined
  }

  #stamp(file: OpenFile, partition: number, offset: number, back: Span["back"], late: boolean, now: number): void {
    const { ageMillis, late: rule } = this.#rules
    file.due = Math.min(file.due, now + (late ? rule!.ageMillis : ageMillis))
    if (!late) file.late = false
    const span = file.spans.get(partition)
    if (span === undefined) file.spans.set(partition, { first: offset, last: offset, rows: 1, back })
    else {
      span.last = offset
      span.rows++
    }
  }

  #mismatch(batch: ColumnBatch, columns: ReadonlyArray<Column | undefined>): ColumnMismatch | undefined {
    if (batch.count === 0) return undefined
    const { sink, specs } = this.#rules
    const { partition, topic } = batch
    const refuse = (column: string, detail: string) =>
      new Errors.ColumnMismatch({ sink, topic, partition, offset: batch.offsets[0]!, column, detail })
    for (let c = 0; c < specs.length; c++) {
      const { name, nullable } = specs[c]!
      if (columns[c] === undefined && !nullable)
        return refuse(
          name,
          "the batch doesn't have it, and the schema says that it is never null; let the schema say that it may be"
        )
      if (columns[c] !== undefined && columns[c]!.length < batch.count)
        return refuse(name, `it has ${columns[c]!.length} values, and the batch ${batch.count} rows`)
    }
    const names = new Set(specs.map((spec) => spec.name))
    for (const name of Object.keys(batch.columns))
      if (!names.has(name))
        return refuse(name, "the sink's schema doesn't have it; add it there as one that may be null")
    return undefined
  }

  /**
   * The files of a commit now: those that are full, and as many of those that are due, or of `all`, as there is room for up to `limit`. Late
   * rows that aren't due wait in the commit itself.
   */
  plan(now: number, all: boolean, limit: number): Plan {
    const close = [...this.#full]
    const park: Array<OpenFile> = []
    for (const file of this.#files.values()) {
      // Closed with any commit: when the first of its rows can't be had again and is no more in memory, and bad rows, which another codec may
      // take for good ones after a restart and route elsewhere.
      const stuck = file.kind === "bad" || (file.parked && !file.inMemory)
      if (stuck || ((all || file.due <= now) && close.length < limit)) close.push(file)
      else if (file.inMemory && (file.late || file.parked)) park.push(file)
    }
    return { close, park }
  }

  /** Whether a commit would say anything that the last one doesn't. */
  get isDirty(): boolean {
    return this.#dirtySince !== undefined || this.#full.length > 0 || this.#files.size > 0
  }

  /** What a commit says of the partitions when these files are closed and these wait in it; all others are held. */
  describe(plan: Plan): { readonly partitions: ReadonlyArray<Partition>; readonly held: ReadonlyArray<Held> } {
    const safe = new Set([...plan.close, ...plan.park])
    const holding = [...this.#files.values()].filter((file) => !safe.has(file))
    const held: Array<Held> = []
    const partitions: Array<Partition> = []
    for (const [partition, place] of this.#places) {
      let back = { next: place.at, resume: place.resume }
      let [read, written, bad, parked] = [place.read, place.written, place.bad, 0]
      const firsts = new Map<string, number>()
      // What hasn't come again yet is still missing.
      for (const [folder, first] of this.#again.get(partition) ?? []) firsts.set(folder, Math.max(first, place.at))
      for (const file of holding) {
        const span = file.spans.get(partition)
        if (span === undefined) continue
        read -= span.rows
        firsts.set(file.folder, span.first)
        if (span.back !== undefined && span.back.next < back.next) back = span.back
      }
      for (const file of plan.close) {
        const rows = file.spans.get(partition)?.rows ?? 0
        if (file.kind === "bad") bad += rows
        else written += rows
      }
      for (const file of plan.park) parked += file.spans.get(partition)?.rows ?? 0
      for (const [folder, first] of firsts) held.push({ folder, partition, first })
      const { position, tombstones, watermark } = place
      partitions.push({ partition, ...back, position, watermark, read, written, bad, tombstones, parked })
    }
    return { partitions, held }
  }

  /** The commit is there. */
  committed(plan: Plan, partitions: ReadonlyArray<Partition>): void {
    for (const { bad, partition, written } of partitions) {
      const place = this.#places.get(partition)!
      place.bad = bad
      place.written = written
    }
    this.#full = []
    for (const file of plan.close) if (this.#files.get(file.folder) === file) this.#files.delete(file.folder)
    for (const file of plan.park) file.parked = true
    this.#dirtySince = undefined
  }
}

const fresh = (batch: ColumnBatch): Place => ({
  partition: batch.partition,
  position: batch.base,
  at: batch.base,
  resume: null,
  watermark: null,
  read: 0,
  written: 0,
  bad: 0,
  tombstones: 0
})

/** Calls back once for each slot with the rows that are in it, in order: a counting sort. */
const distribute = (
  slotOf: Int32Array,
  counts: ReadonlyArray<number>,
  each: (slot: number, rows: Int32Array, from: number, to: number) => void
): void => {
  const ends = new Int32Array(counts.length)
  for (let s = 1; s < counts.length; s++) ends[s] = ends[s - 1]! + counts[s - 1]!
  const rows = new Int32Array(counts.reduce((sum, n) => sum + n, 0))
  for (let i = 0; i < slotOf.length; i++) if (slotOf[i]! >= 0) rows[ends[slotOf[i]!]!++] = i
  for (let s = 0; s < counts.length; s++) each(s, rows, ends[s]! - counts[s]!, ends[s]!)
}
