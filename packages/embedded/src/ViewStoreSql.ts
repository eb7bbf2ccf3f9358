/**
 * The SQL of a version: its tables, its views, and how a commit merges into them. Pure text.
 *
 * `<view>__v<N>__partials` has a row per (keys, window, source partition); `<view>__v<N>__set_<aggregate>` one per distinct value of it.
 * `<view>__v<N>__exact` merges them in exact integers, `<view>__v<N>` shows that to people.
 */
import type { AggregateSpec, ValueType, VersionSpec } from "@headrace/core/ViewStore"
import type { Layout } from "./internal/Sqlite.ts"

/** What a store's file holds apart from its versions. */
export const layout: Layout = {
  // "HDRV"
  application: 0x48445256,
  format: 2,
  tables: `
  CREATE TABLE headrace_epochs (last INTEGER NOT NULL);
  INSERT INTO headrace_epochs VALUES (0);
  CREATE TABLE headrace_versions (view TEXT NOT NULL, version INTEGER NOT NULL, status TEXT NOT NULL, epoch INTEGER NOT NULL,
    owner TEXT NOT NULL, topic_id TEXT NOT NULL, spec TEXT NOT NULL, PRIMARY KEY (view, version)) WITHOUT ROWID;
  CREATE TABLE headrace_positions (view TEXT NOT NULL, version INTEGER NOT NULL, partition INTEGER NOT NULL, epoch INTEGER NOT NULL,
    start INTEGER NOT NULL, next INTEGER NOT NULL, max_event_time INTEGER, read INTEGER NOT NULL, applied INTEGER NOT NULL, filtered INTEGER NOT NULL,
    late INTEGER NOT NULL, dead_lettered INTEGER NOT NULL, PRIMARY KEY (view, version, partition)) WITHOUT ROWID;
  CREATE TABLE headrace_promotions (sequence INTEGER PRIMARY KEY, view TEXT NOT NULL, version INTEGER NOT NULL);
`
}

/** A name as an SQL identifier. */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Names of a version's tables and views. */
export const namesOf = (view: string, version: number) => {
  const base = `${view}__v${version}`
  return {
    partials: `${base}__partials`,
    late: `${base}__late`,
    dead: `${base}__dead`,
    exact: `${base}__exact`,
    shown: base,
    set: (aggregate: string) => `${base}__set_${aggregate}`
  }
}

/** A physical column of the partials and how two values of it merge. */
interface Physical {
  readonly name: string
  readonly merge: "add" | "min" | "max"
  readonly required: boolean
}

const physicalOf = (a: AggregateSpec): ReadonlyArray<Physical> => {
  switch (a.kind) {
    case "count":
      return [{ name: a.name, merge: "add", required: true }]
    case "sum":
      return [{ name: a.name, merge: "add", required: false }]
    case "min":
    case "max":
      return [{ name: a.name, merge: a.kind, required: false }]
    case "avg":
      return [
        { name: `${a.name}__sum`, merge: "add", required: false },
        { name: `${a.name}__count`, merge: "add", required: true }
      ]
    case "countDistinct":
      return []
  }
}

export const physicalColumns = (spec: VersionSpec): ReadonlyArray<Physical> => spec.aggregates.flatMap(physicalOf)

/** The columns that name a row of the merged view. */
export const groupColumns = (spec: VersionSpec): ReadonlyArray<string> => [
  ...spec.keys.map((k) => k.name),
  ...(spec.windowSize === undefined ? [] : ["window_start"])
]

export const distinctAggregates = (spec: VersionSpec) => spec.aggregates.filter((a) => a.kind === "countDistinct")

const sqlType = (type: ValueType): string => (type.kind === "string" ? "TEXT" : "INTEGER")

const groupDefinitions = (spec: VersionSpec): ReadonlyArray<string> => [
  ...spec.keys.map((k) => `${quote(k.name)} ${sqlType(k.type)} NOT NULL`),
  ...(spec.windowSize === undefined ? [] : ['"window_start" INTEGER NOT NULL'])
]

/** SQLite turns an integer sum that overflows into a floating-point number: the check refuses that. */
const integral = ({ name, required }: Physical): string =>
  `${quote(name)} INTEGER${required ? " NOT NULL" : ""} CONSTRAINT ${quote(`exact ${name}`)} CHECK (typeof(${quote(name)}) IN ('integer', 'null'))`

const list = (columns: ReadonlyArray<string>): string => columns.map(quote).join(", ")

