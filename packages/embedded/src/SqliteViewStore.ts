/**
 * The embedded view store: all views and their versions in one SQLite file, which any SQLite client reads.
 *
 * A reader needs nothing but a busy timeout of a few seconds, set before anything else (`PRAGMA busy_timeout = 5000`). One connection is
 * held open by the engine, so the WAL stays in place between readers.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import {
  type Commit,
  Fenced,
  type Lease,
  LockedBy,
  type Position,
  type Service,
  type StateValue,
  VersionExists,
  type VersionInfo,
  VersionNotFound,
  VersionNotReady,
  VersionPromoted,
  type VersionSpec,
  ViewStore,
  type ViewStoreError
} from "@headrace/core/ViewStore"
import * as StateHash from "@headrace/core/StateHash"
import * as VersionInput from "@headrace/core/VersionInput"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { CommitPoint, type Point } from "./CommitPoint.ts"
import * as Refusal from "./internal/Refusal.ts"
import { exactly, refuse, wrap } from "./internal/Refusal.ts"
import * as Sqlite from "./internal/Sqlite.ts"
import * as StoreLock from "./StoreLock.ts"
import * as ViewStoreReader from "./ViewStoreReader.ts"
import * as Sql from "./ViewStoreSql.ts"

export interface Options {
  /** The file; it and its folder are made when they aren't there. */
  readonly path: string
  /** How long a commit waits for another process's one, in milliseconds; its thread waits with it. Default 5,000. */
  readonly busyTimeoutMillis?: number
}

interface VersionRow {
  readonly view: string
  readonly version: number
  readonly status: "building" | "ready"
  readonly epoch: number
  readonly owner: string
  readonly topic_id: string
  readonly spec: string
}

interface PositionRow {
  readonly partition: number
  readonly start: number
  readonly epoch: number
  readonly next: number
  readonly max_event_time: number | null
  readonly read: number
  readonly applied: number
  readonly filtered: number
  readonly late: number
  readonly dead_lettered: number
}

const toPosition = (row: PositionRow): Position => ({
  partition: row.partition,
  next: row.next,
  maxEventTime: row.max_event_time ?? Number.NEGATIVE_INFINITY,
  counts: {
    read: row.read,
    applied: row.applied,
    filtered: row.filtered,
    late: row.late,
    deadLettered: row.dead_lettered
  }
})

const toSql = (value: StateValue): SQLInputValue => (typeof value === "boolean" ? (value ? 1 : 0) : value)

/** The groups (keys, window start) of the commits, each once, in the order in which they come. */
const touchedBy = (commits: ReadonlyArray<Commit>): ReadonlyArray<ReadonlyArray<SQLInputValue>> => {
  const groups = new Map<string, ReadonlyArray<SQLInputValue>>()
  for (const { partials } of commits) {
    const { count, keys, windows } = partials
    for (let i = 0; i < count; i++) {
      const group = keys.map((key) => key[i]!)
      if (windows !== undefined) group.push(windows[i]!)
      const id = StateHash.canonical(group)
      if (!groups.has(id)) groups.set(id, group.map(toSql))
    }
  }
  return [...groups.values()]
}

/** The statements of one version, prepared once. */
interface Writer {
  readonly spec: VersionSpec
  /** The merged row of a group, in big integers. */
  readonly row: StatementSync
  readonly position: StatementSync
  readonly partial: StatementSync
  readonly sets: ReadonlyArray<StatementSync>
  readonly late: StatementSync
  readonly dead: StatementSync
}

/** Opens (or makes) the store at a path. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Service, ViewStoreError, Scope.Scope> {
  const db = yield* Effect.mapError(Sqlite.open(options, Sql.layout), wrap)
  return service(db, options, yield* CommitPoint)
})

/** What differs between the declaration that a version was built from and the one that is given now. */
const differenceOf = (old: VersionSpec, now: VersionSpec, oldTopic: string, topic: string): string | undefined => {
  if (old.declaration !== now.declaration) {
    const [a, b] = [old.declaration.split("\n"), now.declaration.split("\n")]
    const at = a.findIndex((line, i) => line !== b[i])
    return `it says ${JSON.stringify(b[at < 0 ? a.length : at] ?? "nothing")} where it said ${JSON.stringify(a[at] ?? "nothing")}`
  }
  if (old.source !== now.source) return "the source of its module, or of a module that it imports, was changed"
  if (oldTopic !== topic)
    return `topic "${now.topic}" was deleted and made anew (its id was ${oldTopic}, and is ${topic})`
  return undefined
}

