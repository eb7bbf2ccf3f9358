/**
 * Declaring what a view reads: a topic of typed values, the columns that the view needs, filters, and where event time is taken.
 *
 * The steps stand in the order in which a record meets them: decode, then filters and the event time as they are written, then late, then
 * apply. An event time that stands after a filter is moved only by the records that pass it.
 */
import * as EventTime from "@headrace/core/EventTime"
import type { StructLike, TopicSchema } from "@headrace/core/TopicSchema"
import * as TopicSchemas from "@headrace/core/TopicSchema"
import type * as Duration from "effect/Duration"
import { type Pipeable, pipeArguments } from "effect/Pipeable"

/** A filter of a view. It sees the selected columns of one record and must depend on nothing else. */
export type Predicate<in Row> = (row: Row) => boolean

/** Event time: a column of instants, and by how much records may come out of order before they count as late. */
export interface EventTimeSpec {
  readonly column: string
  /** In milliseconds. */
  readonly outOfOrderness: number
}

/** A topic as a view sees it; `Row` is what its expressions may read. */
export interface Source<in Row> extends Pipeable {
  readonly topic: string
  readonly schema: TopicSchema
  /** The selected columns, in the order of the schema or of `select`. */
  readonly columns: ReadonlyArray<string>
  readonly filters: ReadonlyArray<Predicate<Row>>
  readonly eventTime: EventTimeSpec | undefined
  /** How many of the filters stand before the event time. */
  readonly filtersBeforeEventTime: number
}

type Fields<Row> = Omit<Source<Row>, "pipe">

const make = <Row>(fields: Fields<Row>): Source<Row> => ({
  ...fields,
  pipe() {
    return pipeArguments(this, arguments)
  }
})

/** Of an event time. */
export interface EventTimeOptions {
  /** How far behind the largest event time of its partition a record may be before it can be late. Default: not at all. */
  readonly outOfOrderness?: Duration.Input
}

/** Keys of `Row` that are instants (numbers). */
type NumberKey<Row> = { [K in keyof Row & string]: Row[K] extends number ? K : never }[keyof Row & string]

/**
 * A topic of JSON values of the given schema. Give `eventTime` here when every record moves it, filtered or not.
 *
 * @example `Log.topic("orders", { value: Order, eventTime: "ts", outOfOrderness: "5 seconds" })`
 */
export const topic = <S extends StructLike & { readonly Type: object }>(
  name: string,
  options: { readonly value: S; readonly eventTime?: NumberKey<S["Type"]> } & EventTimeOptions
): Source<S["Type"]> => {
  const schema = TopicSchemas.make(options.value)
  const source = make<S["Type"]>({
    topic: name,
    schema,
    columns: schema.columns.map((c) => c.name),
    filters: [],
    eventTime: undefined,
    filtersBeforeEventTime: 0
  })
  return options.eventTime === undefined ? source : eventTime<S["Type"]>(options.eventTime, options)(source)
}

/** Reads only these columns: a replay doesn't touch the others. An expression that reads another one fails the view. */
export const select =
  <Row, K extends keyof Row & string>(...columns: ReadonlyArray<K>) =>
  (source: Source<Row>): Source<Pick<Row, K>> => {
    for (const name of columns) columnOf(source.schema, name)
    if (source.filters.length > 0)
      throw new TypeError(`select the columns of topic "${source.topic}" before its filters`)
    if (source.eventTime !== undefined && !columns.some((c) => c === source.eventTime!.column))
      throw new TypeError(
        `the selected columns of topic "${source.topic}" must include its event time "${source.eventTime.column}"`
      )
    const { filters: _, pipe: __, ...rest } = source
    return make<Pick<Row, K>>({ ...rest, columns, filters: [] })
  }

/** Keeps the records for which the predicate holds; the others count as filtered. */
export const where =
  <Row>(predicate: Predicate<Row>) =>
  (source: Source<Row>): Source<Row> =>
    make({ ...source, filters: [...source.filters, predicate] })

/** Takes the event time from a column of instants, at this place among the filters. */
export const eventTime =
  <Row>(column: NumberKey<Row>, options: EventTimeOptions = {}) =>
  (source: Source<Row>): Source<Row> => {
    const spec = columnOf(source.schema, column)
    if (source.eventTime !== undefined)
      throw new TypeError(`topic "${source.topic}" has an event time already: "${source.eventTime.column}"`)
    if (spec.type.kind !== "instant" || spec.nullable)
      throw new TypeError(`the event time "${column}" of topic "${source.topic}" must be an instant that is never null`)
    return make({
      ...source,
      eventTime: { column, outOfOrderness: EventTime.millis(options.outOfOrderness ?? 0) },
      filtersBeforeEventTime: source.filters.length
    })
  }

/** The column of that name; throws a `TypeError` that lists the names there are. */
export const columnOf = (schema: TopicSchema, name: string) => {
  const column = schema.columns.find((c) => c.name === name)
  if (column === undefined)
    throw new TypeError(`there is no column "${name}"; there are ${schema.columns.map((c) => c.name).join(", ")}`)
  return column
}