/** Tables of a version. */
export const createTables = (spec: VersionSpec): string => {
  const names = namesOf(spec.view, spec.version)
  const group = groupColumns(spec)
  const key = list([...group, "partition"])
  const columns = [...groupDefinitions(spec), '"partition" INTEGER NOT NULL', ...physicalColumns(spec).map(integral)]
  const sets = distinctAggregates(spec).map((a) => {
    const type = a.kind === "countDistinct" ? sqlType(a.type) : "TEXT"
    const definitions = [...groupDefinitions(spec), `"value" ${type} NOT NULL`, '"partition" INTEGER NOT NULL']
    return `CREATE TABLE ${quote(names.set(a.name))} (${definitions.join(", ")}, PRIMARY KEY (${list([...group, "value", "partition"])})) WITHOUT ROWID;`
  })
  return [
    `CREATE TABLE ${quote(names.partials)} (${columns.join(", ")}, PRIMARY KEY (${key})) WITHOUT ROWID;`,
    ...sets,
    `CREATE TABLE ${quote(names.late)} ("partition" INTEGER NOT NULL, "offset" INTEGER NOT NULL, "event_time" INTEGER NOT NULL, "window_start" INTEGER NOT NULL, "columns" TEXT NOT NULL, PRIMARY KEY ("partition", "offset")) WITHOUT ROWID;`,
    `CREATE TABLE ${quote(names.dead)} ("partition" INTEGER NOT NULL, "offset" INTEGER NOT NULL, "reason" TEXT NOT NULL, "detail" TEXT NOT NULL, "timestamp" INTEGER, "key" BLOB, "value" BLOB, "headers" TEXT NOT NULL, PRIMARY KEY ("partition", "offset")) WITHOUT ROWID;`,
    `CREATE VIEW ${quote(names.exact)} AS ${selectExact(spec)};`
  ].join("\n")
}

/** Merges the partials over source partitions, in exact integers. Distinct values are counted over all partitions, never summed. */
const selectExact = (spec: VersionSpec, filter = ""): string => {
  const names = namesOf(spec.view, spec.version)
  const group = groupColumns(spec)
  const merged = (p: Physical) =>
    `${p.merge === "add" ? "SUM" : p.merge.toUpperCase()}(p.${quote(p.name)}) AS ${quote(p.name)}`
  const values = spec.aggregates.flatMap((a) => {
    if (a.kind !== "countDistinct") return physicalOf(a).map(merged)
    const same = group.map((c) => `s.${quote(c)} = p.${quote(c)}`)
    const where = same.length === 0 ? "" : ` WHERE ${same.join(" AND ")}`
    return [`(SELECT COUNT(DISTINCT s."value") FROM ${quote(names.set(a.name))} s${where}) AS ${quote(a.name)}`]
  })
  const columns = [...group.map((c) => `p.${quote(c)}`), ...values]
  const grouping =
    group.length === 0 ? " HAVING COUNT(*) > 0" : ` GROUP BY ${group.map((c) => `p.${quote(c)}`).join(", ")}`
  return `SELECT ${columns.join(", ")} FROM ${quote(names.partials)} p${filter}${grouping}`
}

/** 10^n as an SQL literal. */
const power = (n: number): string => `1${"0".repeat(n)}`

/** `sum / count` with `places` places as a scaled integer, half away from zero: whole part and remainder apart, so that little overflows. */
const averageOf = (name: string, scale: number, places: number): string => {
  const sum = quote(`${name}__sum`)
  const up = Math.max(0, places - scale)
  const count = `(${quote(`${name}__count`)} * ${power(Math.max(0, scale - places))})`
  const whole = `abs(${sum}) / ${count}`
  const rest = `((abs(${sum}) % ${count}) * ${power(up)} * 2 + ${count}) / (2 * ${count})`
  return `(CASE WHEN ${sum} < 0 THEN -1 ELSE 1 END) * (${whole} * ${power(up)} + ${rest})`
}