const service = (db: DatabaseSync, options: Options, point: (point: Point) => void): Service => {
  const { path } = options
  const selectVersion = db.prepare("SELECT * FROM headrace_versions WHERE view = ? AND version = ?")
  const selectViews = db.prepare("SELECT DISTINCT view FROM headrace_versions")
  const selectPositions = db.prepare(
    "SELECT * FROM headrace_positions WHERE view = ? AND version = ? ORDER BY partition"
  )
  const selectPromoted = db.prepare(
    "SELECT version FROM headrace_promotions WHERE view = ? ORDER BY sequence DESC LIMIT 1"
  )
  const insertPosition = db.prepare(
    "INSERT OR IGNORE INTO headrace_positions VALUES (?, ?, ?, ?, ?, ?, NULL, 0, 0, 0, 0, 0)"
  )

  const attempt = <A>(work: () => A) => Refusal.attempt(path, work)
  const transaction = <A>(work: () => A): Effect.Effect<A, ViewStoreError> =>
    attempt(() => Sqlite.transaction(db, work))

  const find = (view: string, version: number): VersionRow =>
    (selectVersion.get(view, version) as VersionRow | undefined) ?? refuse(new VersionNotFound({ view, version }))
  const specOf = (row: VersionRow): VersionSpec => JSON.parse(row.spec) as VersionSpec
  const promotedOf = (view: string): number | undefined =>
    (selectPromoted.get(view) as { readonly version: number } | undefined)?.version
  const infoOf = (row: VersionRow): VersionInfo => {
    const { declaration, source, topic } = specOf(row)
    const partitions = selectPositions.all(row.view, row.version) as unknown as ReadonlyArray<PositionRow>
    return {
      view: row.view,
      version: row.version,
      status: row.status,
      promoted: promotedOf(row.view) === row.version,
      declaration,
      source,
      topic,
      topicId: row.topic_id,
      starts: partitions.map(({ partition, start }) => ({ partition, offset: start })),
      positions: partitions.map(toPosition)
    }
  }

  const show = (spec: VersionSpec) => db.exec(Sql.createShownView(spec))
  const promoteNow = (view: string, version: number) => {
    db.exec(
      `DROP VIEW IF EXISTS ${Sql.quote(view)}; CREATE VIEW ${Sql.quote(view)} AS SELECT * FROM ${Sql.quote(Sql.namesOf(view, version).shown)}`
    )
    db.prepare("INSERT INTO headrace_promotions (view, version) VALUES (?, ?)").run(view, version)
  }

  const register: Service["register"] = (spec, topic) =>
    transaction(() => {
      const { version, view } = spec
      const views = (selectViews.all() as unknown as ReadonlyArray<{ readonly view: string }>).map((v) => v.view)
      const unfit = VersionInput.names(spec, views)
      if (unfit !== undefined) refuse(unfit)
      const known = selectVersion.get(view, version) as VersionRow | undefined
      if (known === undefined) {
        const first = !views.includes(view)
        db.prepare("INSERT INTO headrace_versions VALUES (?, ?, ?, 0, '', ?, ?)").run(
          view,
          version,
          first ? "ready" : "building",
          topic.id,
          JSON.stringify(spec)
        )
        db.exec(Sql.createTables(spec))
        if (first) {
          show(spec)
          promoteNow(view, version)
        }
      } else {
        const difference = differenceOf(specOf(known), spec, known.topic_id, topic.id)
        if (difference !== undefined) refuse(new VersionExists({ view, version, difference }))
      }
      const { epoch } = find(view, version)
      for (const { offset, partition } of topic.starts)
        insertPosition.run(view, version, partition, epoch, offset, offset)
      return infoOf(find(view, version))
    })

  const writers = new Map<string, Writer>()
  const acquire: Service["acquire"] = (view, version, owner) =>
    Effect.gen(function* () {
      yield* attempt(() => find(view, version))
      const locked = yield* Effect.mapError(StoreLock.acquire(`${path}.locks/${view}__v${version}.lock`), wrap)
      if (!locked) {
        const holder = yield* attempt(() => find(view, version).owner)
        return yield* wrap(new LockedBy({ view, version, owner: holder === "" ? "another process" : holder }))
      }
      const epoch = yield* transaction(() => {
        find(view, version)
        const { last: next } = db.prepare("UPDATE headrace_epochs SET last = last + 1 RETURNING last").get() as {
          readonly last: number
        }
        // Another process may have dropped the version since, and registered it with another shape.
        writers.delete(`${view}__v${version}`)
        db.prepare("UPDATE headrace_versions SET epoch = ?, owner = ? WHERE view = ? AND version = ?").run(
          next,
          owner,
          view,
          version
        )
        db.prepare("UPDATE headrace_positions SET epoch = ? WHERE view = ? AND version = ?").run(next, view, version)
        return next
      })
      return { view, version, epoch } satisfies Lease
    })

  const writerOf = (view: string, version: number): Writer => {
    const name = `${view}__v${version}`
    const known = writers.get(name)
    if (known !== undefined) return known
    const spec = specOf(find(view, version))
    const names = Sql.namesOf(view, version)
    const row = db.prepare(Sql.selectRow(spec))
    row.setReadBigInts(true)
    row.setReturnArrays(true)
    const writer: Writer = {
      spec,
      row,
      position: db.prepare(
        "UPDATE headrace_positions SET next = ?, max_event_time = ?, read = ?, applied = ?, filtered = ?, late = ?, dead_lettered = ? WHERE view = ? AND version = ? AND partition = ? AND epoch = ? AND next = ?"
      ),
      partial: db.prepare(Sql.upsertPartial(spec)),
      sets: Sql.distinctAggregates(spec).map((a) => db.prepare(Sql.insertValue(spec, a.name))),
      late: db.prepare(`INSERT INTO ${Sql.quote(names.late)} VALUES (?, ?, ?, ?, ?)`),
      dead: db.prepare(`INSERT INTO ${Sql.quote(names.dead)} VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
    }
    writers.set(name, writer)
    return writer
  }

  /** Compares and sets (epoch, offset). */
  const setPosition = (lease: Lease, writer: Writer, { from, position }: Commit) => {
    const { epoch, version, view } = lease
    const { counts: c, maxEventTime, next, partition } = position
    const time = Number.isFinite(maxEventTime) ? maxEventTime : null
    const { changes } = writer.position.run(
      next,
      time,
      c.read,
      c.applied,
      c.filtered,
      c.late,
      c.deadLettered,
      view,
      version,
      partition,
      epoch,
      from
    )
    if (Number(changes) === 1) return
    const stored = db
      .prepare("SELECT epoch, next FROM headrace_positions WHERE view = ? AND version = ? AND partition = ?")
      .get(view, version, partition) as { readonly epoch: number; readonly next: number } | undefined
    const detail =
      stored === undefined
        ? "the version has no such partition"
        : stored.epoch === epoch
          ? `it folds from offset ${from}, and the partition stands at ${stored.next}`
          : `its epoch is ${epoch}, and another process has taken the version with epoch ${stored.epoch}`
    refuse(new Fenced({ view, version, partition, detail }))
  }

  const write = (
    { partial, sets, late, dead }: Writer,
    { partials, position, late: lateRows, dead: deadRows }: Commit
  ) => {
    const { partition } = position
    const { keys, values, windows } = partials
    const row: Array<SQLInputValue> = []
    for (let i = 0; i < partials.count; i++) {
      let at = 0
      for (const key of keys) row[at++] = toSql(key[i]!)
      if (windows !== undefined) row[at++] = windows[i]!
      row[at++] = partition
      for (const value of values) row[at++] = toSql(value[i]!)
      partial.run(...row)
    }
    for (const [s, statement] of sets.entries()) {
      const group: Array<SQLInputValue> = []
      for (let i = 0; i < partials.count; i++) {
        let at = 0
        for (const key of keys) group[at++] = toSql(key[i]!)
        if (windows !== undefined) group[at++] = windows[i]!
        group[at + 1] = partition
        for (const value of partials.sets[s]![i]!) {
          group[at] = toSql(value)
          statement.run(...group)
        }
      }
    }
    for (const r of lateRows) late.run(partition, r.offset, r.eventTime, r.windowStart, r.columns)
    for (const r of deadRows) dead.run(partition, r.offset, r.reason, r.detail, r.timestamp, r.key, r.value, r.headers)
  }

  /** Positions and state of the commits; to be called in a transaction. */
  const apply = (lease: Lease, writer: Writer, commits: ReadonlyArray<Commit>, point: (point: Point) => void) => {
    for (const c of commits) setPosition(lease, writer, c)
    point("after-positions")
    exactly(lease.view, lease.version, () => {
      for (const c of commits) write(writer, c)
    })
    point("before-commit")
  }

  const commit: Service["commit"] = (lease, commits) =>
    transaction(() => apply(lease, writerOf(lease.view, lease.version), commits, point))

  const preview: Service["preview"] = (lease, commits) =>
    attempt(() =>
      Sqlite.rolledBack(db, () => {
        const writer = writerOf(lease.view, lease.version)
        const groups = touchedBy(commits)
        const read = () =>
          exactly(lease.view, lease.version, () =>
            groups.map((group) => {
              const [row] = writer.row.all(...group) as unknown as ReadonlyArray<ReadonlyArray<unknown>>
              return row === undefined ? undefined : ViewStoreReader.toViewRow(row, writer.spec)
            })
          )
        const before = read()
        apply(lease, writer, commits, () => {})
        const after = read()
        return groups.map((_, i) => ({ before: before[i], after: after[i] }))
      })
    )

  const ready: Service["ready"] = ({ epoch, version, view }) =>
    transaction(() => {
      const row = find(view, version)
      if (row.epoch !== epoch)
        refuse(
          new Fenced({
            view,
            version,
            partition: -1,
            detail: `its epoch is ${epoch}, and another process has taken the version with epoch ${row.epoch}`
          })
        )
      if (row.status === "ready") return
      db.prepare("UPDATE headrace_versions SET status = 'ready' WHERE view = ? AND version = ?").run(view, version)
      show(specOf(row))
    })

  const promote: Service["promote"] = (view, version) =>
    transaction(() => {
      if (find(view, version).status !== "ready") refuse(new VersionNotReady({ view, version }))
      const previous = promotedOf(view)
      if (previous !== version) promoteNow(view, version)
      return previous
    })

  const dropNow = (view: string, version: number) => {
    db.exec(Sql.dropAll(specOf(find(view, version))))
    db.prepare("DELETE FROM headrace_positions WHERE view = ? AND version = ?").run(view, version)
    db.prepare("DELETE FROM headrace_versions WHERE view = ? AND version = ?").run(view, version)
    db.prepare("DELETE FROM headrace_promotions WHERE view = ? AND version = ?").run(view, version)
    writers.delete(`${view}__v${version}`)
  }
  const drop: Service["drop"] = (view, version) =>
    transaction(() => {
      find(view, version)
      if (promotedOf(view) === version) refuse(new VersionPromoted({ view, version }))
      dropNow(view, version)
    })
  const dropView: Service["dropView"] = (view) =>
    transaction(() => {
      const versions = db
        .prepare("SELECT version FROM headrace_versions WHERE view = ? ORDER BY version")
        .all(view) as unknown as ReadonlyArray<{ readonly version: number }>
      if (versions.length > 0) db.exec(`DROP VIEW IF EXISTS ${Sql.quote(view)}`)
      for (const { version } of versions) dropNow(view, version)
      return versions.map((v) => v.version)
    })

  return {
    versions: attempt(() =>
      (
        db
          .prepare("SELECT * FROM headrace_versions ORDER BY view, version")
          .all() as unknown as ReadonlyArray<VersionRow>
      ).map(infoOf)
    ),
    version: (view, version) => attempt(() => infoOf(find(view, version))),
    spec: (view, version) => attempt(() => specOf(find(view, version))),
    register,
    acquire,
    commit,
    preview,
    ready,
    promote,
    promotions: (view) =>
      attempt(() =>
        (
          db
            .prepare("SELECT version FROM headrace_promotions WHERE view = ? ORDER BY sequence DESC")
            .all(view) as unknown as ReadonlyArray<{ readonly version: number }>
        ).map((r) => r.version)
      ),
    drop,
    dropView,
    ...ViewStoreReader.make(options)
  }
}

/** The embedded view store in the file at `path`; one connection, closed with the layer. */
export const layer = (options: Options): Layer.Layer<ViewStore, ViewStoreError> =>
  Layer.effect(ViewStore, make(options))