/** What people read: decimals as numbers, with the exact scaled integer beside them. */
export const createShownView = (spec: VersionSpec): string => {
  const names = namesOf(spec.view, spec.version)
  const real = (expression: string, scale: number) => (scale === 0 ? expression : `(${expression}) / ${power(scale)}.0`)
  const columns = [
    ...spec.keys.map((k) =>
      k.type.kind === "decimal" ? `${real(quote(k.name), k.type.scale)} AS ${quote(k.name)}` : quote(k.name)
    ),
    ...(spec.windowSize === undefined ? [] : ['"window_start"', `"window_start" + ${spec.windowSize} AS "window_end"`]),
    ...spec.aggregates.flatMap((a) => {
      if (a.kind === "count" || a.kind === "countDistinct") return [quote(a.name)]
      const scale = a.type.kind === "decimal" ? a.type.scale : 0
      if (a.kind === "avg")
        return [`(${averageOf(a.name, scale, a.places)}) / ${power(a.places)}.0 AS ${quote(a.name)}`]
      const scaled = scale === 0 ? [] : [`${quote(a.name)} AS ${quote(`${a.name}_scaled`)}`]
      return [`${real(quote(a.name), scale)} AS ${quote(a.name)}`, ...scaled]
    })
  ]
  return `CREATE VIEW ${quote(names.shown)} AS SELECT ${columns.join(", ")} FROM ${quote(names.exact)};`
}

/** Everything of a version, to be dropped in this order. */
export const dropAll = (spec: VersionSpec): string => {
  const names = namesOf(spec.view, spec.version)
  return [
    `DROP VIEW IF EXISTS ${quote(names.shown)};`,
    `DROP VIEW IF EXISTS ${quote(names.exact)};`,
    ...[names.partials, names.late, names.dead, ...distinctAggregates(spec).map((a) => names.set(a.name))].map(
      (t) => `DROP TABLE IF EXISTS ${quote(t)};`
    )
  ].join("\n")
}

/** Merges one row of partials: keys, window start, partition, physical values. */
export const upsertPartial = (spec: VersionSpec): string => {
  const group = groupColumns(spec)
  const physical = physicalColumns(spec)
  const columns = [...group, "partition", ...physical.map((p) => p.name)]
  const set = physical.map(({ merge, name, required }) => {
    const [old, more] = [quote(name), `excluded.${quote(name)}`]
    if (merge === "add")
      return required
        ? `${old} = ${old} + ${more}`
        : `${old} = CASE WHEN ${old} IS NULL THEN ${more} WHEN ${more} IS NULL THEN ${old} ELSE ${old} + ${more} END`
    return `${old} = CASE WHEN ${old} IS NULL OR ${more} ${merge === "min" ? "<" : ">"} ${old} THEN ${more} ELSE ${old} END`
  })
  const action = set.length === 0 ? "NOTHING" : `UPDATE SET ${set.join(", ")}`
  return `INSERT INTO ${quote(namesOf(spec.view, spec.version).partials)} (${list(columns)}) VALUES (${columns.map(() => "?").join(", ")}) ON CONFLICT (${list([...group, "partition"])}) DO ${action}`
}

/** Adds one value to a set: keys, window start, value, partition. */
export const insertValue = (spec: VersionSpec, aggregate: string): string => {
  const columns = [...groupColumns(spec), "value", "partition"]
  return `INSERT OR IGNORE INTO ${quote(namesOf(spec.view, spec.version).set(aggregate))} (${list(columns)}) VALUES (${columns.map(() => "?").join(", ")})`
}

/** A query in pages, ordered by the first `by` columns: the first page, and those after a row, whose first `by` values are the parameters. */
export interface Pages {
  readonly first: string
  readonly further: string
  readonly by: number
}

const pageRows = 4_096

const inPages = (select: (where: string) => string, by: ReadonlyArray<string>): Pages => {
  const order = by.length === 0 ? "" : ` ORDER BY ${by.join(", ")}`
  const after = ` WHERE (${by.join(", ")}) > (${by.map(() => "?").join(", ")})`
  return {
    first: `${select("")}${order} LIMIT ${pageRows}`,
    further: `${select(after)}${order} LIMIT ${pageRows}`,
    by: by.length
  }
}

/** All merged rows in the order of their keys. A page seeks in the partials' primary key. */
export const selectRows = (spec: VersionSpec): Pages =>
  inPages(
    (where) => selectExact(spec, where),
    groupColumns(spec).map((c) => `p.${quote(c)}`)
  )

/** The merged row of one group: keys, window start. */
export const selectRow = (spec: VersionSpec): string => {
  const group = groupColumns(spec).map((c) => `p.${quote(c)} = ?`)
  return selectExact(spec, group.length === 0 ? "" : ` WHERE ${group.join(" AND ")}`)
}

const byOffset = (table: string): Pages =>
  inPages((where) => `SELECT * FROM ${quote(table)}${where}`, ['"partition"', '"offset"'])

/** All late records. */
export const selectLate = ({ version, view }: VersionSpec): Pages => byOffset(namesOf(view, version).late)

/** All dead letters. */
export const selectDead = ({ version, view }: VersionSpec): Pages => byOffset(namesOf(view, version).dead)
